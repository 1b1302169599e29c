#include "executors/catalog.hpp"

#include <algorithm>
#include <filesystem>

#include "base/json.hpp"

namespace cf::executors {

namespace {

// Writes JSON objects member by member.
class Members {
public:
    explicit Members(std::string& out) : out_(out) { out_ += '{'; }
    ~Members() { out_ += '}'; }
    Members(const Members&) = delete;
    Members& operator=(const Members&) = delete;

    std::string& key(std::string_view name) {
        if (!first_) out_ += ',';
        first_ = false;
        base::appendJsonString(out_, name);
        return out_ += ':';
    }
    void text(std::string_view name, std::string_view value) {
        base::appendJsonString(key(name), value);
    }
    void texts(std::string_view name, const std::vector<std::string>& values) {
        key(name) += '[';
        for (size_t i = 0; i < values.size(); ++i) {
            if (i > 0) out_ += ',';
            base::appendJsonString(out_, values[i]);
        }
        out_ += ']';
    }
    void unavailable(const std::optional<Unavailable>& why) {
        key("available") += why ? "false" : "true";
        if (!why) return;
        text("reason", why->reason);
        if (!why->hint.empty()) text("hint", why->hint);
    }

private:
    std::string& out_;
    bool first_ = true;
};

void writeRuntime(std::string& out, const Executor::Facts& facts, const Runtime& runtime) {
    Members members(out);
    members.text("name", runtime.name);
    members.text("display_name", runtime.displayName);
    std::vector<std::string> aliases;
    for (const Alias& alias : runtime.aliases) aliases.push_back(alias.name);
    members.texts("aliases", aliases);
    members.text("version", facts.toolchainVersion);
    members.unavailable(facts.unavailable);
    members.texts("file_extensions", runtime.fileExtensions);
    members.text("editor_mode", runtime.editorMode);
    members.text("default_handler", runtime.defaultHandler);
    members.text("source_file", runtime.sourceFile);
    {
        Members files(members.key("alias_source_files"));
        for (const Alias& alias : runtime.aliases)
            if (alias.sourceFile != runtime.sourceFile) files.text(alias.name, alias.sourceFile);
    }
    members.texts("start_environment", facts.manifest.startEnvironment);
    if (facts.manifest.defaultMemoryMb) {
        Members limits(members.key("default_limits"));
        limits.key("memory_mb") += std::to_string(*facts.manifest.defaultMemoryMb);
    }
    members.key("templates") += '[';
    for (size_t i = 0; i < runtime.templates.size(); ++i) {
        if (i > 0) out += ',';
        Members one(out);
        one.text("name", runtime.templates[i].name);
        one.text("title", runtime.templates[i].title);
        one.text("handler", runtime.templates[i].handler);
        one.text("code", runtime.templates[i].code);
        one.text("runtime", runtime.templates[i].runtime);
    }
    out += ']';
    Members executor(members.key("executor"));
    executor.text("id", facts.id);
    executor.text("version", facts.version);
    executor.text("abi", facts.abi);
    executor.text("file", facts.file);
}

}  // namespace

void Catalog::replace(Executors executors) {
    auto next = std::make_shared<const Executors>(std::move(executors));
    const std::scoped_lock lock(mutex_);
    executors_ = std::move(next);
}

std::shared_ptr<const Catalog::Executors> Catalog::executors() const {
    const std::scoped_lock lock(mutex_);
    return executors_;
}

std::optional<Catalog::Found> Catalog::find(std::string_view nameOrAlias) const {
    const auto all = executors();
    for (const auto& executor : *all) {
        const Runtime* runtime = executor->facts().manifest.find(nameOrAlias);
        if (runtime == nullptr) continue;
        Found found{executor, runtime, runtime->sourceFile};
        for (const Alias& alias : runtime->aliases)
            if (alias.name == nameOrAlias) found.sourceFile = alias.sourceFile;
        return found;
    }
    return std::nullopt;
}

std::shared_ptr<const Executor> Catalog::byId(std::string_view executorId) const {
    const auto all = executors();
    for (const auto& executor : *all)
        if (executor->facts().id == executorId && !executor->facts().manifest.runtimes.empty())
            return executor;
    return nullptr;
}

std::vector<std::string> Catalog::names() const {
    std::vector<std::string> names;
    const auto all = executors();
    for (const auto& executor : *all)
        for (const Runtime& runtime : executor->facts().manifest.runtimes) {
            std::string& name = names.emplace_back(runtime.name);
            for (const Alias& alias : runtime.aliases)
                (name += &alias == &runtime.aliases.front() ? " (or " : ", ") += alias.name;
            if (!runtime.aliases.empty()) name += ')';
        }
    std::sort(names.begin(), names.end());
    return names;
}

std::string Catalog::runtimesJson() const {
    const auto all = executors();
    std::string out = "[";
    const auto add = [&](const Executor::Facts& facts, const Runtime& runtime) {
        if (out.size() > 1) out += ',';
        writeRuntime(out, facts, runtime);
    };
    for (const auto& executor : *all) {
        const auto& facts = executor->facts();
        for (const Runtime& runtime : facts.manifest.runtimes) add(facts, runtime);
        if (!facts.manifest.runtimes.empty()) continue;
        // It did not live long enough to say what it serves: listed by its file, so that somebody
        // finds out.
        const std::string name = std::filesystem::path(facts.file).stem();
        add(facts, {.name = name, .displayName = name});
    }
    return out += ']';
}

std::string Catalog::healthJson() const {
    const auto all = executors();
    std::string out;
    {
        Members members(out);
        for (const auto& executor : *all) {
            const auto& facts = executor->facts();
            const std::string file = facts.file.substr(facts.file.rfind('/') + 1);
            const bool named = !facts.id.empty() && byId(facts.id) == executor;
            members.text(named ? facts.id : file, facts.unavailable
                                                      ? "unavailable: " + facts.unavailable->reason
                                                      : "available");
        }
    }
    return out;
}

}  // namespace cf::executors
