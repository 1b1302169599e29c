// What the executor has the host do for packages: which tools run, with which network and mounts,
// which locks are kept and what layers are made of. The host is one of a few lines; its tool is
// scripted, so no interpreter runs.
#include <cppunit/TestFixture.h>
#include <cppunit/extensions/HelperMacros.h>
#include <dlfcn.h>
#include <simdjson.h>
#include <unistd.h>

#include <cloudfunction/executor.hpp>
#include <filesystem>
#include <fstream>
#include <map>

namespace {

using namespace cloudfunction;
namespace fs = std::filesystem;
using Files = std::vector<std::pair<std::string, std::string>>;

struct ToolSeen {
    std::string task, input;
    bool network = false;
    std::map<std::string, std::string> environment,
        mounts;  // mounts: source by target, "w:" before writable ones
};

// One for all tests of this file: the plugin gets no context of its own for jobs.
struct PackageHost {
    fs::path folder;
    std::map<std::string, std::string> properties;
    std::map<std::string, std::string> answers;  // of packages.py, by task
    std::vector<ToolSeen> tools;
    std::map<std::string, std::string> mounts;
    std::map<std::string, std::string> locks, oldLocks;  // content by name and made_from
    std::vector<std::string> layers, diagnostics;
    bool layerIsThere = false;
    cf_host table = prefixed<cf_host>();
} seen;

cf_status runTool(cf_job*, const cf_tool* tool, cf_tool_result* result, cf_error*) {
    ToolSeen now;
    now.input = string(tool->input);
    now.network = tool->network == CF_NETWORK_BUILD;
    now.mounts = seen.mounts;
    for (uint64_t i = 0; i < tool->environment_count; ++i)
        now.environment[string(tool->environment[i].name)] = string(tool->environment[i].value);
    simdjson::dom::parser parser;
    const simdjson::dom::element request = parser.parse(now.input);
    now.task = std::string(std::string_view(request["task"]));
    const std::string folder{std::string_view(request["folder"])};
    auto& answer = seen.answers[now.task];
    std::ofstream(folder + "/answer.json") << (answer.empty() ? "{}" : answer);
    if (now.task == "build") std::ofstream(folder + "/built/odd-1.0-py3-none-any.whl") << "wheel";
    result->exit_code = answer.find("\"error\"") == std::string::npos ? 0 : 1;
    if (now.task == "resolve" && seen.answers.count("resolve again") != 0)
        answer = seen.answers["resolve again"];
    seen.tools.push_back(std::move(now));
    return CF_OK;
}

void setUpHost() {
    auto& t = seen.table;
    t.log = [](void*, int32_t, cf_view) {};
    t.property = [](void*, cf_view key, const cf_sink* value) -> cf_status {
        const auto found = seen.properties.find(string(key));
        if (found == seen.properties.end()) return CF_FAILED;
        value->write(value->context, view(found->second));
        return CF_OK;
    };
    t.get_extension = [](void*, cf_view) -> const void* { return nullptr; };
    t.cancelled = [](cf_job*) -> int32_t { return 0; };
    t.tool_mount = [](cf_job*, cf_view source, cf_view target, uint32_t flags) {
        seen.mounts[string(target)] =
            ((flags & 0xFF) == CF_MOUNT_WRITABLE ? "w:" : "") + string(source);
    };
    t.run_tool = &runTool;
    t.check = [](cf_job*, cf_view, cf_view, const cf_sink* remarks, cf_error*) -> cf_status {
        remarks->write(remarks->context, view("[]"));
        return CF_OK;
    };
    t.diagnostic = [](cf_job*, const cf_diagnostic* d) {
        seen.diagnostics.push_back(string(d->file) + ":" + std::to_string(d->line) + ":" +
                                   string(d->message));
    };
    t.build_log = [](cf_job*, cf_view) {};
    t.scratch = [](cf_job*, const cf_sink* path) {
        path->write(path->context, view((seen.folder / "scratch").string()));
    };
    t.recall_lock = [](cf_job*, cf_view name, cf_view from, uint32_t flags,
                       const cf_sink* content) -> cf_status {
        const auto& locks = (flags & CF_LOCK_OF_ANY_AGE) != 0 ? seen.oldLocks : seen.locks;
        const auto found = locks.find(string(name) + "\n" + string(from));
        if (found == locks.end()) return CF_FAILED;
        content->write(content->context, view(found->second));
        return CF_OK;
    };
    t.keep_lock = [](cf_job*, cf_view name, cf_view from, cf_view content) {
        seen.locks[string(name) + "\n" + string(from)] = string(content);
    };
    t.layer = [](cf_job*, cf_view key, uint32_t, cf_layer_fill fill, void* context,
                 const cf_sink* directory, const cf_sink* link, cf_error* error) -> cf_status {
        seen.layers.push_back(string(key));
        const std::string folder = seen.folder / "layer";
        if (!seen.layerIsThere)
            if (const auto status = fill(context, view(folder), error); status != CF_OK)
                return status;
        directory->write(directory->context, view(folder));
        link->write(link->context, view("../../layers/k"));
        return CF_OK;
    };
}

constexpr const char* known =
    R"({"version":"3.9.1","path":"/opt/p","executable":"/opt/p/bin/python3.9","mounts":["/opt/p"],)"
    R"("tag":"cpython-39","installer":{"version":"23.0.1","environment":[["PIP_INDEX_URL","https://me:secret@i/"]],)"
    R"("mounts":["/home/me/client.pem"],"secrets":["/home/me/client.pem"]}})";

class PackagesTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(PackagesTest);
    CPPUNIT_TEST(aNewChoiceIsLockedAndInstalledWithoutNetwork);
    CPPUNIT_TEST(aKeptLockWithItsLayerRunsNothing);
    CPPUNIT_TEST(anOldLockDoesWhileTheIndexIsAway);
    CPPUNIT_TEST(aFailureNamesTheLine);
    CPPUNIT_TEST(ownWheelsNeedNoNetwork);
    CPPUNIT_TEST(sourcesAreBuiltWithoutNetworkAndSecrets);
    CPPUNIT_TEST(withoutPipThePackageToInstallIsNamed);
    CPPUNIT_TEST(dependenciesBecomeRequirements);
    CPPUNIT_TEST_SUITE_END();

public:
    void setUp() override {
        setUpHost();
        seen.folder =
            fs::temp_directory_path() / ("cf-python-packages-" + std::to_string(::getpid()));
        for (const char* part : {"source", "artifact", "scratch", "layer"})
            fs::create_directories(seen.folder / part);
        seen.properties = {{"home", "/home/of/python"}};
        seen.answers = {{"resolve", R"({"lock":"one==1.0 --hash=sha256:aa\n"})"}};
        seen.tools.clear();
        seen.mounts.clear();
        seen.locks.clear();
        seen.oldLocks.clear();
        seen.layers.clear();
        seen.diagnostics.clear();
        seen.layerIsThere = false;
        void* library = ::dlopen(PLUGIN, RTLD_NOW | RTLD_LOCAL);
        CPPUNIT_ASSERT(library != nullptr);
        x_executor = reinterpret_cast<cf_executor_entry_fn>(::dlsym(library, "cf_executor_entry"))(
            &seen.table, &x_error);
        x_self = x_executor->create(&seen.table, view(known), &x_error);
    }

