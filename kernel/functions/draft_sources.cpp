#include "functions/draft_sources.hpp"

#include <algorithm>

#include "functions/file_names.hpp"
#include "functions/sources.hpp"

namespace cf::functions {

namespace {

using base::FieldError;

// The user's files as they are to be; nothing when there are none.
std::optional<std::vector<SourceFile>> layOwn(Patch& patch, bool runtimeKnown, Draft& draft,
                                              std::vector<FieldError>& errors) {
    if (patch.code.value) {
        draft.spec.fromCode = true;
        if (patch.code.value->empty()) errors.push_back({"/code", "must not be empty"});
        return std::vector<SourceFile>(
            1, SourceFile{draft.runtime.sourceFile, std::move(*patch.code.value)});
    }
    if (patch.files.value) {
        draft.spec.fromCode = false;
        return std::move(*patch.files.value);
    }
    if (!draft.sources) {
        if (!isNamed(errors, "/files") && !isNamed(errors, "/code") && !isNamed(errors, "/archive"))
            errors.push_back({"/code", "is required: give \"code\" (one file) or \"files\""});
        return std::nullopt;
    }
    auto own = ownSources(draft.spec, *draft.sources);
    // Another runtime may name its code differently.
    if (draft.spec.fromCode && runtimeKnown) own.front().name = draft.runtime.sourceFile;
    return own;
}

// The entry that the executor speaks of: the longest one that appears in its words.
std::string pointerTo(const std::vector<std::string>& dependencies, std::string_view words) {
    size_t found = dependencies.size(), length = 0;
    for (size_t i = 0; i < dependencies.size(); ++i)
        if (dependencies[i].size() > length && words.find(dependencies[i]) != words.npos) {
            found = i;
            length = dependencies[i].size();
        }
    return found == dependencies.size() ? "/dependencies"
                                        : "/dependencies/" + std::to_string(found);
}

}  // namespace

bool isNamed(const std::vector<base::FieldError>& errors, std::string_view pointer) {
    return std::ranges::any_of(errors,
                               [&](const auto& e) { return e.pointer.starts_with(pointer); });
}

std::vector<SourceFile> ownSources(const VersionSpec& spec,
                                   const std::vector<SourceFile>& sources) {
    std::vector<SourceFile> own;
    std::ranges::copy_if(sources, std::back_inserter(own), [&](const SourceFile& file) {
        return spec.dependenciesFile.empty() || file.name != spec.dependenciesFile;
    });
    return own;
}

base::Result<void> laySources(Patch& patch, const std::optional<Present>& present,
                              const RuntimeCatalog& runtimes, bool runtimeKnown, Draft& draft,
                              std::vector<FieldError>& errors) {
    auto own = layOwn(patch, runtimeKnown, draft, errors);
    const std::vector<std::string> wanted =
        patch.dependencies.present ? patch.dependencies.value.value_or(std::vector<std::string>{})
                                   : draft.spec.dependencies;
    if (!own || !errors.empty()) return {};
    // What did not change keeps its manifest, also when the executor would write it differently
    // by now.
    if (present && wanted == present->version.spec.dependencies &&
        draft.spec.runtimeAlias == present->version.spec.runtimeAlias &&
        *own == ownSources(present->version.spec, *present->version.sources))
        return {};
    draft.spec.dependencies = wanted;
    draft.spec.dependenciesFile.clear();
    draft.sources = std::make_shared<std::vector<SourceFile>>(*own);
    if (wanted.empty() || !runtimeKnown || !draft.runtime.available) return {};

    auto manifest = runtimes.writeDependencies({.functionName = draft.name,
                                                .settings = draft.settings,
                                                .spec = draft.spec,
                                                .sources = *draft.sources});
    if (!manifest) {
        if (manifest.failure().reason != "invalid_function") return std::move(manifest).failure();
        const std::string& words = manifest.failure().detail;
        errors.push_back({pointerTo(wanted, words), words});
        return {};
    }
    if (auto why = whyUnsafeFileName(manifest->name, 255); !why.empty())
        return base::Failure{.reason = "executor_error",
                             .detail = "the executor of " + draft.spec.runtime +
                                       " wrote a manifest that cannot be kept: " + why};
    const auto taken = std::ranges::find_if(*own, [&](const SourceFile& file) {
        return fileNameKey(file.name) == fileNameKey(manifest->name);
    });
    if (taken != own->end()) {
        // Files that bring their own manifest replace what was listed before.
        if (patch.dependencies.value)
            errors.push_back({"/dependencies", "the files hold \"" + taken->name +
                                                   "\" already; list dependencies there, or "
                                                   "leave that file out"});
        else
            draft.spec.dependencies.clear();
        return {};
    }
    draft.spec.dependenciesFile = manifest->name;
    own->insert(std::ranges::upper_bound(*own, manifest->name, {}, &SourceFile::name),
                std::move(*manifest));
    draft.sources = std::make_shared<std::vector<SourceFile>>(std::move(*own));
    return {};
}

}  // namespace cf::functions
