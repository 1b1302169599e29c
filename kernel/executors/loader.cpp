#include "executors/loader.hpp"

#include <Poco/Exception.h>
#include <Poco/SharedLibrary.h>
#include <dlfcn.h>

#include <exception>
#include <filesystem>
#include <thread>

#include "base/json.hpp"
#include "base/log.hpp"
#include "executors/host.hpp"
#include "executors/plugin_store.hpp"
#include "executors/probe.hpp"

namespace cf::executors {

namespace fs = std::filesystem;

struct Loader::Candidate {
    Executor::Facts facts{};
    std::string copy{};
};

namespace {

void refuse(Executor::Facts& facts, std::string reason, std::string hint = {}) {
    facts.unavailable = Unavailable{std::move(reason), std::move(hint)};
    facts.found.clear();
}

// A plugin may use its host until the process ends, also from a thread of its own.
ExecutorHost* keepForEver(std::unique_ptr<ExecutorHost> host) {
    static auto& kept = *new std::vector<std::unique_ptr<ExecutorHost>>;
    return kept.emplace_back(std::move(host)).get();
}

void announce(const Executor::Facts& facts) {
    const std::string name =
        facts.manifest.displayName.empty() ? facts.file : facts.manifest.displayName;
    if (facts.unavailable) {
        const std::string& hint = facts.unavailable->hint;
        base::logWarning("executors", name + " is not available: " + facts.unavailable->reason +
                                          (hint.empty() ? "" : " (" + hint + ")"));
    } else {
        base::logInfo("executors", name + " " + facts.toolchainVersion + " is ready (executor " +
                                       facts.id + " " + facts.version + ")");
    }
}

// A text of what a probe found, or empty.
std::string memberOf(const std::string& found, std::string_view name) {
    auto document = base::JsonDocument::parse(found);
    std::string_view text;
    if (!document || document->root().at_key(name).get(text) != simdjson::SUCCESS) return {};
    return std::string(text);
}

// Who has an id or a runtime name already.
class Claims {
public:
    // Takes the candidate's names, or says who was first.
    void claim(Executor::Facts& facts) {
        if (facts.id.empty()) return;
        if (const auto other = ids_.find(facts.id); other != ids_.end())
            return lose(facts, "an executor with the id " + facts.id, other->second);
        for (const std::string& name : namesOf(facts))
            if (const auto other = names_.find(name); other != names_.end())
                return lose(facts, "the runtime " + name, other->second);
        ids_.emplace(facts.id, facts.file);
        for (const std::string& name : namesOf(facts)) names_.emplace(name, facts.file);
    }

private:
    static std::vector<std::string> namesOf(const Executor::Facts& facts) {
        std::vector<std::string> names;
        for (const Runtime& runtime : facts.manifest.runtimes) {
            names.push_back(runtime.name);
            for (const Alias& alias : runtime.aliases) names.push_back(alias.name);
        }
        return names;
    }

    static void lose(Executor::Facts& facts, const std::string& what, const std::string& file) {
        refuse(facts, what + " is served by " + file + " already", "remove one of the two files");
        facts.manifest = {};
    }

