#include "functions/builds.hpp"

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "base/json.hpp"
#include "functions/dependencies.hpp"

namespace cf::functions {

namespace {

constexpr size_t maxLogBytes = 1u << 20;
constexpr size_t tailBytes = 4096;

bool same(const base::SourceRemark& a, const base::SourceRemark& b) {
    return a.file == b.file && a.line == b.line && a.column == b.column && a.message == b.message;
}

std::string place(const base::SourceRemark& remark) {
    std::string out = remark.file.empty() ? "the source" : remark.file;
    if (remark.line != 0) out += ", line " + std::to_string(remark.line);
    return out;
}

// Who listed dependencies never saw the manifest that was made of them.
base::SourceRemark asShown(base::SourceRemark remark, const VersionSpec& spec) {
    if (!spec.dependenciesFile.empty() && remark.file == spec.dependenciesFile) {
        remark.file.clear();
        remark.line = remark.column = 0;
    }
    return remark;
}

// As an executor begins its words for a failure: "package.json: ", "package.json, line 4: ".
void dropPlace(std::string& detail, const VersionSpec& spec) {
    const std::string& file = spec.dependenciesFile;
    if (file.empty() || !detail.starts_with(file)) return;
    size_t at = file.size();
    if (detail.compare(at, 7, ", line ") == 0) at = detail.find_first_not_of("0123456789", at + 7);
    if (at != detail.npos && detail.compare(at, 2, ": ") == 0) detail.erase(0, at + 2);
}

BuildRequest requestFor(const Builds::Subject& subject, const Version& version) {
    return {.functionName = subject.functionName,
            .settings = subject.settings,
            .spec = version.spec,
            .sources = *version.sources};
}

}  // namespace

// Lines and remarks of one build, bounded.
class Builds::Log final : public BuildListener {
public:
    Log(const LogFollowers& followers, LogFollowers::Id id, VersionSpec spec)
        : followers_(followers), id_(std::move(id)), spec_(std::move(spec)) {}
    void log(std::string_view line) override {
        add(line);
        followers_.tell(id_);
    }
    void remark(const base::SourceRemark& given) override {
        const auto remark = asShown(given, spec_);
        log((remark.file == given.file ? place(remark) : "dependencies") +
            (remark.warning ? ": warning: " : ": error: ") + remark.message);
        const std::lock_guard lock(mutex_);
        if (remarks_.size() < 1000) remarks_.push_back(remark);
    }
    std::string text() const {
        const std::lock_guard lock(mutex_);
        return text_;
    }
    // Says why the build failed, unless the last line does.
    void fail(const std::string& detail) {
        {
            const std::lock_guard lock(mutex_);
            const size_t end = text_.empty() ? 0 : text_.size() - 1;
            const size_t begin = end == 0 ? 0 : text_.rfind('\n', end - 1) + 1;
            if (text_.find(detail, begin) != text_.npos) return;
        }
        log(detail);
    }
    // The last lines, for whoever is told that the build failed.
    std::string tail() const {
        const std::lock_guard lock(mutex_);
        if (text_.size() <= tailBytes) return text_;
        const size_t line = text_.find('\n', text_.size() - tailBytes);
        return line == text_.npos ? "" : text_.substr(line + 1);
    }
    std::vector<base::SourceRemark> remarks() const {
        const std::lock_guard lock(mutex_);
        return remarks_;
    }

private:
    void add(std::string_view line) {
        const std::lock_guard lock(mutex_);
        if (text_.size() + line.size() > maxLogBytes) {
            if (!full_) text_ += "(the build log ends here: it may have 1 MB)\n";
            full_ = true;
            return;
        }
        // Kept as text in the store, which ends at a NUL.
        std::string clean = base::toValidUtf8(line);
        std::replace(clean.begin(), clean.end(), '\0', ' ');
        (text_ += clean) += '\n';
    }

