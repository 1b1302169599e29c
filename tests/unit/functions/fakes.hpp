// Stand-ins for executors and workers, with which the functions domain is tested on its own. The
// made-up runtime "toy" builds by copying; words in the source decide what goes wrong: BROKEN does
// not build, WARN builds with a warning, NOLOAD cannot be loaded, NOPLACE finds no place to be
// loaded in, WAIT builds until Builder::release().
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "functions/service.hpp"
#include "functions/sqlite_store.hpp"

namespace cf::functions::test {

class TemporaryFolder {
public:
    TemporaryFolder() {
        std::string name =
            (std::filesystem::temp_directory_path() / "cf-functions-XXXXXX").string();
        path = ::mkdtemp(name.data());
    }
    ~TemporaryFolder() {
        std::error_code error;
        for (std::filesystem::recursive_directory_iterator at(path, error), end;
             !error && at != end; at.increment(error))
            if (at->is_directory())
                std::filesystem::permissions(at->path(), std::filesystem::perms::owner_all, error);
        std::filesystem::remove_all(path, error);
    }
    std::filesystem::path path{};
};

inline bool holds(const std::vector<SourceFile>& sources, std::string_view word) {
    for (const auto& file : sources)
        if (file.content.find(word) != std::string::npos) return true;
    return false;
}

class FakeCatalog final : public RuntimeCatalog {
public:
    std::optional<RuntimeInfo> resolve(std::string_view name) const override {
        RuntimeInfo toy{.name = "toy",
                        .sourceFile = "main.toy",
                        .defaultHandler = "handler",
                        .buildIdentity = identity,
                        .layerIdentity = layerIdentity};
        if (name == "toy" || name == "toylang") return toy;
        if (name == "typedtoy") {
            toy.sourceFile = "main.tt";
            return toy;
        }
        if (name == "gone")
            return RuntimeInfo{.name = "gone",
                               .sourceFile = "main.g",
                               .defaultHandler = "handler",
                               .available = false,
                               .reason = "its compiler was not found",
                               .hint = "install gone"};
        return std::nullopt;
    }
    base::Result<SourceFile> writeDependencies(const BuildRequest& request) const override {
        if (request.spec.runtimeAlias == "typedtoy")
            return base::Failure{.reason = "invalid_function", .detail = "no dependencies here"};
        std::string manifest = prefix;
        for (const auto& one : request.spec.dependencies) {
            if (one.find("BAD") != one.npos)
                return base::Failure{.reason = "invalid_function",
                                     .detail = "\"" + one + "\" is no dependency"};
            manifest += one + "\n";
        }
        return SourceFile{"needs.txt", manifest};
    }
    std::vector<std::string> names() const override { return {"gone", "toy"}; }
    std::string identity = "toy 1";
    std::string layerIdentity = "toy";
    std::string prefix{};  // of manifests: another one for another release of the executor
};

class FakeBuilder final : public Builder {
public:
    base::Result<std::vector<base::SourceRemark>> validate(const BuildRequest& request) override {
        std::vector<base::SourceRemark> remarks;
        if (request.spec.handler == "1bad")
            remarks.push_back({.message = "no function can be called 1bad"});
        return remarks;
    }
    base::Result<void> build(const BuildRequest& request, BuildListener& listener) override {
        builds += 1;
        listener.log("building " + request.functionName);
        if (holds(request.sources, "WAIT")) {
            std::unique_lock lock(mutex_);
            waiting += 1;
            changed_.notify_all();
            changed_.wait(lock, [&] { return released_; });
        }
        if (broken)
            return base::Failure{.reason = "build_failed", .detail = "the compiler is gone"};
        if (holds(request.sources, "BROKEN")) {
            listener.remark({.file = request.sources.front().name,
                             .line = 3,
                             .column = 7,
                             .message = "BROKEN is no word"});
            return base::Failure{.reason = "build_failed", .detail = "the source does not compile"};
        }
        if (holds(request.sources, "WARN"))
            listener.remark({.file = request.sources.front().name,
                             .line = 1,
                             .column = 1,
                             .message = "odd",
                             .warning = true});
        if (auto installed = install(request, listener); !installed) return installed;
        std::filesystem::copy(request.sourceDir, request.artifactDir,
                              std::filesystem::copy_options::recursive |
                                  std::filesystem::copy_options::overwrite_existing);
        return {};
    }
    void discard(std::string_view runtime, std::string_view key) override {
        const std::lock_guard lock(mutex_);
        discarded.push_back(std::string(runtime) + " " + std::string(key));
    }
    void untilWaiting(int count = 1) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waiting >= count; });
    }
    void release() {
        const std::lock_guard lock(mutex_);
        released_ = true;
        changed_.notify_all();
    }
    // From now on builds wait again.
    void hold() {
        const std::lock_guard lock(mutex_);
        released_ = false;
        waiting = 0;
    }
    std::atomic<int> builds{0}, resolutions{0}, fills{0};
    bool registryAnswers = true;
    std::atomic<bool> broken{false};  // every build fails
    int waiting = 0;
    std::vector<std::string> discarded{};

