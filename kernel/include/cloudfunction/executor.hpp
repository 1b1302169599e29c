// Optional C++20 sugar over executor.h for people who write an executor in C++. Header only; it never crosses the
// boundary itself. Derive from Executor, then put CF_DEFINE_EXECUTOR(YourClass) into one source file.
//
// Every operation may throw: Failed becomes its status, message and hint; any other exception becomes CF_FAILED.
#pragma once

#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "executor.h"

namespace cloudfunction {

inline cf_view view(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view text(cf_view bytes) {
    return bytes.size == 0 ? std::string_view{} : std::string_view{bytes.data, static_cast<size_t>(bytes.size)};
}
inline std::string string(cf_view bytes) { return std::string{text(bytes)}; }

// Zeroed struct with its prefix filled in.
template <typename T>
T prefixed() {
    T value;
    std::memset(&value, 0, sizeof value);
    value.struct_size = sizeof(T);
    value.abi_major = CF_ABI_MAJOR;
    value.abi_minor = CF_ABI_MINOR;
    return value;
}

// A sink that appends to a string. The string must outlive the call it is given to.
inline cf_sink sinkTo(std::string& target) {
    auto sink = prefixed<cf_sink>();
    sink.context = &target;
    sink.write = [](void* context, cf_view bytes) { static_cast<std::string*>(context)->append(text(bytes)); };
    return sink;
}

// `text` as a JSON string with its quotes (RFC 8259 section 7). Bytes that are not UTF-8 pass as they are.
inline std::string jsonString(std::string_view value) {
    static constexpr char hex[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') (out += '\\') += c;
        else if (c == '\n') out += "\\n";
        else if (byte < 0x20) ((out += "\\u00") += hex[byte >> 4]) += hex[byte & 15];
        else out += c;
    }
    return out += '"';
}

// What an operation throws to fail in words.
struct Failed : std::exception {
    Failed(cf_status status_, std::string message_, std::string hint_ = {})
        : status(status_), message(std::move(message_)), hint(std::move(hint_)) {}
    const char* what() const noexcept override { return message.c_str(); }
    cf_status status;
    std::string message;
    std::string hint;
};

// A place in the user's source; lines and columns count from 1, 0 is unknown.
struct Remark {
    std::string file;
    uint32_t line = 0;
    uint32_t column = 0;
    std::string message;
    bool warning = false;
};

struct File {
    std::string_view name;
    std::string_view content;
};

// cf_function, read. Views last as long as the call.
struct FunctionInfo {
    explicit FunctionInfo(const cf_function& f)
        : name(text(f.name)), runtime(text(f.runtime)), handler(text(f.handler)), memoryMb(f.memory_mb),
          concurrency(f.concurrency), timeoutMs(f.timeout_ms), fromCode(f.from_code != 0) {
        const auto* file = reinterpret_cast<const char*>(f.files);
        for (uint64_t i = 0; i < f.file_count; ++i, file += f.file_stride) {
            const auto& entry = *reinterpret_cast<const cf_file*>(file);
            files.push_back({text(entry.name), text(entry.content)});
        }
        const auto* pair = reinterpret_cast<const char*>(f.environment);
        for (uint64_t i = 0; i < f.environment_count; ++i, pair += f.environment_stride) {
            const auto& entry = *reinterpret_cast<const cf_pair*>(pair);
            environment.emplace_back(text(entry.name), text(entry.value));
        }
    }
    std::string_view name, runtime, handler;
    std::vector<File> files;
    std::vector<std::pair<std::string_view, std::string_view>> environment;
    uint32_t memoryMb, concurrency;
    uint64_t timeoutMs;
    bool fromCode;
};

// What a finished tool left behind. `ok()` when it exited with 0.
struct ToolRun {
    int exitCode = -1;
    int signal = 0;
    bool outOfMemory = false;
    std::string output;
    std::string errors;
    bool ok() const { return exitCode == 0; }
};

// What to run; see cf_tool. Standard output and error are captured into ToolRun.
struct Tool {
    std::vector<std::string> argv;
    std::vector<std::pair<std::string, std::string>> environment;
    std::string directory;
    std::string input;
    uint64_t timeoutMs = 0;
    bool network = false;  // CF_NETWORK_BUILD
    bool logged = false;   // both streams also go to the build log, while it runs
    // With `logged`: what the build log gets of a line; nothing where it gives an empty text. Not set: the line.
    std::function<std::string(std::string_view line)> shown{};
};

// A dependency layer; see cf_host.layer.
struct Layer {
    std::string directory;
    std::string link;
};

// A manifest file; see cf_executor.write_dependencies.
struct ManifestFile {
    std::string name;
    std::string content;
};

// The host as an executor sees it.
class Host {
public:
    explicit Host(const cf_host* host) : host_(host) {}
    void log(int32_t level, std::string_view message) const { host_->log(host_->context, level, view(message)); }
    // The value of executor.<id>.<key>, or `fallback`.
    std::string property(std::string_view key, std::string_view fallback = {}) const {
        std::string value;
        const auto sink = sinkTo(value);
        return host_->property(host_->context, view(key), &sink) == CF_OK ? value : std::string{fallback};
    }
    const cf_host* raw() const { return host_; }

private:
    const cf_host* host_;
};

// One build, on the thread that runs it.
class Job {
public:
    Job(const cf_host* host, cf_job* job) : host_(host), job_(job) {}
    bool cancelled() const { return host_->cancelled(job_) != 0; }
    void log(std::string_view line) const { host_->build_log(job_, view(line)); }
    void mount(std::string_view source, std::string_view target, uint32_t flags) const {
        host_->tool_mount(job_, view(source), view(target), flags);
    }
    void report(const Remark& remark) const {
        auto d = prefixed<cf_diagnostic>();
        d.file = view(remark.file);
        d.line = remark.line;
        d.column = remark.column;
        d.severity = remark.warning ? CF_SEVERITY_WARNING : CF_SEVERITY_ERROR;
        d.message = view(remark.message);
        host_->diagnostic(job_, &d);
    }
    // The remarks of a warm worker on `source`, as JSON text; throws Failed when none could be asked.
    std::string check(std::string_view file, std::string_view source) const {
        std::string remarks;
        const auto sink = sinkTo(remarks);
        auto error = prefixed<cf_error>();
        const cf_status status = host_->check(job_, view(file), view(source), &sink, &error);
        if (status != CF_OK) throw Failed(status, error.message, error.hint);
        return remarks;
    }
    // Throws Failed when the tool could not be run at all.
    ToolRun run(const Tool& tool) const {
        std::vector<cf_view> argv;
        for (const auto& argument : tool.argv) argv.push_back(view(argument));
        std::vector<cf_pair> environment;
        for (const auto& [name, value] : tool.environment) environment.push_back({view(name), view(value)});
        ToolRun run;
        Stream outputs{*this, run.output, tool, {}}, problems{*this, run.errors, tool, {}};
        const auto output = outputs.sink(), errors = problems.sink();
        auto call = prefixed<cf_tool>();
        call.argv = argv.data();
        call.argc = argv.size();
        call.argv_stride = sizeof(cf_view);
        call.environment = environment.data();
        call.environment_count = environment.size();
        call.environment_stride = sizeof(cf_pair);
        call.directory = view(tool.directory);
        call.input = view(tool.input);
        call.output = &output;
        call.errors = &errors;
        call.timeout_ms = tool.timeoutMs;
        call.network = tool.network ? CF_NETWORK_BUILD : CF_NETWORK_NONE;
        auto result = prefixed<cf_tool_result>();
        auto error = prefixed<cf_error>();
        const cf_status status = host_->run_tool(job_, &call, &result, &error);
        if (status != CF_OK) throw Failed(status, error.message, error.hint);
        run.exitCode = result.exit_code;
        run.signal = result.signal;
        run.outOfMemory = result.out_of_memory != 0;
        outputs.finish();
        problems.finish();
        return run;
    }
    // See cf_host.scratch.
    std::string scratch() const {
        std::string path;
        const auto sink = sinkTo(path);
        host_->scratch(job_, &sink);
        return path;
    }
    // See cf_host.recall_lock.
    std::optional<std::string> recallLock(std::string_view name, std::string_view madeFrom, uint32_t flags = 0) const {
        std::string content;
        const auto sink = sinkTo(content);
        if (host_->recall_lock(job_, view(name), view(madeFrom), flags, &sink) != CF_OK) return std::nullopt;
        return content;
    }
    void keepLock(std::string_view name, std::string_view madeFrom, std::string_view content) const {
        host_->keep_lock(job_, view(name), view(madeFrom), view(content));
    }
    // See cf_host.layer. `fill` gets the folder to fill and may throw Failed.
    Layer layer(std::string_view key, uint32_t flags, const std::function<void(const std::string&)>& fill) const {
        Layer layer;
        const auto directory = sinkTo(layer.directory), link = sinkTo(layer.link);
        auto error = prefixed<cf_error>();
        const cf_status status = host_->layer(job_, view(key), flags, &callFill,
                                              const_cast<void*>(static_cast<const void*>(&fill)), &directory, &link, &error);
        if (status != CF_OK) throw Failed(status, error.message, error.hint);
        return layer;
    }

private:
    // Keeps what a tool writes and, where wanted, sends its lines to the build log.
    struct Stream {
        const Job& job;
        std::string& kept;
        const Tool& tool;
        std::string line;
        cf_sink sink() {
            auto s = prefixed<cf_sink>();
            s.context = this;
            s.write = [](void* context, cf_view bytes) { static_cast<Stream*>(context)->take(text(bytes)); };
            return s;
        }
        void take(std::string_view bytes) {
            kept.append(bytes);
            if (!tool.logged) return;
            for (size_t end; (end = bytes.find('\n')) != std::string_view::npos; bytes.remove_prefix(end + 1)) {
                line.append(bytes.substr(0, end));
                show();
                line.clear();
            }
            line.append(bytes);
        }
        void show() const {
            if (!tool.shown) return job.log(line);
            if (const std::string part = tool.shown(line); !part.empty()) job.log(part);
        }
        void finish() const {
            if (tool.logged && !line.empty()) show();
        }
    };

    static cf_status callFill(void* context, cf_view directory, cf_error* error);

    const cf_host* host_;
    cf_job* job_;
};

// Writes a launch plan.
class Plan {
public:
    explicit Plan(const cf_plan* plan) : plan_(plan) {}
    void argument(std::string_view value) const { plan_->argument(plan_->context, view(value)); }
    void environment(std::string_view name, std::string_view value) const {
        plan_->environment(plan_->context, view(name), view(value));
    }
    void mount(std::string_view source, std::string_view target, uint32_t flags = CF_MOUNT_READ_ONLY) const {
        plan_->mount(plan_->context, view(source), view(target), flags);
    }
    void set(uint32_t what, uint64_t value) const { plan_->set(plan_->context, what, value); }

private:
    const cf_plan* plan_;
};

struct Exit {
    int exitCode;
    int signal;
    uint32_t memoryMb;
    std::string_view lastErrors;
};

// Remarks on a function, written by `validate`; `invalid` when one is an error.
using Remarks = std::vector<Remark>;

// What an executor written in C++ derives from. See the operations of cf_executor for when and how each is called.
class Executor {
public:
    // `found`: what probe() returned in the child process where the host ran it, or empty.
    Executor(Host host, std::string_view found) : host_(host), found_(found) {}
    Executor(const Executor&) = delete;
    Executor& operator=(const Executor&) = delete;
    virtual ~Executor() = default;
    virtual std::string probe() = 0;     // JSON object; throws Failed(CF_UNAVAILABLE, reason, what to install)
    virtual std::string describe() = 0;  // JSON manifest
    virtual Remarks validate(const FunctionInfo&) { return {}; }
    virtual void prepare(const Job&, const FunctionInfo&, const std::string& sourceDir, const std::string& artifactDir) = 0;
    virtual void plan(const FunctionInfo* function, const Plan&) = 0;
    virtual bool describeExit(const Exit&, std::string& /*message*/, std::string& /*hint*/) { return false; }
    virtual void discard(std::string_view /*artifactKey*/) {}
    virtual ManifestFile writeDependencies(const FunctionInfo&, const std::vector<std::string_view>& /*dependencies*/) {
        throw Failed(CF_INVALID, "this runtime knows no dependencies");
    }

protected:
    const Host& host() const { return host_; }
    const std::string& found() const { return found_; }

private:
    Host host_;
    std::string found_;
};

namespace detail {

inline void put(char (&room)[1024], std::string_view value) {
    size_t size = value.size() < sizeof room ? value.size() : sizeof room - 1;
    while (size < value.size() && size > 0 && (static_cast<unsigned char>(value[size]) & 0xC0) == 0x80) --size;
    if (size > 0) std::memcpy(room, value.data(), size);
    room[size] = '\0';
}

inline cf_status fill(cf_error* error, cf_status status, std::string_view message, std::string_view hint = {}) {
    if (error != nullptr) {
        put(error->message, message);
        put(error->hint, hint);
    }
    return status;
}

template <typename Operation>
cf_status guarded(cf_error* error, Operation&& operation) noexcept {
    try {
        operation();
        return CF_OK;
    } catch (const Failed& failed) {
        return fill(error, failed.status, failed.message, failed.hint);
    } catch (const std::exception& exception) {
        return fill(error, CF_FAILED, exception.what());
    } catch (...) {
        return fill(error, CF_FAILED, "the executor threw something that is not an exception");
    }
}

inline std::string asJson(const Remarks& remarks) {
    std::string out = "[";
    for (const auto& remark : remarks) {
        if (out.size() > 1) out += ',';
        out += "{\"file\":" + jsonString(remark.file) + ",\"line\":" + std::to_string(remark.line) + ",\"column\":" +
               std::to_string(remark.column) + ",\"message\":" + jsonString(remark.message) + ",\"severity\":" +
               (remark.warning ? "\"warning\"" : "\"error\"") + "}";
    }
    return out += "]";
}

}  // namespace detail

inline cf_status Job::callFill(void* context, cf_view directory, cf_error* error) {
    return detail::guarded(error, [&] { (*static_cast<const std::function<void(const std::string&)>*>(context))(string(directory)); });
}

// The table of operations for an Executor class that has `static constexpr const char* id, *version`, and `static
// constexpr uint16_t requiresMinor` when it uses what came after ABI 1.0.
template <typename Class>
const cf_executor* executorTable() {
    static const cf_host* knownHost = nullptr;
    static const cf_executor table = [] {
        auto t = prefixed<cf_executor>();
        t.id = view(Class::id);
        t.version = view(Class::version);
        if constexpr (requires { Class::requiresMinor; }) t.requires_minor = Class::requiresMinor;
        t.create = [](const cf_host* host, cf_view found, cf_error* error) -> void* {
            void* self = nullptr;
            knownHost = host;
            detail::guarded(error, [&] { self = static_cast<Executor*>(new Class(Host{host}, text(found))); });
            return self;
        };
        t.destroy = [](void* self) { delete static_cast<Executor*>(self); };
        t.probe = [](void* self, const cf_sink* found, cf_error* error) {
            return detail::guarded(error, [&] { found->write(found->context, view(static_cast<Executor*>(self)->probe())); });
        };
        t.describe = [](void* self, const cf_sink* manifest, cf_error* error) {
            return detail::guarded(error, [&] { manifest->write(manifest->context, view(static_cast<Executor*>(self)->describe())); });
        };
        t.validate = [](void* self, const cf_function* function, const cf_sink* sink, cf_error* error) {
            return detail::guarded(error, [&] {
                const Remarks remarks = static_cast<Executor*>(self)->validate(FunctionInfo{*function});
                sink->write(sink->context, view(detail::asJson(remarks)));
                for (const auto& remark : remarks)
                    if (!remark.warning) throw Failed(CF_INVALID, remark.message);
            });
        };
        t.prepare = [](void* self, cf_job* job, const cf_function* function, cf_view source, cf_view artifact, cf_error* error) {
            return detail::guarded(error, [&] {
                static_cast<Executor*>(self)->prepare(Job{knownHost, job}, FunctionInfo{*function}, string(source), string(artifact));
            });
        };
        t.plan = [](void* self, const cf_function* function, const cf_plan* plan, cf_error* error) {
            return detail::guarded(error, [&] {
                if (function == nullptr) return static_cast<Executor*>(self)->plan(nullptr, Plan{plan});
                const FunctionInfo info{*function};
                static_cast<Executor*>(self)->plan(&info, Plan{plan});
            });
        };
        t.describe_exit = [](void* self, const cf_exit* exit, cf_error* error) {
            std::string message, hint;
            bool known = false;
            const cf_status status = detail::guarded(error, [&] {
                known = static_cast<Executor*>(self)->describeExit(
                    Exit{exit->exit_code, exit->signal, exit->memory_mb, text(exit->last_errors)}, message, hint);
            });
            if (status != CF_OK || !known) return cf_status{CF_FAILED};
            return detail::fill(error, CF_OK, message, hint);
        };
        t.discard = [](void* self, cf_view key) {
            detail::guarded(nullptr, [&] { static_cast<Executor*>(self)->discard(text(key)); });
        };
        t.get_extension = [](void*, cf_view) -> const void* { return nullptr; };
        t.write_dependencies = [](void* self, const cf_function* function, const cf_view* dependencies, uint64_t count, uint32_t stride,
                                  const cf_sink* name, const cf_sink* content, cf_error* error) {
            return detail::guarded(error, [&] {
                std::vector<std::string_view> wanted;
                const auto* at = reinterpret_cast<const char*>(dependencies);
                for (uint64_t i = 0; i < count; ++i, at += stride) wanted.push_back(text(*reinterpret_cast<const cf_view*>(at)));
                const ManifestFile file = static_cast<Executor*>(self)->writeDependencies(FunctionInfo{*function}, wanted);
                name->write(name->context, view(file.name));
                content->write(content->context, view(file.content));
            });
        };
        return t;
    }();
    return &table;
}

}  // namespace cloudfunction

#define CF_DEFINE_EXECUTOR(Class)                                                                       \
    extern "C" CF_EXPORT const cf_executor* cf_executor_entry(const cf_host*, cf_error*) {               \
        return ::cloudfunction::executorTable<Class>();                                                 \
    }
