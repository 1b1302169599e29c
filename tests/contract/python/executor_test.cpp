// The Python executor as the kernel uses it: probe, describe, validate, prepare, plan and
// describe_exit, through the library's one symbol. No interpreter is needed but for the probe's own
// test.
#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <cppunit/extensions/TestFactoryRegistry.h>
#include <cppunit/ui/text/TestRunner.h>
#include <dlfcn.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cloudfunction/executor.hpp>
#include <filesystem>
#include <fstream>
#include <map>

namespace {

using namespace cloudfunction;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// What the host knows and what it was told; one for all tests, as the plugin keeps its first host.
struct TestHost {
    std::map<std::string, std::string> properties;
    std::map<std::string, std::string>
        remarks;  // answers to CHECK, by file; sound where there is none
    std::vector<std::string> checked, diagnostics;
    std::vector<std::string> program;  // of the last tool
    int tools = 0;
    cf_host table = prefixed<cf_host>();
} host;

void setUpHost() {
    auto& t = host.table;
    t.log = [](void*, int32_t, cf_view) {};
    t.property = [](void*, cf_view key, const cf_sink* value) -> cf_status {
        const auto found = host.properties.find(string(key));
        if (found == host.properties.end()) return CF_FAILED;
        value->write(value->context, view(found->second));
        return CF_OK;
    };
    t.get_extension = [](void*, cf_view) -> const void* { return nullptr; };
    t.cancelled = [](cf_job*) -> int32_t { return 0; };
    t.tool_mount = [](cf_job*, cf_view, cf_view, uint32_t) {};
    t.run_tool = [](cf_job*, const cf_tool* tool, cf_tool_result*, cf_error*) -> cf_status {
        ++host.tools;
        host.program.clear();
        for (uint64_t i = 0; i < tool->argc; ++i) host.program.push_back(string(tool->argv[i]));
        return CF_FAILED;
    };
    t.check = [](cf_job*, cf_view file, cf_view, const cf_sink* remarks, cf_error*) -> cf_status {
        host.checked.push_back(string(file));
        const auto found = host.remarks.find(string(file));
        remarks->write(remarks->context, view(found == host.remarks.end() ? "[]" : found->second));
        return CF_OK;
    };
    t.diagnostic = [](cf_job*, const cf_diagnostic* d) {
        host.diagnostics.push_back(string(d->file) + ":" + std::to_string(d->line) + ":" +
                                   std::to_string(d->column) + ":" + string(d->message));
    };
    t.build_log = [](cf_job*, cf_view) {};
}

struct PlanSeen {
    std::vector<std::string> arguments;
    std::map<std::string, std::string> environment, mounts;
    std::map<uint32_t, uint64_t> values;
    cf_plan table = prefixed<cf_plan>();
    PlanSeen() {
        table.context = this;
        table.argument = [](void* self, cf_view v) { of(self).arguments.push_back(string(v)); };
        table.environment = [](void* self, cf_view n, cf_view v) {
            of(self).environment[string(n)] = string(v);
        };
        table.mount = [](void* self, cf_view s, cf_view t, uint32_t) {
            of(self).mounts[string(t)] = string(s);
        };
        table.set = [](void* self, uint32_t what, uint64_t v) { of(self).values[what] = v; };
    }
    static PlanSeen& of(void* self) { return *static_cast<PlanSeen*>(self); }
    bool has(const std::string& argument) const {
        return std::find(arguments.begin(), arguments.end(), argument) != arguments.end();
    }
};

// A cf_function that owns its parts.
struct Function {
    Pairs files{{"main.py", "def handler(event, context):\n    return event\n"}};
    Pairs environment;
    std::string handler = "handler";
    bool fromCode = false;
    std::vector<cf_file> fileViews;
    std::vector<cf_pair> pairViews;
    const cf_function* get() {
        fileViews.clear();
        pairViews.clear();
        for (const auto& [name, content] : files) fileViews.push_back({view(name), view(content)});
        for (const auto& [name, value] : environment)
            pairViews.push_back({view(name), view(value)});
        x_function = prefixed<cf_function>();
        x_function.name = view("test");
        x_function.runtime = view("python");
        x_function.handler = view(handler);
        x_function.files = fileViews.data();
        x_function.file_count = fileViews.size();
        x_function.file_stride = sizeof(cf_file);
        x_function.environment = pairViews.data();
        x_function.environment_count = pairViews.size();
        x_function.environment_stride = sizeof(cf_pair);
        x_function.from_code = fromCode ? 1 : 0;
        return &x_function;
    }

private:
    cf_function x_function;
};

constexpr const char* knownInterpreter =
    R"({"version":"3.9.1","path":"/opt/python/bin/python3.9","executable":)"
    R"("/opt/python/bin/python3.9","mounts":["/opt/python"],)"
    R"("shim":"__pycache__/worker.cpython-39.opt-2.pyc"})";

class ExecutorTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(ExecutorTest);
    CPPUNIT_TEST(aManifestNamesItsRuntime);
    CPPUNIT_TEST(handlersAreJudgedByTheirForm);
    CPPUNIT_TEST(handlersMustBeInAFile);
    CPPUNIT_TEST(thePlaceOfThePythonCannotBeSet);
    CPPUNIT_TEST(aGenericWorkerIsPrewarmed);
    CPPUNIT_TEST(startTimeVariablesCostAWorkerOfItsOwn);
    CPPUNIT_TEST(withoutAnInterpreterThereIsNoPlan);
    CPPUNIT_TEST(preparingCopiesAndStartsNothing);
    CPPUNIT_TEST(manySourcesAreCompiledAhead);
    CPPUNIT_TEST(preparingReportsWhatIsWrong);
    CPPUNIT_TEST(endsAreExplained);
    CPPUNIT_TEST(probingAsksTheInterpreterItself);
    CPPUNIT_TEST(probingRefusesWhatIsTooOld);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        host.properties = {{"home", "/home/of/python"}};
        host.remarks.clear();
        host.checked.clear();
        host.diagnostics.clear();
        host.tools = 0;
        x_library = ::dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
        CPPUNIT_ASSERT_MESSAGE(x_library != nullptr ? "" : ::dlerror(), x_library != nullptr);
        x_executor = reinterpret_cast<cf_executor_entry_fn>(
            ::dlsym(x_library, "cf_executor_entry"))(&host.table, &x_error);
        x_self = x_executor->create(&host.table, view(knownInterpreter), &x_error);
        x_folder = std::filesystem::temp_directory_path() /
                   ("cf-python-test-" + std::to_string(::getpid()));
        std::filesystem::create_directories(x_folder / "source");
        std::filesystem::create_directories(x_folder / "artifact");
    }

    void tearDown() override {
        x_executor->destroy(x_self);
        std::filesystem::remove_all(x_folder);
    }

    void aManifestNamesItsRuntime() {
        std::string text;
        const auto sink = sinkTo(text);
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK}, x_executor->describe(x_self, &sink, &x_error));
        simdjson::dom::parser parser;
        const simdjson::dom::element manifest = parser.parse(text);
        const simdjson::dom::element runtime = manifest["runtimes"].at(0);
        CPPUNIT_ASSERT(std::string_view(runtime["name"]) == "python");
        CPPUNIT_ASSERT(std::string_view(runtime["aliases"].at(0)["name"]) == "python3");
        CPPUNIT_ASSERT(std::string_view(runtime["source_file"]) == "main.py");
        CPPUNIT_ASSERT_EQUAL(size_t{4}, simdjson::dom::array(runtime["templates"]).size());
        for (const simdjson::dom::element entry : simdjson::dom::array(runtime["templates"])) {
            const std::string definition =
                "def " + std::string(std::string_view(entry["handler"])) + "(event, context)";
            CPPUNIT_ASSERT(std::string_view(entry["code"]).find(definition) !=
                           std::string_view::npos);
        }
        CPPUNIT_ASSERT(text.find("\"PYTHONHASHSEED\"") != std::string::npos);
        CPPUNIT_ASSERT(text.find("\"TZ\"") == std::string::npos);
    }

    void handlersAreJudgedByTheirForm() {
        for (const char* handler : {"handler", "main.handler", "_h1", "h\xc3\xa9"}) {
            Function function;
            function.handler = handler;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(handler, cf_status{CF_OK}, validate(function));
        }
        for (const std::string& handler :
             {std::string{}, std::string{"a b"}, std::string{"."}, std::string{"main."},
              std::string{".handler"}, std::string{"main..handler"}, std::string{"class"},
              std::string{"../x"}, std::string{"/etc/passwd"}, std::string{"a\0b", 3},
              std::string{"1a"}, std::string(4096, 'a')}) {
            Function function;
            function.handler = handler;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(handler, cf_status{CF_INVALID}, validate(function));
            CPPUNIT_ASSERT(x_text.find("module.function") != std::string::npos);
        }
    }

    void handlersMustBeInAFile() {
        Function function;
        function.files = {{"a.py", "def f(): pass"},
                          {"b.py", ""},
                          {"pkg/__init__.py", "def g(): pass"},
                          {"pkg/deep.py", "def h(): pass"}};
        const std::map<std::string, cf_status> expected = {{"f", CF_INVALID},
                                                           {"a.f", CF_OK},
                                                           {"pkg.g", CF_OK},
                                                           {"pkg.deep.h", CF_OK},
                                                           {"c.f", CF_INVALID}};
        for (const auto& [handler, status] : expected) {
            function.handler = handler;
            CPPUNIT_ASSERT_EQUAL_MESSAGE(handler, status, validate(function));
        }
        function.files = {{"readme.txt", "x"}};
        function.handler = "handler";
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_INVALID}, validate(function));
        function.files = {{"only.py", "def handler(): pass"}};
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK}, validate(function));
        function.handler = "handlr";
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK}, validate(function));
        CPPUNIT_ASSERT(x_text.find("\"warning\"") != std::string::npos);
    }

    void thePlaceOfThePythonCannotBeSet() {
        Function function;
        function.environment = {{"PYTHONHOME", "/tmp"}};
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_INVALID}, validate(function));
    }

    void aGenericWorkerIsPrewarmed() {
        Function function;
        function.environment = {
            {"TZ", "UTC"}, {"OMP_NUM_THREADS", "1"}, {"PYTHONPATH", "/function/lib"}};
        for (const cf_function* f : {static_cast<const cf_function*>(nullptr), function.get()}) {
            PlanSeen plan;
            CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK},
                                 x_executor->plan(x_self, f, &plan.table, &x_error));
            CPPUNIT_ASSERT_EQUAL(std::string{"/opt/python/bin/python3.9"}, plan.arguments.front());
            CPPUNIT_ASSERT_EQUAL(
                std::string{"/opt/cloudfunction/python/__pycache__/worker.cpython-39.opt-2.pyc"},
                plan.arguments.back());
            CPPUNIT_ASSERT(plan.has("-I") && plan.has("-S") && plan.has("-B") && plan.has("utf8"));
            CPPUNIT_ASSERT_EQUAL(std::string{"/home/of/python"},
                                 plan.mounts["/opt/cloudfunction/python"]);
            CPPUNIT_ASSERT_EQUAL(std::string{"/opt/python"}, plan.mounts["/opt/python"]);
            CPPUNIT_ASSERT_EQUAL(uint64_t{1}, plan.values[CF_PLAN_CHECKS]);
            CPPUNIT_ASSERT_EQUAL(uint64_t{100}, plan.values[CF_PLAN_CONCURRENCY]);
            CPPUNIT_ASSERT_EQUAL(uint64_t{0}, plan.values[CF_PLAN_NOT_PREWARMED]);
            CPPUNIT_ASSERT_EQUAL(size_t{0}, plan.environment.count("TZ"));
        }
    }

    void startTimeVariablesCostAWorkerOfItsOwn() {
        Function function;
        function.environment = {{"PYTHONHASHSEED", "0"}, {"SECRET", "x"}};
        PlanSeen plan;
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK},
                             x_executor->plan(x_self, function.get(), &plan.table, &x_error));
        CPPUNIT_ASSERT_EQUAL(uint64_t{1}, plan.values[CF_PLAN_NOT_PREWARMED]);
        CPPUNIT_ASSERT_EQUAL(std::string{"0"}, plan.environment["PYTHONHASHSEED"]);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, plan.environment.count("SECRET"));
        CPPUNIT_ASSERT(!plan.has("-I") && plan.has("utf8"));
        function.environment = {{"LANG", "de_DE.ISO-8859-1"}};
        PlanSeen latin;
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK},
                             x_executor->plan(x_self, function.get(), &latin.table, &x_error));
        CPPUNIT_ASSERT(!latin.has("utf8"));
        CPPUNIT_ASSERT_EQUAL(std::string{"de_DE.ISO-8859-1"}, latin.environment["LANG"]);
    }

    void withoutAnInterpreterThereIsNoPlan() {
        void* bare = x_executor->create(&host.table, {}, &x_error);
        PlanSeen plan;
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_UNAVAILABLE},
                             x_executor->plan(bare, nullptr, &plan.table, &x_error));
        CPPUNIT_ASSERT(std::string{x_error.hint}.find("apt install python3") != std::string::npos);
        x_executor->destroy(bare);
    }

    void preparingCopiesAndStartsNothing() {
        Function function;
        function.files.emplace_back("data/words.txt", "one\n");
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK}, prepare(function));
        for (const auto& [name, content] : function.files)
            CPPUNIT_ASSERT_EQUAL(content, read("artifact/" + name));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, host.checked.size());
        CPPUNIT_ASSERT_EQUAL(std::string{"main.py"}, host.checked.front());
        CPPUNIT_ASSERT_EQUAL(0, host.tools);
    }

    // That the tool fails here, as it does in a test without a sandbox, is no reason to refuse.
    void manySourcesAreCompiledAhead() {
        Function function;
        function.files.emplace_back("data.txt", std::string(200 * 1024, 'x'));
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK}, prepare(function));
        CPPUNIT_ASSERT_EQUAL(0, host.tools);
        function.files.emplace_back("large.py", std::string(128 * 1024, '\n'));
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK}, prepare(function));
        CPPUNIT_ASSERT_EQUAL(1, host.tools);
        const std::vector<std::string> expected{"/opt/python/bin/python3.9",
                                                "-I",
                                                "-S",
                                                "-B",
                                                "-W",
                                                "ignore",
                                                "/home/of/python/compile_sources.py",
                                                x_folder / "source",
                                                x_folder / "artifact"};
        CPPUNIT_ASSERT(expected == host.program);
        CPPUNIT_ASSERT_EQUAL(std::string(128 * 1024, '\n'), read("artifact/large.py"));
    }

    void preparingReportsWhatIsWrong() {
        Function function;
        function.files.emplace_back("lib/util.py", "def f(:\n");
        host.remarks["lib/util.py"] =
            R"([{"file":"lib/util.py","line":1,"column":7,"message":"invalid syntax",)"
            R"("severity":"error","kind":"SyntaxError"}])";
        host.remarks["main.py"] =
            R"([{"file":"main.py","line":2,"column":0,"message":"odd","severity":"warning",)"
            R"("kind":"SyntaxWarning"}])";
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_INVALID}, prepare(function));
        CPPUNIT_ASSERT_EQUAL(std::string{"lib/util.py, line 1: invalid syntax"},
                             std::string{x_error.message});
        CPPUNIT_ASSERT_EQUAL(size_t{2}, host.diagnostics.size());
        CPPUNIT_ASSERT_EQUAL(std::string{"main.py:2:0:odd"}, host.diagnostics[0]);
        CPPUNIT_ASSERT_EQUAL(std::string{"lib/util.py:1:7:invalid syntax"}, host.diagnostics[1]);
        host.remarks.erase("lib/util.py");
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_OK}, prepare(function));
    }

    void endsAreExplained() {
        CPPUNIT_ASSERT_EQUAL(
            std::string{"the interpreter crashed (segmentation fault) in lib/a.py, line 12"},
            explain(-1, 11,
                    "Fatal Python error: Segmentation fault\n\nCurrent thread (most recent "
                    "call first):\n  File \"/usr/lib/python3.11/ctypes/__init__.py\", line 5 in x\n"
                    "  File \"/function/lib/a.py\", line 12 in handler\n"));
        CPPUNIT_ASSERT_EQUAL(std::string{"the interpreter crashed (aborted)"}, explain(-1, 6, ""));
        CPPUNIT_ASSERT_EQUAL(std::string{"the function ended its own process with exit code 3"},
                             explain(3, 0, ""));
        CPPUNIT_ASSERT(explain(-1, 11, "Fatal Python error: Cannot recover from stack overflow.")
                           .find("overflowed the stack") != std::string::npos);
        CPPUNIT_ASSERT(explain(1, 0, "ModuleNotFoundError: No module named 'encodings'")
                           .find("cannot start") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string{}, explain(-1, 9, ""));
        for (const int signal : {0, 9})
            CPPUNIT_ASSERT_EQUAL(
                std::string{
                    "Python did not start: PYTHONHASHSEED must be \"random\" or an integer"},
                explain(signal == 0 ? 1 : -1, signal,
                        "Fatal Python error: config_init_hash_seed: PYTHONHASHSEED must be "
                        "\"random\" or an integer\nPython runtime state: preinitialized\n\n"));
        CPPUNIT_ASSERT(
            explain(-1, 9, "object repr     : OSError(9, 'Bad file descriptor')\nlost sys.stderr\n")
                .find("descriptor 3 was closed") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string{"the interpreter crashed (bus error) in main.py, line 1"},
                             explain(-1, 9,
                                     "Fatal Python error: Bus error\n\n"
                                     "  File \"/function/main.py\", line 1 in handler\n"));
    }

    void probingAsksTheInterpreterItself() {
        if (::access("/usr/bin/python3", X_OK) != 0) return;
        // A version manager's shim: a script in a folder of its own that runs the real thing.
        const auto shim = x_folder / "python3";
        std::ofstream(shim) << "#!/bin/sh\nexec /usr/bin/python3 \"$@\"\n";
        ::chmod(shim.c_str(), 0755);
        host.properties["path"] = shim;
        std::string found;
        CPPUNIT_ASSERT_EQUAL_MESSAGE(x_error.message, cf_status{CF_OK}, probe(found));
        CPPUNIT_ASSERT(found.find("\"executable\":\"/usr/bin/python3") != std::string::npos);
        CPPUNIT_ASSERT(found.find("\"mounts\":[]") != std::string::npos);
        CPPUNIT_ASSERT(found.find("\"compatibility\":\"3.") != std::string::npos);
        CPPUNIT_ASSERT(found.find("\"shim\":\"worker.py\"") != std::string::npos);
        // As it was built: with the shim compiled for this interpreter.
        host.properties["home"] = std::filesystem::path(PLUGIN).replace_extension();
        CPPUNIT_ASSERT_EQUAL_MESSAGE(x_error.message, cf_status{CF_OK}, probe(found));
        CPPUNIT_ASSERT_MESSAGE(
            found, found.find("\"shim\":\"__pycache__/worker.cpython-3") != std::string::npos);
    }

    void probingRefusesWhatIsTooOld() {
        const auto old = x_folder / "python3";
        std::ofstream(old)
            << "#!/bin/sh\necho '{\"version\":\"3.6.15\",\"major\":3,\"minor\":6,\"executable\":\""
            << old.string() << "\",\"mounts\":[],\"private\":[]}'\n";
        ::chmod(old.c_str(), 0755);
        host.properties["path"] = old;
        std::string found;
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_UNAVAILABLE}, probe(found));
        CPPUNIT_ASSERT(std::string{x_error.message}.find("3.6.15, older than 3.7") !=
                       std::string::npos);
        host.properties["path"] = x_folder / "none";
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_UNAVAILABLE}, probe(found));
        std::ofstream(x_folder / "deaf") << "#!/bin/sh\nexit 0\n";
        ::chmod((x_folder / "deaf").c_str(), 0755);
        host.properties["path"] = x_folder / "deaf";
        CPPUNIT_ASSERT_EQUAL(cf_status{CF_UNAVAILABLE}, probe(found));
    }