private:
    // What asks for something in needs.txt gets a lock and a layer with the lock in it.
    base::Result<void> install(const BuildRequest& request, BuildListener& listener) {
        std::string needs;
        for (const auto& file : request.sources)
            if (file.name == "needs.txt") needs = file.content;
        if (needs.empty() || request.dependencies == nullptr) return {};
        auto& dependencies = *request.dependencies;
        auto lock = dependencies.recallLock("toy.lock", needs, false);
        if (!lock && !registryAnswers) lock = dependencies.recallLock("toy.lock", needs, true);
        if (needs.find("NOSUCH") != needs.npos) {
            listener.remark({.file = "needs.txt", .line = 2, .column = 1, .message = "no NOSUCH"});
            return base::Failure{.reason = "build_failed", .detail = "needs.txt, line 2: no NOSUCH"};
        }
        if (!lock) lock = needs + "resolved " + std::to_string(++resolutions);
        // As executors do, also with what was recalled.
        dependencies.keepLock("toy.lock", needs, *lock);
        const auto fill = [&](const std::string& directory) -> base::Result<void> {
            fills += 1;
            std::ofstream(directory + "/installed") << *lock;
            if (needs.find("NOFILL") == needs.npos) return {};
            return base::Failure{.reason = "build_failed", .detail = "NOFILL cannot be installed"};
        };
        const auto layer = dependencies.layer(*lock, false, fill, [] { return false; });
        if (!layer) return layer.failure();
        std::filesystem::create_symlink(layer->link, request.artifactDir + "/packages");
        return {};
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool released_ = false;
};

class FakeActivator final : public Activator {
public:
    base::Result<void> activate(const LiveFunction& next) override {
        add("activate", next);
        for (const auto& file :
             std::filesystem::directory_iterator(next.live.front().artifactDir)) {
            if (file.is_directory()) continue;
            std::ifstream in(file.path());
            const std::string text{std::istreambuf_iterator<char>(in), {}};
            if (text.find("NOLOAD") != text.npos)
                return base::Failure{.reason = "load_failed",
                                     .detail = "ImportError: no such module",
                                     .hint = "add it"};
            if (text.find("NOPLACE") != text.npos)
                return base::Failure{.reason = "platform_full", .detail = "no worker is free"};
        }
        return {};
    }
    void abandon(const LiveFunction& next) override { add("abandon", next); }
    void commit(const LiveFunction& now) override {
        if (onCommit) onCommit(now);
        add("commit", now);
    }
    void updateSettings(const LiveFunction& now) override { add("settings", now); }
    void remove(const std::string& id) override {
        const std::lock_guard lock(mutex_);
        events_.push_back("remove " + id);
    }
    std::function<void(const LiveFunction&)> onCommit{};  // calls reach the version after it
    LiveFunction last{};
    std::vector<std::string> take() {
        const std::lock_guard lock(mutex_);
        return std::move(events_);
    }

private:
    void add(const std::string& what, const LiveFunction& function) {
        const std::lock_guard lock(mutex_);
        last = function;
        events_.push_back(what + " " + function.entry->function.name + " " +
                          std::to_string(function.live.front().version->number));
    }
    std::mutex mutex_;
    std::vector<std::string> events_;
};

