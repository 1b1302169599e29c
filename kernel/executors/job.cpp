#include "executors/job.hpp"

#include <algorithm>

#include "base/json.hpp"
#include "base/printable.hpp"
#include "executors/plugin_table.hpp"

namespace cf::executors {

namespace {

constexpr size_t argumentLimit = 4096;
constexpr size_t argumentBytes = 512u << 10;

bool isPlainAbsolute(std::string_view path) {
    if (path.empty() || path[0] != '/' || path.size() > 4095) return false;
    if (path.find('\0') != std::string_view::npos) return false;
    for (size_t at = 1; at <= path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        if (path.substr(at, end - at) == "..") return false;
        at = end + 1;
    }
    return true;
}

base::Failure misused(std::string what) {
    return {.reason = "executor_error", .detail = std::move(what)};
}

// Walks `count` items of type T that lie `stride` bytes apart. False when the plugin's array makes
// no sense.
template <typename T, typename Each>
bool walk(const T* first, uint64_t count, uint32_t stride, Each each) {
    if (count == 0) return true;
    if (first == nullptr || stride < sizeof(T) || count > argumentLimit) return false;
    const auto* at = reinterpret_cast<const char*>(first);
    for (uint64_t i = 0; i < count; ++i, at += stride) each(*reinterpret_cast<const T*>(at));
    return true;
}

// Hands a tool's stream on: to the plugin's sink, or line by line to the build log; cut at the
// limit.
class StreamEnd {
public:
    StreamEnd(const cf_sink* sink, BuildJob& job) : sink_(sink), job_(job) {}

    void receive(std::string_view bytes) {
        if (cut_) return;
        const auto part = bytes.substr(0, BuildJob::outputLimit - seen_);
        seen_ += part.size();
        pass(part);
        cut_ = part.size() < bytes.size();
        if (cut_) pass("\n[cut: a tool may write 4 MB to a stream]\n");
    }

    void finish() {
        if (sink_ == nullptr && !line_.empty()) job_.log(line_);
    }

private:
    void pass(std::string_view bytes) {
        if (sink_ != nullptr) return sink_->write(sink_->context, toView(bytes));
        while (!bytes.empty()) {
            const size_t end = bytes.find('\n');
            line_.append(bytes.substr(0, end));
            if (end == std::string_view::npos) break;
            job_.log(line_);
            line_.clear();
            bytes.remove_prefix(end + 1);
        }
        if (line_.size() > BuildJob::logLineLimit) {
            job_.log(line_);
            line_.clear();
        }
    }

