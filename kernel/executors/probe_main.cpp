#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <exception>

#include "base/json.hpp"
#include "executors/host.hpp"
#include "executors/plugin_table.hpp"
#include "executors/probe.hpp"

namespace cf::executors {

namespace {

constexpr size_t inputLimit = 1u << 20;

void writeOrEnd(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t put = ::write(fd, text.data(), text.size());
        if (put <= 0) ::_exit(1);
        text.remove_prefix(static_cast<size_t>(put));
    }
}

std::map<std::string, std::string> readProperties() {
    std::string input;
    char piece[4096];
    for (ssize_t got;
         input.size() < inputLimit && (got = ::read(STDIN_FILENO, piece, sizeof piece)) > 0;)
        input.append(piece, static_cast<size_t>(got));
    std::map<std::string, std::string> properties;
    auto document = base::JsonDocument::parse(input);
    simdjson::dom::object fields;
    if (!document || document->root().get(fields) != simdjson::SUCCESS) return properties;
    for (const auto field : fields) {
        std::string_view value;
        if (field.value.get(value) == simdjson::SUCCESS) properties.emplace(field.key, value);
    }
    return properties;
}

// Takes standard output away from whatever the plugin prints: it goes to standard error. The
// descriptor that stays is closed in processes that the plugin starts.
int takeStandardOutput() {
    const int report = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10);
    if (report < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) ::_exit(1);
    return report;
}

struct Cut {
    std::string text;
    size_t limit;
};

cf_sink sinkTo(Cut& target) {
    auto sink = prefixed<cf_sink>();
    sink.context = &target;
    sink.write = [](void* context, cf_view bytes) {
        auto& bounded = *static_cast<Cut*>(context);
        // One byte above the limit is enough to be refused for its size later.
        bounded.text.append(viewText(bytes).substr(0, bounded.limit + 1 - bounded.text.size()));
    };
    return sink;
}

// Loads and asks the plugin; writes `report` after every step that went well.
class Probe {
public:
    Probe(int descriptor, ExecutorHost& host) : descriptor_(descriptor), host_(host) {}

    void run(const std::string& library) {
        // RTLD_NOW: a symbol that nobody defines is found here instead of in the middle of a build.
        void* handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr)
            return unavailable(std::string("it cannot be loaded: ") + ::dlerror(),
                               "build it for this machine and link all it needs");
        const auto entry =
            reinterpret_cast<cf_executor_entry_fn>(::dlsym(handle, "cf_executor_entry"));
        if (entry == nullptr)
            return unavailable("it has no function cf_executor_entry, so it is no executor",
                               "export cf_executor_entry (see docs/writing-an-executor.md)");
        auto read = readPlugin(entry, host_.table());
        if (!read) return unavailable(read.failure().detail, read.failure().hint);
        const cf_executor& table = read->operations;
        report_.id = read->id;
        report_.version = read->version;
        report_.abi = read->abi;
        tell();

        host_.setId(read->id);
        auto error = prefixed<cf_error>();
        void* self = table.create(host_.table(), cf_view{nullptr, 0}, &error);
        if (self == nullptr)
            return unavailable("create failed: " + errorMessage(error, "no reason given"),
                               errorHint(error));

        Cut manifest{{}, manifestLimit};
        const cf_sink manifestSink = sinkTo(manifest);
        error = prefixed<cf_error>();
        if (table.describe(self, &manifestSink, &error) != CF_OK)
            return unavailable("describe failed: " + errorMessage(error, "no reason given"),
                               errorHint(error));
        if (auto parsed = parseManifest(manifest.text); !parsed)
            return unavailable(parsed.failure().detail, "");
        report_.manifestJson = manifest.text;
        tell();

        Cut found{{}, foundLimit};
        const cf_sink foundSink = sinkTo(found);
        error = prefixed<cf_error>();
        const cf_status status = table.probe(self, &foundSink, &error);
        if (status != CF_OK)
            return unavailable(errorMessage(error, "its probe failed without a reason"),
                               errorHint(error));
        report_.found = found.text.empty() ? "{}" : found.text;
        tell();
    }

    void unavailable(std::string reason, std::string hint) {
        report_.unavailable = Unavailable{std::move(reason), std::move(hint)};
        tell();
    }

private:
    void tell() { writeOrEnd(descriptor_, writeReport(report_)); }

    int descriptor_;
    ExecutorHost& host_;
    ProbeReport report_;
};

}  // namespace

void probeMain(const std::vector<std::string>& arguments) {
    const int descriptor = takeStandardOutput();
    if (arguments.size() != 2) {
        writeOrEnd(STDERR_FILENO, "usage: cloudfunction probe-executor <library> <folder>\n");
        ::_exit(2);
    }
    // A crash is an expected outcome here and leaves no core file.
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    ExecutorHost host(readProperties(), arguments[1]);
    Probe probe(descriptor, host);
    try {
        probe.run(arguments[0]);
    } catch (const std::exception& exception) {
        probe.unavailable(std::string("it threw an exception: ") + exception.what(),
                          "exceptions must not leave an operation");
    } catch (...) {
        probe.unavailable("it threw an exception", "exceptions must not leave an operation");
    }
    ::_exit(0);
}

}  // namespace cf::executors