    std::map<std::string, std::string> ids_;
    std::map<std::string, std::string> names_;
};

}  // namespace

void Loader::probe(Candidate& candidate, const std::string& copies) const {
    Executor::Facts& facts = candidate.facts;
    auto copy = copyPlugin(facts.file, copies);
    if (!copy) return refuse(facts, copy.failure().detail, copy.failure().hint);
    candidate.copy = *copy;
    const ProbeRequest request{*copy, fs::path(facts.file).parent_path(), options_.properties};
    ProbeReport report =
        probePlugin(runner_, options_.probeCommand, request, options_.probeTimeout);
    facts.id = report.id;
    facts.version = report.version;
    facts.abi = report.abi;
    facts.found = report.found;
    facts.toolchainVersion = memberOf(report.found, "version").substr(0, 64);
    facts.compatibility = memberOf(report.found, "compatibility");
    facts.unavailable = report.unavailable;
    if (auto manifest = parseManifest(report.manifestJson)) facts.manifest = *std::move(manifest);
}

std::shared_ptr<const Executor> Loader::load(Candidate candidate) const {
    Executor::Facts& facts = candidate.facts;
    if (facts.unavailable) return std::make_shared<Executor>(std::move(facts));
    const auto unavailable = [&](std::string reason, std::string hint = {}) {
        refuse(facts, std::move(reason), std::move(hint));
        return std::make_shared<Executor>(std::move(facts));
    };
    try {
        // Poco 1.11 binds lazily; opened this way first, everything is bound when Poco opens it
        // again. Neither handle is ever closed, because pointers into the library have no end of
        // life.
        if (::dlopen(candidate.copy.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr)
            return unavailable(std::string("it cannot be loaded: ") + ::dlerror());
        Poco::SharedLibrary library(candidate.copy, Poco::SharedLibrary::SHLIB_LOCAL);
        const auto entry =
            reinterpret_cast<cf_executor_entry_fn>(library.getSymbol("cf_executor_entry"));
        ExecutorHost* host = keepForEver(std::make_unique<ExecutorHost>(
            options_.properties, fs::path(facts.file).parent_path()));
        auto table = readPlugin(entry, host->table());
        if (!table) return unavailable(table.failure().detail, table.failure().hint);
        if (table->id != facts.id || table->version != facts.version)
            return unavailable(
                "it says something else about itself than it said when it was probed");
        host->setId(facts.id);
        auto error = prefixed<cf_error>();
        void* self = table->operations.create(host->table(), toView(facts.found), &error);
        if (self == nullptr)
            return unavailable("create failed: " + errorMessage(error, "no reason given"),
                               errorHint(error));
        return std::make_shared<Executor>(std::move(facts), *std::move(table), self);
    } catch (const Poco::Exception& exception) {
        return unavailable("it cannot be loaded: " + exception.displayText());
    } catch (const std::exception& exception) {
        return unavailable(std::string("it threw an exception: ") + exception.what());
    } catch (...) {
        return unavailable("it threw an exception");
    }
}

std::vector<std::shared_ptr<const Executor>> Loader::loadAll() {
    const std::string copies = options_.dataDir + "/executors";
    std::error_code error;
    fs::create_directories(copies, error);
    std::vector<Candidate> candidates;
    for (const std::string& folder : options_.folders) {
        auto files = findPlugins(folder);
        if (!files) {
            base::logWarning(
                "executors",
                files.failure().detail +
                    (files.failure().hint.empty() ? "" : " (" + files.failure().hint + ")"));
            candidates.push_back(
                {{.file = folder,
                  .unavailable = Unavailable{files.failure().detail, files.failure().hint}},
                 {}});
            continue;
        }
        for (std::string& file : *files) candidates.push_back({{.file = std::move(file)}, {}});
    }
    {
        std::vector<std::jthread> probes;
        for (Candidate& candidate : candidates)
            if (!candidate.facts.unavailable)
                probes.emplace_back([&] {
                    // Nothing may leave a thread: an exception here would end the platform.
                    try {
                        probe(candidate, copies);
                    } catch (const std::exception& exception) {
                        refuse(candidate.facts,
                               std::string("it could not be probed: ") + exception.what());
                    }
                });
    }
    Claims claims;
    std::unordered_set<std::string> used;
    std::vector<std::shared_ptr<const Executor>> executors;
    for (Candidate& candidate : candidates) {
        claims.claim(candidate.facts);
        if (!candidate.facts.unavailable) used.insert(candidate.copy);
        executors.push_back(load(std::move(candidate)));
        const auto& facts = executors.back()->facts();
        announce(facts);
    }
    removeOtherCopies(copies, used);
    return executors;
}

}  // namespace cf::executors