// Waits for an answer that may come from another thread.
template <typename T>
base::Result<T> answerOf(const std::function<void(FunctionService::Then<T>)>& ask) {
    auto answer = std::make_shared<std::promise<base::Result<T>>>();
    auto given = answer->get_future();
    ask([answer](base::Result<T> result) { answer->set_value(std::move(result)); });
    answer.reset();
    // Longer than anything takes: a test that waits in vain ends.
    if (given.wait_for(std::chrono::seconds(60)) != std::future_status::ready)
        throw std::runtime_error("no answer within 60 s");
    return given.get();
}

// The whole domain over one folder; restart() is what a new process would see.
class Domain {
public:
    Domain() { open(); }
    ~Domain() { close(); }
    void restart() {
        close();
        builder.hold();
        open();
    }
    void close() {
        builder.release();
        service.reset();
        store.reset();
    }
    void open() {
        auto opened = SqliteStore::open({.path = (folder.path / "functions.db").string()});
        if (!opened) throw std::runtime_error(opened.failure().detail);
        store = std::move(*opened);
        registry = std::make_unique<Registry>();
        ServiceOptions options = base;
        options.dataDir = folder.path.string();
        options.retention.minFreeDisk = 0;
        service = std::make_unique<FunctionService>(options, *store, *registry, catalog, builder,
                                                    activator);
        if (auto started = service->start(); !started)
            throw std::runtime_error(started.failure().detail);
    }

    // `json` with single quotes for double ones.
    static SaveRequest async(const std::string& json) {
        SaveRequest asked = request(json);
        asked.async = true;
        return asked;
    }
    static SaveRequest request(std::string json, const Limits& limits = {}) {
        for (char& c : json)
            if (c == '\'') c = '"';
        auto document = base::JsonDocument::parse(json);
        if (!document) throw std::runtime_error(document.failure().detail + ": " + json);
        auto patch = readPatch(document->root(), limits);
        if (!patch) throw std::runtime_error(patch.failure().detail);
        return {.patch = std::move(*patch), .caller = {}, .ifRevision = {}, .async = false};
    }
    // A save whose answer is waited for later.
    std::future<base::Result<Saved>> begin(SaveRequest request, const std::string& name = {},
                                             bool createIfMissing = false) {
        auto answer = std::make_shared<std::promise<base::Result<Saved>>>();
        auto given = answer->get_future();
        const auto then = [answer](base::Result<Saved> result) {
            answer->set_value(std::move(result));
        };
        if (name.empty())
            service->create(std::move(request), then);
        else
            service->update(name, std::move(request), createIfMissing, then);
        return given;
    }
    std::string logOf(const std::string& name, uint64_t number) {
        const auto entry = registry->find(name);
        return *service->buildLog(*entry, number);
    }

    // As callers of the HTTP interface see it: with the answer.
    base::Result<Saved> create(SaveRequest request) {
        return answerOf<Saved>(
            [&](auto then) { service->create(std::move(request), std::move(then)); });
    }
    base::Result<Saved> update(const std::string& name, SaveRequest request, bool createIfMissing) {
        return answerOf<Saved>([&](auto then) {
            service->update(name, std::move(request), createIfMissing, std::move(then));
        });
    }
    base::Result<void> remove(const std::string& name, std::optional<uint64_t> ifRevision = {}) {
        return answerOf<void>(
            [&](auto then) { service->remove(name, {}, ifRevision, std::move(then)); });
    }
    base::Result<Saved> create(const std::string& json) { return create(request(json)); }
    base::Result<Saved> put(const std::string& name, const std::string& json) {
        return update(name, request(json), true);
    }
    base::Result<Saved> patch(const std::string& name, const std::string& json) {
        return update(name, request(json), false);
    }

    TemporaryFolder folder{};
    FakeCatalog catalog{};
    FakeBuilder builder{};
    FakeActivator activator{};
    ServiceOptions base{};
    std::unique_ptr<SqliteStore> store{};
    std::unique_ptr<Registry> registry{};
    std::unique_ptr<FunctionService> service{};
};

// What failed, for assertions that expect a success.
template <typename T>
std::string why(const base::Result<T>& result) {
    if (result) return "";
    std::string text = result.failure().reason + ": " + result.failure().detail;
    for (const auto& field : result.failure().fields)
        text += " [" + field.pointer + " " + field.detail + "]";
    return text;
}

}  // namespace cf::functions::test