private:
    cf_status probe(std::string& found) {
        const auto sink = sinkTo(found);
        return x_executor->probe(x_self, &sink, &x_error);
    }

    cf_status validate(Function& function) {
        x_text.clear();
        const auto sink = sinkTo(x_text);
        return x_executor->validate(x_self, function.get(), &sink, &x_error);
    }

    cf_status prepare(Function& function) {
        for (const auto& [name, content] : function.files) {
            std::filesystem::create_directories((x_folder / "source" / name).parent_path());
            std::ofstream(x_folder / "source" / name) << content;
        }
        const std::string source = x_folder / "source", artifact = x_folder / "artifact";
        return x_executor->prepare(x_self, nullptr, function.get(), view(source), view(artifact),
                                   &x_error);
    }

    std::string read(const std::string& name) const {
        std::ifstream file(x_folder / name);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    std::string explain(int32_t code, int32_t signal, std::string_view errors) {
        auto end = prefixed<cf_exit>();
        end.exit_code = code;
        end.signal = signal;
        end.last_errors = view(errors);
        x_error = prefixed<cf_error>();
        return x_executor->describe_exit(x_self, &end, &x_error) == CF_OK ? x_error.message : "";
    }

    void* x_library = nullptr;
    const cf_executor* x_executor = nullptr;
    void* x_self = nullptr;
    cf_error x_error = prefixed<cf_error>();
    std::string x_text;
    std::filesystem::path x_folder;
};

CPPUNIT_TEST_SUITE_REGISTRATION(ExecutorTest);

}  // namespace

int main() {
    setUpHost();
    CppUnit::TextUi::TestRunner runner;
    runner.addTest(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
    return runner.run() ? 0 : 1;
}