    void tearDown() override {
        x_executor->destroy(x_self);
        fs::remove_all(seen.folder);
    }

    void aNewChoiceIsLockedAndInstalledWithoutNetwork() {
        prepare({{"main.py", "def handler(): pass\n"}, {"requirements.txt", "one\n"}}, CF_OK);
        CPPUNIT_ASSERT_EQUAL(std::string{"resolve install "}, tasks());
        CPPUNIT_ASSERT(seen.tools[0].network && !seen.tools[1].network);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, seen.tools[0].environment.count("PIP_INDEX_URL"));
        CPPUNIT_ASSERT_EQUAL(size_t{0}, seen.tools[1].environment.count("PIP_INDEX_URL"));
        CPPUNIT_ASSERT_EQUAL(size_t{1}, seen.locks.size());
        CPPUNIT_ASSERT(seen.locks.begin()->first.find("requirements.lock\npython 3.9 cpython-39") ==
                       0);
        CPPUNIT_ASSERT(seen.layers.at(0).find("one==1.0 --hash=sha256:aa") != std::string::npos);
        CPPUNIT_ASSERT_EQUAL(std::string{"../../layers/k/site-packages"},
                             fs::read_symlink(seen.folder / "artifact/site-packages").string());
        CPPUNIT_ASSERT(fs::exists(seen.folder / "artifact/main.py"));
    }

    void aKeptLockWithItsLayerRunsNothing() {
        const Files files{{"main.py", "def handler(): pass\n"}, {"requirements.txt", "one\n"}};
        prepare(files, CF_OK);
        seen.tools.clear();
        seen.layerIsThere = true;
        fs::remove(seen.folder / "artifact/site-packages");
        prepare(files, CF_OK);
        CPPUNIT_ASSERT(seen.tools.empty());
        CPPUNIT_ASSERT_EQUAL(seen.layers.at(0), seen.layers.at(1));
    }

    void anOldLockDoesWhileTheIndexIsAway() {
        const Files files{{"main.py", "def handler(): pass\n"}, {"requirements.txt", "one\n"}};
        prepare(files, CF_OK);
        seen.oldLocks.swap(seen.locks);
        fs::remove(seen.folder / "artifact/site-packages");
        seen.answers["resolve"] =
            R"({"error":{"kind":"network","message":"the index is away","hint":"h","name":""}})";
        seen.layerIsThere = true;
        prepare(files, CF_OK);
        CPPUNIT_ASSERT_EQUAL(size_t{1}, seen.locks.size());
        fs::remove(seen.folder / "artifact/site-packages");
        seen.locks.clear();
        seen.layerIsThere = false;
        prepare(files, CF_INVALID);
        CPPUNIT_ASSERT_EQUAL(std::string{"the index is away"}, std::string{x_error.message});
    }

    void aFailureNamesTheLine() {
        seen.answers["resolve"] =
            R"({"error":{"kind":"not_found","message":"no two","hint":"spell","name":"Two_X"}})";
        prepare(
            {{"main.py", "def handler(): pass\n"}, {"requirements.txt", "one\n# why\ntwo.x>1\n"}},
            CF_INVALID);
        CPPUNIT_ASSERT_EQUAL(std::string{"requirements.txt:3:no two"}, seen.diagnostics.at(0));
        CPPUNIT_ASSERT_EQUAL(std::string{"spell"}, std::string{x_error.hint});
        CPPUNIT_ASSERT(seen.locks.empty());
    }

    void ownWheelsNeedNoNetwork() {
        prepare(
            {{"main.py", "def handler(): pass\n"}, {"wheels/one-1.0-py3-none-any.whl", "bytes"}},
            CF_OK);
        CPPUNIT_ASSERT_EQUAL(std::string{"install "}, tasks());
        CPPUNIT_ASSERT(!seen.tools[0].network);
        CPPUNIT_ASSERT(seen.layers.at(0).find("bytes") != std::string::npos);
        CPPUNIT_ASSERT(!fs::exists(seen.folder / "artifact/wheels"));
    }

    void sourcesAreBuiltWithoutNetworkAndSecrets() {
        seen.properties["source_builds"] = "true";
        seen.answers = {
            {"resolve",
             R"({"error":{"kind":"no_wheel","message":"m","hint":"h","name":"odd","requirement":"odd>=1"}})"},
            {"resolve again", R"({"lock":"odd==1.0 --hash=sha256:bb  # source\n"})"},
            {"sdist", R"({"file":"odd-1.0.tar.gz","sha256":"bb"})"},
            {"build", R"({"file":"odd-1.0-py3-none-any.whl"})"}};
        prepare({{"main.py", "def handler(): pass\n"}, {"requirements.txt", "odd\n"}}, CF_OK);
        CPPUNIT_ASSERT_EQUAL(std::string{"resolve sdist build resolve install "}, tasks());
        const auto& build = seen.tools[2];
        CPPUNIT_ASSERT(!build.network);
        CPPUNIT_ASSERT_EQUAL(size_t{0}, build.environment.count("PIP_INDEX_URL"));
        CPPUNIT_ASSERT_EQUAL((seen.folder / "scratch/nothing").string(),
                             build.mounts.at("/home/me/client.pem"));
        const auto packages = (seen.folder / "scratch/packages").string();
        CPPUNIT_ASSERT_EQUAL(packages, build.mounts.at(packages));
        CPPUNIT_ASSERT_EQUAL("w:" + packages, seen.tools[3].mounts.at(packages));
        CPPUNIT_ASSERT(fs::exists(packages + "/built/odd-1.0-py3-none-any.whl"));
        // A wheel counts for the archive that it was made of, and only where this job made it.
        const auto made = [](const ToolSeen& tool) {
            return tool.input.substr(tool.input.find("\"built\":"));
        };
        CPPUNIT_ASSERT_EQUAL(std::string{R"("built":{}})"}, made(seen.tools[0]));
        for (const size_t later : {3, 4})
            CPPUNIT_ASSERT_EQUAL(std::string{R"("built":{"odd-1.0-py3-none-any.whl":"bb"}})"},
                                 made(seen.tools[later]));
    }

    void withoutPipThePackageToInstallIsNamed() {
        void* bare = x_executor->create(
            &seen.table,
            view(R"({"version":"3.9.1","executable":"/opt/p/bin/python3.9","mounts":[]})"),
            &x_error);
        std::swap(bare, x_self);
        prepare({{"main.py", "def handler(): pass\n"}, {"requirements.txt", "one\n"}},
                CF_UNAVAILABLE);
        std::swap(bare, x_self);
        x_executor->destroy(bare);
        CPPUNIT_ASSERT(std::string{x_error.hint}.find("python3-pip") != std::string::npos);
    }

    void dependenciesBecomeRequirements() {
        std::string name, content;
        CPPUNIT_ASSERT_EQUAL(
            cf_status{CF_OK},
            write({"requests", "Flask[async]>=2,<3; python_version > '3.6'"}, name, content));
        CPPUNIT_ASSERT_EQUAL(std::string{"requirements.txt"}, name);
        CPPUNIT_ASSERT_EQUAL(std::string{"requests\nFlask[async]>=2,<3; python_version > '3.6'\n"},
                             content);
        for (const char* wrong : {"", "left-pad@1", "a b", "a=1", "a==", "a[", "a>1 ; $(x)", "./a",
                                  "a.whl", "-e .", "https://e.org/a.whl", "a @ https://e.org/a.whl",
                                  "git+https://e.org/a", "${A}", "a\nb"}) {
            CPPUNIT_ASSERT_EQUAL_MESSAGE(wrong, cf_status{CF_INVALID},
                                         write({wrong}, name, content));
            CPPUNIT_ASSERT(std::string{x_error.message}.size() > 10);
        }
        // What is advised can be written.
        for (const auto& [wrong, advice] :
             std::map<std::string, std::string>{{"ms@", "write ms, or ms==1.2 for a version"},
                                                {"ms=", "write ms, or ms==1.2"},
                                                {"ms@^2", "write ms, or ms==1.2"},
                                                {"ms@1.0", "write ms==1.0"}}) {
            CPPUNIT_ASSERT_EQUAL(cf_status{CF_INVALID}, write({wrong}, name, content));
            CPPUNIT_ASSERT_MESSAGE(x_error.message,
                                   std::string{x_error.message}.find(advice) != std::string::npos);
        }
    }

private:
    cf_status write(const std::vector<std::string>& wanted, std::string& name,
                    std::string& content) {
        std::vector<cf_view> views;
        for (const auto& one : wanted) views.push_back(view(one));
        const auto nameSink = sinkTo(name), contentSink = sinkTo(content);
        const auto function = prefixed<cf_function>();
        return x_executor->write_dependencies(x_self, &function, views.data(), views.size(),
                                              sizeof(cf_view), &nameSink, &contentSink, &x_error);
    }

    void prepare(const Files& files, cf_status expected) {
        std::vector<cf_file> views;
        for (const auto& [name, content] : files) {
            views.push_back({view(name), view(content)});
            fs::create_directories((seen.folder / "source" / name).parent_path());
            std::ofstream(seen.folder / "source" / name) << content;
        }
        auto function = prefixed<cf_function>();
        function.name = view("test");
        function.handler = view("handler");
        function.files = views.data();
        function.file_count = views.size();
        function.file_stride = sizeof(cf_file);
        const std::string source = seen.folder / "source", artifact = seen.folder / "artifact";
        CPPUNIT_ASSERT_EQUAL_MESSAGE(x_error.message, expected,
                                     x_executor->prepare(x_self, nullptr, &function, view(source),
                                                         view(artifact), &x_error));
    }

    static std::string tasks() {
        std::string all;
        for (const auto& tool : seen.tools) all += tool.task + " ";
        return all;
    }

    const cf_executor* x_executor = nullptr;
    void* x_self = nullptr;
    cf_error x_error = prefixed<cf_error>();
};

CPPUNIT_TEST_SUITE_REGISTRATION(PackagesTest);

}  // namespace
