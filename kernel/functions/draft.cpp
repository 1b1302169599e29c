#include "functions/draft.hpp"

#include <algorithm>

#include "base/json.hpp"
#include "functions/draft_sources.hpp"

namespace cf::functions {

namespace {

using base::FieldError;

// Absent keeps, null gives the default, a value replaces.
template <typename T>
void lay(const Field<T>& field, T& target, const T& fallback) {
    if (field.present) target = field.value.value_or(fallback);
}

std::string joined(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
    return out.empty() ? "none" : out;
}

// The order of variables carries no meaning.
bool sameEnvironment(Environment a, Environment b) {
    std::sort(a.begin(), a.end());
    std::sort(b.begin(), b.end());
    return a == b;
}

bool sameSpec(VersionSpec a, VersionSpec b) {
    const bool environment = sameEnvironment(std::move(a.environment), std::move(b.environment));
    a.environment.clear();
    b.environment.clear();
    return environment && a == b;
}

void checkReadOnly(const Patch& patch, const std::optional<Present>& present,
                   std::vector<FieldError>& errors) {
    for (const auto& [field, sent] : patch.readOnly) {
        bool same = false;
        if (present) {
            const auto document =
                base::JsonDocument::parse("[" + readOnlyField(present->entry, field) + "]");
            same = document && simdjson::minify(document->root().at(0).value()) == sent;
        }
        if (!same)
            errors.push_back(
                {"/" + field, "is set by the platform; leave it out or send it as it was read"});
    }
}

void laySettings(const Patch& patch, const Settings& defaults, Settings& settings) {
    lay(patch.timeout, settings.timeout, defaults.timeout);
    lay(patch.initTimeout, settings.initTimeout, defaults.initTimeout);
    lay(patch.memoryMb, settings.memoryMb, defaults.memoryMb);
    lay(patch.concurrency, settings.concurrency, defaults.concurrency);
    lay(patch.minWorkers, settings.minWorkers, defaults.minWorkers);
    lay(patch.maxWorkers, settings.maxWorkers, defaults.maxWorkers);
    lay(patch.keepAlive, settings.keepAlive, defaults.keepAlive);
    lay(patch.http, settings.http, defaults.http);
}

// Finds the runtime; RuntimeInfo and both names of the spec are set when it is known.
bool layRuntime(const Patch& patch, const RuntimeCatalog& runtimes, Draft& draft,
                std::vector<FieldError>& errors) {
    if (patch.runtime.isNull()) {
        if (!isNamed(errors, "/runtime")) errors.push_back({"/runtime", "must not be null"});
        return false;
    }
    const std::string typed = patch.runtime.value.value_or(draft.spec.runtimeAlias);
    if (typed.empty()) {
        errors.push_back(
            {"/runtime", "is required; known runtimes are " + joined(runtimes.names())});
        return false;
    }
    auto info = runtimes.resolve(typed);
    if (!info) {
        // A stored function whose executor was taken away can still change its settings.
        if (!patch.runtime.value) return false;
        errors.push_back({"/runtime", "unknown runtime \"" + typed + "\"; known runtimes are " +
                                          joined(runtimes.names())});
        return false;
    }
    // An alias is kept where it means more than its canonical name: when it names code differently.
    const auto canonical = runtimes.resolve(info->name);
    draft.spec.runtime = info->name;
    draft.spec.runtimeAlias =
        canonical && canonical->sourceFile != info->sourceFile ? typed : info->name;
    draft.runtime = std::move(*info);
    return true;
}

void layLocks(const Patch& patch, const std::optional<Present>& present, Draft& draft,
              std::vector<FieldError>& errors) {
    static const std::vector<Lock> none;
    const auto& kept = present ? present->version.locks : none;
    draft.forgetLocks = patch.locks.isNull() && !kept.empty();
    if (!patch.locks.value) return;
    if (!std::ranges::equal(*patch.locks.value, kept, [](const auto& sent, const Lock& lock) {
            return sent.first == lock.name && sent.second == lock.content;
        }))
        errors.push_back({"/locks",
                          "is made by the build; leave it out, send it as it was read, or send "
                          "null to have the dependencies resolved anew"});
}

base::Failure refused(std::vector<FieldError> errors, const Patch& patch) {
    const uint64_t all = errors.size() + patch.moreErrors;
    std::string detail =
        all == 1
            ? (errors.front().pointer.empty() ? "the document"
                                              : "\"" + errors.front().pointer.substr(1) + "\"") +
                  ": " + errors.front().detail
            : std::to_string(all) + " fields were refused; nothing was saved";
    if (patch.moreErrors > 0)
        errors.push_back({"", std::to_string(patch.moreErrors) +
                                  " more were refused, which are not listed"});
    return {.reason = "invalid_function",
            .detail = std::move(detail),
            .hint = "correct the fields listed in errors and send the request again",
            .limit = patch.limit,
            .observed = patch.observed,
            .fields = std::move(errors)};
}

}  // namespace

base::Result<Draft> makeDraft(Patch&& patch, const std::optional<Present>& present,
                              const Limits& limits, const RuntimeCatalog& runtimes) {
    Draft draft;
    std::vector<FieldError> errors = patch.errors;
    if (present) {
        const Function& function = present->entry.function;
        draft.name = function.name;
        draft.description = function.description;
        draft.labels = function.labels;
        draft.settings = function.settings;
        draft.spec = present->version.spec;
        draft.sources = present->version.sources;
    } else {
        draft.settings = limits.defaults;
        draft.spec.network = {limits.defaultNetwork, {}};
    }
    checkReadOnly(patch, present, errors);
    if (patch.name.value)
        draft.name = *patch.name.value;
    else if (patch.name.isNull() && !isNamed(errors, "/name"))
        errors.push_back({"/name", "must not be null"});
    else if (!present && !patch.name.present)
        errors.push_back({"/name", "is required"});
    lay(patch.description, draft.description, {});
    lay(patch.labels, draft.labels, {});
    lay(patch.environment, draft.spec.environment, {});
    lay(patch.network, draft.spec.network, {limits.defaultNetwork, {}});

    const bool runtimeKnown = layRuntime(patch, runtimes, draft, errors);
    Settings defaults = limits.defaults;
    if (draft.runtime.defaultMemoryMb != 0)
        defaults.memoryMb =
            std::clamp(draft.runtime.defaultMemoryMb, limits.minMemoryMb, limits.maxMemoryMb);
    if (!present) draft.settings = defaults;
    laySettings(patch, defaults, draft.settings);
    if (draft.settings.maxWorkers != 0 && draft.settings.minWorkers > draft.settings.maxWorkers)
        errors.push_back({"/min_workers", "is " + std::to_string(draft.settings.minWorkers) +
                                              ", more than max_workers (" +
                                              std::to_string(draft.settings.maxWorkers) + ")"});
    lay(patch.handler, draft.spec.handler, draft.runtime.defaultHandler);
    if (!present && !patch.handler.present) draft.spec.handler = draft.runtime.defaultHandler;
    if (draft.spec.handler.empty() && runtimeKnown)
        errors.push_back({"/handler", "must not be empty"});
    if (auto laid = laySources(patch, present, runtimes, runtimeKnown, draft, errors); !laid)
        return std::move(laid).failure();
    layLocks(patch, present, draft, errors);
    if (!errors.empty()) return refused(std::move(errors), patch);

    if (present) {
        const Function& function = present->entry.function;
        draft.changesFunction =
            draft.name != function.name || draft.description != function.description ||
            draft.labels != function.labels || draft.settings != function.settings;
    }
    draft.changesVersion = !present || !sameSpec(draft.spec, present->version.spec) ||
                           *draft.sources != *present->version.sources;
    draft.changesVersion = draft.changesVersion || draft.forgetLocks;
    // Sending the code of a version that failed once more means: try again.
    if (present && present->version.state == VersionState::failed &&
        (patch.code.value || patch.files.value))
        draft.changesVersion = true;
    if (draft.changesVersion && (!runtimeKnown || !draft.runtime.available))
        return base::Failure{
            .reason = "runtime_unavailable",
            .detail =
                runtimeKnown
                    ? "the runtime \"" + draft.spec.runtime +
                          "\" cannot be used on this machine: " + draft.runtime.reason
                    : "no executor serves the runtime \"" + draft.spec.runtimeAlias + "\" any more",
            .hint = draft.runtime.hint};
    return draft;
}

}  // namespace cf::functions