    const cf_sink* sink_;
    BuildJob& job_;
    std::string line_;
    size_t seen_ = 0;
    bool cut_ = false;
};

}  // namespace

bool isInside(std::string_view path, std::string_view folder) {
    return path.substr(0, folder.size()) == folder &&
           (path.size() == folder.size() || path[folder.size()] == '/');
}

BuildJob::BuildJob(JobSpec spec, std::string executorId, ToolRunner& tools, SourceChecker& checker,
                   const std::atomic<bool>& cancel)
    : spec_(std::move(spec)),
      executorId_(std::move(executorId)),
      tools_(tools),
      checker_(checker),
      cancel_(cancel),
      disk_(spec_.diskBytes) {
    mounts_.push_back({spec_.sourceDir, spec_.sourceDir, sandbox::MountKind::readOnly, false});
    mounts_.push_back({spec_.artifactDir, spec_.artifactDir, sandbox::MountKind::writable, false});
    if (!spec_.scratchDir.empty())
        mounts_.push_back(
            {spec_.scratchDir, spec_.scratchDir, sandbox::MountKind::readOnly, false});
}

bool BuildJob::stopped() const {
    return cancel_.load(std::memory_order_relaxed) || outOfTime() || diskExceeded_;
}

bool BuildJob::isOwn(std::string_view folder) const {
    return isInside(folder, spec_.sourceDir) || isInside(folder, spec_.artifactDir) ||
           (!spec_.scratchDir.empty() && isInside(folder, spec_.scratchDir)) ||
           (!filling_.empty() && isInside(folder, filling_));
}

void BuildJob::replaceMount(sandbox::Mount mount) {
    std::erase_if(mounts_, [&](const auto& other) { return other.target == mount.target; });
    mounts_.push_back(std::move(mount));
}

void BuildJob::mount(cf_view source, cf_view target, uint32_t flags) {
    sandbox::Mount mount{std::string(viewText(source)), std::string(viewText(target)),
                         sandbox::MountKind::readOnly, (flags & CF_MOUNT_OPTIONAL) != 0};
    const uint32_t kind = flags & ~CF_MOUNT_OPTIONAL;
    if (kind == CF_MOUNT_WRITABLE)
        mount.kind = sandbox::MountKind::writable;
    else if (kind == CF_MOUNT_OVERLAY)
        mount.kind = sandbox::MountKind::overlay;
    if (kind > CF_MOUNT_OVERLAY)
        badMount_ = "the executor asked for a mount with unknown flags";
    else if (!isPlainAbsolute(mount.source) || !isPlainAbsolute(mount.target) ||
             mount.target == "/")
        badMount_ = "the executor asked for a mount whose paths are not absolute";
    else if (mount.kind == sandbox::MountKind::writable && !isOwn(mount.source))
        badMount_ = "the executor asked for a writable mount outside of the build's own folders: " +
                    base::printable(mount.source);
    else if (mounts_.size() >= 100)
        badMount_ = "the executor asked for more than 100 mounts";
    else
        replaceMount(std::move(mount));
}

base::Result<sandbox::ToolSpec> BuildJob::toolSpec(const cf_tool& tool) const {
    if (!badMount_.empty()) return misused(badMount_);
    sandbox::ToolSpec spec;
    size_t bytes = 0;
    bool hasNul = false;
    const auto take = [&](cf_view view) {
        bytes += view.size;
        hasNul = hasNul || viewText(view).find('\0') != std::string_view::npos;
        return bytes > argumentBytes ? std::string() : std::string(viewText(view));
    };
    if (!walk(tool.argv, tool.argc, tool.argv_stride,
              [&](const cf_view& one) { spec.argv.push_back(take(one)); }))
        return misused("the executor gave a tool's arguments wrongly");
    if (!walk(tool.environment, tool.environment_count, tool.environment_stride,
              [&](const cf_pair& one) {
                  std::string name = take(one.name);
                  spec.environment.emplace_back(std::move(name), take(one.value));
              }))
        return misused("the executor gave a tool's environment wrongly");
    if (bytes > argumentBytes) return misused("a tool's arguments and environment exceed 512 KB");
    if (hasNul) return misused("a tool's arguments or environment hold a NUL byte");
    if (spec.argv.empty() || !isPlainAbsolute(spec.argv[0]))
        return misused("a tool's first argument is not an absolute path");
    for (const auto& [name, value] : spec.environment)
        if (name.empty() || name.find('=') != std::string::npos)
            return misused("a tool's environment holds a variable without a proper name");
    spec.directory = viewText(tool.directory);
    if (spec.directory.empty()) spec.directory = spec_.sourceDir;
    if (!isPlainAbsolute(spec.directory))
        return misused("a tool's directory is not an absolute path");
    if (tool.network > CF_NETWORK_BUILD)
        return misused("the executor asked for a network that this platform does not know");
    if (tool.network == CF_NETWORK_BUILD) spec.network = spec_.network;
    spec.mounts = mounts_;
    spec.limits = spec_.limits;
    spec.limits.diskBytes = spec_.diskBytes;
    return spec;
}

cf_status BuildJob::run(const cf_tool& given, cf_tool_result* result, cf_error* error) {
    const cf_tool tool = copyPrefixed(&given);
    if (diskExceeded_) return fillError(error, CF_CANCELLED, excess_->detail, excess_->hint);
    if (stopped())
        return fillError(error, CF_CANCELLED,
                         outOfTime() ? "the build ran out of time" : "the build was cancelled");
    auto spec = toolSpec(tool);
    if (!spec) return fillError(error, CF_FAILED, spec.failure().detail, spec.failure().hint);
    if ((tool.output != nullptr && tool.output->write == nullptr) ||
        (tool.errors != nullptr && tool.errors->write == nullptr))
        return fillError(error, CF_FAILED, "the executor gave a tool an output without a function");

    auto deadline = spec_.deadline;
    if (tool.timeout_ms != 0) {
        const auto own = std::chrono::milliseconds(std::min<uint64_t>(tool.timeout_ms, 86'400'000));
        deadline = std::min(deadline, Clock::now() + own);
    }
    if (tool.network == CF_NETWORK_BUILD && !spec_.networkFault.empty()) log(spec_.networkFault);
    StreamEnd output(tool.output, *this), errors(tool.errors, *this);
    auto outcome = tools_.run(
        *spec, viewText(tool.input),
        [&](ToolRunner::Stream stream, std::string_view bytes) {
            (stream == ToolRunner::Stream::output ? output : errors).receive(bytes);
        },
        deadline, cancel_, [&] { return disk_.exceeded(folders()); });
    output.finish();
    errors.finish();
    if (!outcome)
        return fillError(error, CF_FAILED, outcome.failure().detail, outcome.failure().hint);
    if (outcome->cancelled) return fillError(error, CF_CANCELLED, "the build was cancelled");
    if (outcome->timedOut) {
        const std::string program = spec->argv[0].substr(spec->argv[0].rfind('/') + 1);
        return fillError(
            error, CF_CANCELLED,
            outOfTime() ? "the build ran out of time" : program + " took too long and was stopped");
    }
    if (const cf_status status = noteExcess(*outcome, error); status != CF_OK) return status;
    if (result != nullptr) {
        auto filled = prefixed<cf_tool_result>();
        filled.exit_code = outcome->ended.exitCode;
        filled.signal = outcome->ended.signal;
        filled.out_of_memory = outcome->ended.outOfMemory ? 1 : 0;
        filled.struct_size = result->struct_size;
        std::memcpy(static_cast<void*>(result), &filled,
                    std::min<size_t>(result->struct_size, sizeof filled));
    }
    return CF_OK;
}

cf_status BuildJob::check(cf_view file, cf_view source, const cf_sink* remarks, cf_error* error) {
    if (remarks == nullptr || remarks->write == nullptr)
        return fillError(error, CF_FAILED, "check was called without a place for its answer");
    if (stopped())
        return fillError(error, CF_CANCELLED, "the build ran out of time or was cancelled");
    auto answer = checker_.check(executorId_, viewText(file), viewText(source), spec_.deadline);
    if (!answer)
        return fillError(error, CF_UNAVAILABLE, answer.failure().detail, answer.failure().hint);
    if (!parseRemarks(*answer))
        return fillError(
            error, CF_FAILED,
            "the worker that checked the source answered with something else than remarks");
    remarks->write(remarks->context, toView(*answer));
    return CF_OK;
}

void BuildJob::diagnostic(const cf_diagnostic& given) {
    if (remarks_.size() >= remarkLimit) return;
    const cf_diagnostic diagnostic = copyPrefixed(&given);
    remarks_.push_back({base::toValidUtf8(viewText(diagnostic.file).substr(0, 255)),
                        diagnostic.line, diagnostic.column,
                        base::toValidUtf8(viewText(diagnostic.message).substr(0, 4096)),
                        diagnostic.severity == CF_SEVERITY_WARNING});
}

void BuildJob::log(std::string_view line) {
    if (logged_ >= logLimit || !spec_.log) return;
    do {
        const std::string_view part = line.substr(0, logLineLimit);
        logged_ += part.size() + 1;
        spec_.log(base::printable(part));
        line.remove_prefix(part.size());
    } while (!line.empty() && logged_ < logLimit);
    if (logged_ >= logLimit) spec_.log("[cut: a build log holds 1 MB]");
}

base::Result<std::vector<base::SourceRemark>> parseRemarks(std::string_view json) {
    const auto wrong = [] {
        return base::Failure{.reason = "executor_error",
                             .detail = "the remarks are not a JSON array of objects"};
    };
    auto document = base::JsonDocument::parse(json);
    simdjson::dom::array items;
    if (!document || document->root().get(items) != simdjson::SUCCESS) return wrong();
    std::vector<base::SourceRemark> remarks;
    for (const simdjson::dom::element item : items) {
        simdjson::dom::object fields;
        if (item.get(fields) != simdjson::SUCCESS) return wrong();
        base::SourceRemark remark;
        std::string_view text;
        uint64_t number = 0;
        if (fields.at_key("file").get(text) == simdjson::SUCCESS) remark.file = text.substr(0, 255);
        if (fields.at_key("message").get(text) != simdjson::SUCCESS) return wrong();
        remark.message = text.substr(0, 4096);
        if (fields.at_key("line").get(number) == simdjson::SUCCESS)
            remark.line = static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX));
        if (fields.at_key("column").get(number) == simdjson::SUCCESS)
            remark.column = static_cast<uint32_t>(std::min<uint64_t>(number, UINT32_MAX));
        remark.warning =
            fields.at_key("severity").get(text) == simdjson::SUCCESS && text == "warning";
        if (remarks.size() < BuildJob::remarkLimit) remarks.push_back(std::move(remark));
    }
    return remarks;
}

}  // namespace cf::executors