    const LogFollowers& followers_;
    const LogFollowers::Id id_;
    const VersionSpec spec_;  // without its environment
    mutable std::mutex mutex_;
    std::string text_;
    bool full_ = false;
    std::vector<base::SourceRemark> remarks_;
};

base::Result<void> Builds::checkHandler(const Subject& subject, const Version& version) {
    auto remarks = builder_.validate(requestFor(subject, version));
    if (!remarks) return std::move(remarks).failure();
    base::Failure refused{.reason = "invalid_function",
                          .hint = "correct the handler and send the request again"};
    for (const auto& remark : *remarks)
        if (!remark.warning && remark.file.empty())
            refused.fields.push_back({"/handler", remark.message});
    if (refused.fields.empty()) return {};
    refused.detail = "\"handler\": " + refused.fields.front().detail;
    return refused;
}

Builds::Shown Builds::announce(const Version& version) {
    const auto id = std::pair(version.functionId, version.number);
    VersionSpec named = version.spec;
    named.environment.clear();
    const auto log = std::make_shared<Log>(followers_, id, std::move(named));
    Version shown = version;
    shown.locks.clear();
    const std::lock_guard lock(mutex_);
    running_[id] = {std::make_shared<const Version>(std::move(shown)), log};
    return {*this, id.first, id.second, log};
}

Builds::Outcome Builds::run(const Subject& subject, Version version, Shown running,
                            bool forgetLocks) {
    const auto log = running.log_;
    const std::string& identity = subject.runtime.buildIdentity;
    LockSearch search{
        .own = std::exchange(version.locks, {}), .forget = forgetLocks, .age = lockAge_};
    if (forgetLocks) search.own.clear();
    // What was built from equal sources lately needs no tool to find out what it is locked to.
    if (search.own.empty() && !forgetLocks) {
        const auto oldest = base::WallClock::now() - lockAge_;
        if (auto equal = store_.locksOfEqual(version.sourcesHash, version.spec.runtime,
                                             base::unixMs(oldest)))
            search.own = std::move(*equal);
    }
    Dependencies dependencies(version.functionId, std::move(search), subject.runtime.layerIdentity,
                              store_, artifacts_.layers());
    std::optional<base::Failure> failure;
    std::shared_ptr<void> leftovers;

    auto checked = builder_.validate(requestFor(subject, version));
    if (checked) {
        version.remarks = std::move(*checked);
        for (const auto& remark : version.remarks) log->remark(remark);
        const auto fault =
            std::ranges::find_if(version.remarks, [](const auto& r) { return !r.warning; });
        if (fault != version.remarks.end())
            failure = base::Failure{.reason = "build_failed",
                                    .detail = place(*fault) + ": " + fault->message};
    } else {
        failure = std::move(checked).failure();
    }
    if (!failure) {
        auto made = artifacts_.make(version.sourcesHash, identity, requestFor(subject, version),
                                    builder_, *log, &dependencies);
        if (made) {
            version.artifactKey = made->key;
            version.locks = made->locks;
            leftovers = std::move(made->leftovers);
        } else {
            failure = std::move(made).failure();
            dropPlace(failure->detail, version.spec);
            for (auto& remark : failure->remarks) remark = asShown(std::move(remark), version.spec);
            log->fail(failure->detail);
        }
        for (const auto& given : made ? made->remarks : log->remarks()) {
            auto remark = asShown(given, version.spec);
            if (std::ranges::none_of(version.remarks,
                                     [&](const auto& r) { return same(r, remark); }))
                version.remarks.push_back(std::move(remark));
        }
    }
    if (failure) {
        if (failure->remarks.empty())
            std::ranges::copy_if(version.remarks, std::back_inserter(failure->remarks),
                                 [](const auto& r) { return !r.warning; });
        failure->buildLog = log->tail();
        version.state = VersionState::failed;
        version.failure = std::move(failure);
    } else {
        version.state = VersionState::ready;
    }
    return {std::move(version), std::move(running), std::move(leftovers)};
}

Builds::Shown::~Shown() {
    if (builds_ == nullptr) return;
    {
        const std::lock_guard lock(builds_->mutex_);
        builds_->running_.erase(id_);
    }
    builds_->followers_.tell(id_);
}

void Builds::Shown::log(std::string_view line) const { log_->log(line); }
std::string Builds::Shown::text() const { return log_->text(); }
std::string Builds::Shown::tail() const { return log_->tail(); }

LogSubscription Builds::follow(const std::string& functionId, uint64_t number,
                               std::function<void()> changed) {
    return {followers_, {functionId, number}, std::move(changed)};
}

void Builds::keepRefused(const Outcome& outcome) {
    constexpr size_t most = 16;
    auto version = std::make_shared<Version>(outcome.version);
    version->sources.reset();
    const std::lock_guard lock(mutex_);
    if (refused_.size() == most) refused_.pop_front();
    refused_.push_back({std::move(version), outcome.shown.text()});
}

std::optional<Builds::Refused> Builds::refused(const std::string& functionId,
                                               uint64_t number) const {
    const std::lock_guard lock(mutex_);
    for (const auto& one : refused_)
        if (one.version->functionId == functionId && one.version->number == number) return one;
    return std::nullopt;
}

std::vector<std::shared_ptr<const Version>> Builds::building(const std::string& functionId) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::shared_ptr<const Version>> found;
    for (auto at = running_.lower_bound({functionId, 0});
         at != running_.end() && at->first.first == functionId; ++at)
        if (at->second.version->state == VersionState::building)
            found.push_back(at->second.version);
    return found;
}

std::optional<std::string> Builds::runningLog(const std::string& functionId,
                                              uint64_t number) const {
    const std::lock_guard lock(mutex_);
    const auto found = running_.find({functionId, number});
    if (found == running_.end()) return std::nullopt;
    return found->second.log->text();
}

}  // namespace cf::functions
