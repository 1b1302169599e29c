#include "app/platform.hpp"

#include <signal.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <thread>
#include <utility>

#include <Poco/String.h>

#include "api/problem.hpp"
#include "app/error_lines.hpp"
#include "app/forwarding.hpp"
#include "app/machine_share.hpp"
#include "app/remote_launcher.hpp"
#include "app/serve.hpp"
#include "base/clock.hpp"
#include "base/log.hpp"
#include "executors/loader.hpp"
#include "executors/properties.hpp"

namespace cf::app {

using namespace std::chrono_literals;

namespace {

constexpr uint32_t genericMemoryMb = 128;  // of a prewarmed worker until it is bound

uint32_t cores() { return usableCores(allowedCores()); }

telemetry::LogStream logStream(workers::Stream stream) {
    return stream == workers::Stream::errors ? telemetry::LogStream::errors : telemetry::LogStream::output;
}

std::string textOf(simdjson::dom::element document, const char* key) {
    std::string_view value;
    return document[key].get(value) ? std::string{} : std::string(value);
}

// With what SQLite has not written to the file itself yet.
uint64_t databaseBytes(const std::string& file) {
    uint64_t bytes = 0;
    for (const char* part : {"", "-wal"}) {
        std::error_code error;
        const auto size = std::filesystem::file_size(file + part, error);
        if (!error) bytes += size;
    }
    return bytes;
}

}  // namespace

Platform::Platform(Settings settings, Places places, const DataDirectory& data)
    : settings_(std::move(settings)), places_(std::move(places)), data_(data),
      loops_(std::min<size_t>(settings_.loops != 0 ? settings_.loops : usualLoops(cores()), settings_.maxWorkers)),
      companions_(settings_.companions), logUse_(data_.path() + "/.by-id"), page_(places_.web) {
    for (const auto& home : loops_.all())
        home->server = std::make_unique<http::Server>(home->loop, serverOptions(), [this, &here = *home](std::shared_ptr<http::Exchange> exchange) {
            handle(here, std::move(exchange));
        });
}

Platform::~Platform() {
    if (running_) stop(0s);
}

http::ServerOptions Platform::serverOptions() {
    http::ServerOptions options;
    options.maxConnections = settings_.maxConnections;
    options.maxPerAddress = settings_.maxConnectionsPerAddress;
    // An address that may have all connections is a proxy's.
    if (options.maxPerAddress >= options.maxConnections) options.addressBytes = options.bufferBytes;
    options.headerTimeout = settings_.headerTimeout;
    options.idleTimeout = settings_.idleTimeout;
    options.limits.bodyBytes = settings_.maxBodyBytes;
    options.bodyLimit = [this](const http::Request& head) {
        if (http::isArchiveUpload(head)) return size_t{settings_.maxArchiveBytes};
        const bool save = head.path.starts_with("/api/v1/functions") && !head.path.ends_with("/invoke");
        // Saves carry code, in JSON: escapes may double it; archives in base64 grow by a third.
        const uint64_t code = std::max(settings_.maxCodeBytes * 2, settings_.maxArchiveBytes / 3 * 4);
        return save ? static_cast<size_t>(code + 1'048'576) : size_t{settings_.maxBodyBytes};
    };
    options.problem = [](const http::Refusal& refusal, const http::Request& request) {
        const std::string id = api::requestIdOf(request);
        return http::Problem{.headers = "X-Request-Id: " + id + "\r\n",
                             .document = api::problemDocument(refusal.failure, {.instance = request.path, .requestId = id})};
    };
    options.occupancy = occupancy_;
    return options;
}

base::Result<std::vector<std::string>> Platform::listen() {
    std::vector<std::string> urls;
    uint16_t port = settings_.port;
    for (const auto& text : settings_.addresses) {
        Poco::Net::IPAddress address;
        if (!Poco::Net::IPAddress::tryParse(text == "localhost" ? "127.0.0.1" : text, address))
            return base::Failure{.reason = "start_failed", .detail = "server.address = \"" + text + "\" is not an IP address"};
        auto bound = loops_.first().server->listen({address, port});
        if (!bound) return std::move(bound).failure();
        port = *bound;  // with port 0 all addresses share the one that was chosen first
        const bool any = address.isWildcard();
        const std::string host = any ? "localhost" : address.family() == Poco::Net::IPAddress::IPv6 ? "[" + address.toString() + "]" : address.toString();
        urls.push_back("http://" + host + ":" + std::to_string(port));
        if (!any) guards_.allowedHosts.push_back(host);
    }
    for (size_t i = 1; i < loops_.size(); ++i) loops_.all()[i]->server->listenWith(*loops_.first().server);
    for (const auto& host : settings_.allowedHosts) guards_.allowedHosts.push_back(Poco::toLower(host));
    for (const auto& host : settings_.functionHosts) guards_.functionHosts.push_back(Poco::toLower(host));
    return urls;
}

workers::Options Platform::workerOptions(size_t loop) {
    const auto part = [&](uint64_t all) { return partOf(all, loop, loops_.size()); };
    workers::Options options;
    options.cores = cores();
    options.dispatchers = static_cast<uint32_t>(loops_.size());
    options.maxWorkers = static_cast<uint32_t>(part(settings_.maxWorkers));
    // What is left is for the kernel, builds and the rest of the machine.
    options.memoryBytes = part(settings_.workerMemoryMb ? *settings_.workerMemoryMb << 20 : usableMemory() / 4 * 3);
    const auto prewarmedPart = [&](uint32_t all) { return all == 0 ? 0 : std::max<uint32_t>(1, static_cast<uint32_t>(part(all))); };
    options.prewarmed = prewarmedPart(settings_.prewarmed);
    for (const auto& [runtime, all] : settings_.prewarmedOf) options.prewarmedOf[runtime] = prewarmedPart(all);
    options.queueSize = settings_.queueSize;
    options.queueTimeout = settings_.queueTimeout;
    options.maxResponseBytes = settings_.maxResponseBytes;
    options.limits.processes = settings_.processes;
    options.limits.cpus = settings_.cpus;
    options.idleCores = settings_.idleCpu / 100.0;
    options.limits.tmpBytes = settings_.tmpBytes;
    options.onLog = [this](const workers::Target& target, std::string_view invocationId, workers::Stream stream, std::string_view text) {
        logs_->write(target.functionId, invocationId, logStream(stream), text);
    };
    options.explain = [this](const workers::Target& target, const sandbox::Ended& ended, std::string_view lastErrors) {
        workers::ExitWords words;
        const auto executor = catalog_.byId(target.runtime);
        if (!executor) return words;
        if (auto explained = executor->describeExit(ended, target.memoryMb, lastErrors)) words = {explained->message, explained->hint};
        return words;
    };
    options.onRuntimeTrouble = [this, loop](const std::string& runtime, const std::string& why) {
        const std::lock_guard lock(troubleMutex_);
        if (why.empty()) troubles_.erase({runtime, loop});
        else troubles_[{runtime, loop}] = why;
    };
    return options;
}

void Platform::makeInvocationPath(sandbox::LauncherProcess launcher) {
    base::EventLoop& owner = loops_.first().loop;
    launcher_ = std::make_unique<sandbox::LauncherClient>(owner, std::move(launcher));
    launcher_->onLost([this] {
        if (!launcher_->isGone()) return base::logWarning("app", "the launcher process died; running workers go on");
        base::logError("app", "nothing can be started without the launcher: the platform ends, to be started again");
        failed_ = true;
        ::kill(::getpid(), SIGTERM);
    });
    for (const auto& home : loops_.all()) {
        const bool owns = home->index == 0;
        if (!owns) home->launcher = std::make_unique<RemoteLauncher>(home->loop, owner, *launcher_);
        home->dispatcher = std::make_unique<workers::Dispatcher>(home->loop, owns ? *launcher_ : *home->launcher, workerOptions(home->index));
    }
    children_ = std::make_unique<ChildProcesses>(owner, *launcher_);
    activator_ = std::make_unique<WorkerActivator>(loops_, catalog_, *logs_, areOnMachinesNetwork(layers_, settings_));
    BuildOptions build;
    build.timeout = settings_.buildTimeout;
    build.limits.memoryBytes = uint64_t{settings_.buildMemoryMb} << 20;
    build.diskBytes = uint64_t{settings_.buildDiskMb} << 20;
    build.network = settings_.buildNetwork;
    for (const auto& layer : layers_)
        if (layer.name == "outbound_network" && !layer.active && build.network.mode == sandbox::Network::outbound)
            build.networkFault = "builds have no network here (" + layer.detail + "); start as root, or set build.network = host";
    build.limits.processes = 512;
    build.limits.fileBytes = 512ull << 20;
    build.limits.tmpBytes = 512ull << 20;
    builder_ = std::make_unique<ExecutorBuilder>(build, catalog_, *children_, *activator_);
    ArchivesOptions archives{.program = places_.binary};
    archives.limits = {.archiveBytes = settings_.maxArchiveBytes, .unpackedBytes = settings_.maxUnpackedBytes, .entries = settings_.maxFiles};
    archives_ = std::make_unique<Archives>(std::move(archives), *children_);
}

// On the loop's thread.
void Platform::serveApi(HomeLoop& home) {
    api::InvokeDependencies invoke{.loop = home.loop,
                                   .dispatcher = *home.dispatcher,
                                   .live = home.live,
                                   .registry = registry_,
                                   .onDisconnect = settings_.cancelOnDisconnect ? api::OnDisconnect::cancel : api::OnDisconnect::finish};
    invoke.record = [this](const workers::Invocation& call, const workers::Outcome& outcome, std::string_view source, int status) {
        record(call, outcome, source, status);
    };
    home.invoke = std::make_unique<api::InvokeResource>(invoke);
    home.functionUrl = std::make_unique<api::FunctionUrl>(invoke, guards_.functionHosts);

    api::Dependencies dependencies{.pool = *control_, .functions = *functions_, .runtimes = runtimes_};
    dependencies.records = recordReader_.get();
    dependencies.health = [this] { return health(); };
    dependencies.phase = [this] { return phase_.load(); };
    dependencies.runtimesDocument = [this] { return catalog_.runtimesJson(); };
    dependencies.openapi = places_.openapi;
    dependencies.followers = followers_;
    dependencies.unpack = [this](std::string_view archive, Archives::Then then) { archives_->unpack(archive, std::move(then)); };
    dependencies.invoke = [&home](std::shared_ptr<http::Exchange> exchange, std::string_view idOrName) { home.invoke->handle(std::move(exchange), idOrName); };
    dependencies.functionUrl = [&home](std::shared_ptr<http::Exchange> exchange, std::string_view name, std::string_view rest) {
        home.functionUrl->handle(std::move(exchange), name, rest);
    };
    dependencies.page = [this](std::shared_ptr<http::Exchange> exchange) { page_.handle(exchange); };
    home.api = std::make_unique<api::Api>(home.loop, std::move(dependencies));
}

base::Result<void> Platform::openTelemetry() {
    writer_ = std::make_unique<telemetry::Writer>();
    if (settings_.records) {
        auto recorder = telemetry::Recorder::open({.file = data_.own("records.db"),
                                                   .node = "",
                                                   .age = std::chrono::hours(24) * settings_.recordDays,
                                                   .maxBytes = settings_.recordBytes},
                                                  *writer_);
        if (!recorder) return std::move(recorder).failure();
        recorder_ = std::move(*recorder);
    }
    telemetry::FunctionLogsOptions options;
    options.workDir = data_.path();
    options.retention.fileBytes = settings_.logBytes;
    options.retention.files = settings_.logFiles;
    options.retention.age = std::chrono::hours(24) * settings_.logDays;
    logs_ = std::make_unique<telemetry::FunctionLogs>(options, *writer_);
    recordReader_ = std::make_unique<RecordReader>(recorder_.get(), *logs_);
    return {};
}

base::Result<void> Platform::loadExecutors() {
    executors::LoaderOptions options;
    options.folders = {settings_.executorsDir.empty() ? places_.executors : settings_.executorsDir};
    options.dataDir = data_.path() + "/.cloudfunction";
    options.properties = settings_.executorProperties;
    options.probeCommand = {places_.binary, "probe-executor"};
    options.probeTimeout = settings_.probeTimeout;
    catalog_.replace(executors::Loader(std::move(options), *children_).loadAll());
    base::Failure wrong{.reason = "invalid_properties"};
    const auto tell = [&wrong](const executors::WrongProperty& property, const std::string& source) {
        const std::string sentence = source + ": " + property.sentence;
        if (property.maybe) base::logWarning("app", sentence);
        else wrong.fields.push_back({property.key, sentence});
    };
    for (const auto& property : executors::findWrongProperties(settings_.executorProperties, *catalog_.executors()))
        tell(property, settings_.executorSources.at(property.key));
    std::vector<std::string> named;
    for (const auto& [runtime, count] : settings_.prewarmedOf) named.push_back(runtime);
    for (const auto& property : executors::findMissingExecutors("workers.prewarmed", named, *catalog_.executors())) tell(property, settings_.prewarmedSource);
    if (!wrong.fields.empty()) return wrong;
    for (const auto& executor : *catalog_.executors()) {
        if (!executor->available()) continue;
        auto plan = executor->plan(nullptr);
        if (!plan) {
            base::logWarning("app", "executor " + executor->facts().id + " has no plan for its workers: " + plan.failure().detail);
            continue;
        }
        const uint32_t memoryMb = executor->facts().manifest.defaultMemoryMb.value_or(genericMemoryMb);
        loops_.postEach([id = executor->facts().id, plan = workerPlan(std::move(*plan)), memoryMb](HomeLoop& home) { home.dispatcher->addRuntime(id, plan, memoryMb); });
    }
    return {};
}

// Builds that a crash interrupted may have left files that belong to the users of build tools.
void Platform::reclaimBuilds() {
    std::mutex mutex;
    std::condition_variable done;
    bool finished = false;
    loops_.first().loop.post([&] {
        launcher_->reclaim(data_.own("build"), [&](base::Result<void> result) {
            if (!result) base::logWarning("app", "leftovers of interrupted builds stay: " + result.failure().detail);
            const std::lock_guard lock(mutex);
            finished = true;
            done.notify_all();
        });
    });
    std::unique_lock lock(mutex);
    done.wait(lock, [&] { return finished; });
}

base::Result<void> Platform::loadFunctions() {
    if (std::filesystem::exists(data_.own("build"))) reclaimBuilds();
    auto store = functions::SqliteStore::open({.path = data_.own("functions.db")});
    if (!store) return std::move(store).failure();
    store_ = std::move(*store);
    functions::ServiceOptions options;
    options.dataDir = data_.path() + "/.cloudfunction";
    options.limits.codeBytes = settings_.maxCodeBytes;
    // More are never there: a function lives on one loop, which has its part.
    options.limits.maxMinWorkers = std::min<uint32_t>(options.limits.maxMinWorkers, settings_.maxWorkers / static_cast<uint32_t>(loops_.size()));
    options.limits.files = settings_.maxFiles;
    options.layers = {settings_.buildCacheAge, settings_.buildCacheBytes};
    options.lockAge = settings_.buildLockAge;
    options.parallelBuilds = settings_.buildParallel;
    options.limits.defaults.timeout = settings_.timeout;
    options.limits.defaults.keepAlive = settings_.keepAlive;
    functions_ = std::make_unique<functions::FunctionService>(std::move(options), *store_, registry_, runtimes_, *builder_, *activator_);
    logs_->look();
    auto started = functions_->start();
    if (!started) return started;
    std::vector<std::pair<std::string, std::string>> names;
    for (const auto& entry : registry_.all()) names.emplace_back(entry->function.id, entry->function.name);
    logs_->begin(names);
    return {};
}

base::Result<void> Platform::start(sandbox::LauncherProcess launcher, std::vector<sandbox::Layer> moreLayers, const AccessToken& token,
                                   const std::function<bool()>& isStopAsked) {
    layers_ = launcher.layers;
    layers_.insert(layers_.end(), moreLayers.begin(), moreLayers.end());
    if (token.required) {
        guards_.token = token.sha256;
        // Whoever shows the token is no victim of a rebound name; a list that the operator made holds all the same.
        guards_.anyHost = settings_.allowedHosts.empty();
    }
    if (auto opened = openTelemetry(); !opened) return opened;
    makeInvocationPath(std::move(launcher));
    loops_.startThreads();
    running_ = true;
    companions_.start();
    const auto stage = [&](base::Result<void> (Platform::*load)()) -> base::Result<void> {
        if (isStopAsked()) return base::Failure{.reason = "draining", .detail = "the platform was asked to stop during its start"};
        return (this->*load)();
    };
    if (auto loaded = stage(&Platform::loadExecutors); !loaded) return loaded;
    if (auto loaded = stage(&Platform::loadFunctions); !loaded) return loaded;
    writer_->start();
    control_ = std::make_unique<api::ControlPool>(api::ControlOptions{.threads = settings_.controlThreads});
    followers_ = std::make_shared<api::FollowerLimits>();
    followers_->most = settings_.maxFollowers;
    logBytes();
    store_->checkRest();
    activator_->callersCome();
    loops_.onEach([this](HomeLoop& home) { serveApi(home); });
    phase_ = api::Health::Phase::running;
    return {};
}

// The named stages of a request: accept and parse are the server's; guard and authenticate here; route and handle the
// API's; write the exchange's.
void Platform::handle(HomeLoop& home, std::shared_ptr<http::Exchange> exchange) {
    const http::Request& request = exchange->request();
    if (auto refusal = http::checkAll(request, guards_)) {
        const auto document = api::problem(refusal->failure, request);
        return exchange->respond(refusal->status, refusal->headers + document.headers, {document.body});
    }
    if (!home.api) {
        const auto answer = api::problem({.reason = "starting", .detail = "the platform is starting", .hint = "try again in a second"}, request);
        return exchange->respond(answer.status, answer.headers, {answer.body});
    }
    home.api->handle(std::move(exchange));
}

void Platform::record(const workers::Invocation& call, const workers::Outcome& outcome, std::string_view source, int status) {
    using Kind = workers::Outcome::Kind;
    if (call.printed.hasOpenLine()) logs_->finish(call.target->functionId, call.idText());
    simdjson::dom::parser parser;
    simdjson::dom::element error;
    const bool hasError = outcome.kind == Kind::error && !parser.parse(outcome.document.data(), outcome.document.size()).get(error);
    // The caller of a function URL does not see it, and that of a call may not keep it.
    const std::string lines = hasError ? errorLines(error) : std::string{};
    if (hasError) logs_->write(call.target->functionId, call.idText(), telemetry::LogStream::errors, lines);
    if (!recorder_) return;
    if (outcome.kind == Kind::result && !recorder_->wantsSuccess()) return recorder_->skipped();
    telemetry::InvocationRecord entry;
    entry.invocationId = call.idText();
    entry.requestId = call.requestId;
    entry.functionId = call.target->functionId;
    entry.functionName = call.target->functionName;
    entry.version = call.target->version;
    entry.source = source;
    entry.status = outcome.kind == Kind::result ? telemetry::Status::success : outcome.kind == Kind::error ? telemetry::Status::error : telemetry::Status::failure;
    entry.httpStatus = status;
    const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(workers::Clock::now() - call.received);
    entry.receivedAtMs = base::unixMs(base::WallClock::now() - age);
    entry.queued = outcome.queued;
    entry.init = outcome.init;
    entry.run = outcome.run;
    entry.memoryPeakBytes = outcome.memoryPeakBytes;
    entry.cold = outcome.cold;
    const size_t room = telemetry::InvocationRecord::logLimit - lines.size();
    entry.log = call.printed.text();
    entry.logDropped = call.printed.dropped() + (entry.log.size() > room ? entry.log.size() - room : 0);
    entry.log.resize(std::min(entry.log.size(), room));
    if (!lines.empty() && !entry.log.empty() && entry.log.back() != '\n') entry.log += '\n';
    entry.log += lines;
    if (outcome.kind == Kind::failure) {
        entry.reason = outcome.failure.reason;
        entry.errorMessage = outcome.failure.detail;
    } else if (hasError) {
        entry.errorType = textOf(error, "type");
        entry.errorMessage = textOf(error, "message").substr(0, telemetry::InvocationRecord::messageLimit);
    }
    recorder_->record(std::move(entry));
}

uint64_t Platform::logBytes() const {
    return logUse_.bytes([this](std::function<void()> look) { return control_->run(std::move(look)); });
}

api::Health Platform::health() const {
    api::Health health;
    health.phase = phase_;
    health.version = platformVersion;
    health.companions = companions_.states();
    for (const auto& executor : *catalog_.executors()) {
        const auto& facts = executor->facts();
        api::Health::Executor shown{.id = facts.id.empty() ? facts.file : facts.id, .available = executor->available(), .version = facts.version,
                                    .detail = facts.toolchainVersion};
        if (facts.unavailable) {
            shown.detail = facts.unavailable->reason;
            shown.hint = facts.unavailable->hint;
        }
        const std::lock_guard lock(troubleMutex_);
        if (const auto trouble = troubles_.lower_bound({facts.id, 0}); trouble != troubles_.end() && trouble->first.first == facts.id) {
            shown.available = false;
            shown.detail = "its workers do not start: " + trouble->second;
            health.problems.push_back("workers of " + facts.id + " do not start");
        }
        health.executors.push_back(std::move(shown));
    }
    health.sandboxStrict = settings_.strict;
    health.sandboxTier = sandbox::tierOf(layers_);
    for (const auto& layer : layers_) health.layers.push_back({layer.name, layer.active, layer.detail});
    if (std::ranges::any_of(layers_, [](const auto& layer) { return layer.name == "outbound_network" && layer.active; }))
        if (auto trouble = whyNotForwarded(); !trouble.empty()) health.problems.push_back(std::move(trouble));
    health.storeDetail = store_->describe();
    if (auto damage = store_->damage(); !damage.empty()) {
        health.storeOk = false;
        health.problems.push_back(std::move(damage));
    }
    const auto kept = functions_->diskUse();
    health.bytes = {{"database", databaseBytes(data_.own("functions.db"))}, {"logs", logBytes()}, {"artifacts", kept.artifacts}, {"layers", kept.layers}};
    if (recorder_) {
        health.bytes.emplace_back("records", recorder_->counts().bytes);
        if (auto trouble = recorder_->trouble(); !trouble.empty()) health.problems.push_back(std::move(trouble));
    }
    if (auto trouble = logs_->trouble(); !trouble.empty()) health.problems.push_back(std::move(trouble));
    return health;
}

std::string Platform::describe(const std::vector<std::string>& urls) const {
    std::string out = "CloudFunction " + std::string(platformVersion) + " is ready\n";
    for (const auto& url : urls) out += "  web page   " + url + "/\n  API        " + url + "/api/v1/functions\n";
    out += "  data       " + data_.path() + "\n";
    if (loops_.size() > 1) out += "  loops      " + std::to_string(loops_.size()) + "\n";
    for (const auto& executor : *catalog_.executors()) {
        const auto& facts = executor->facts();
        const std::string name = facts.manifest.displayName.empty() ? facts.file : facts.manifest.displayName;
        out += "  " + (executor->available() ? "ready      " + name + " " + facts.toolchainVersion
                                             : "missing    " + name + ": " + facts.unavailable->reason +
                                                   (facts.unavailable->hint.empty() ? "" : " (" + facts.unavailable->hint + ")")) + "\n";
    }
    for (const auto& layer : layers_)
        if (!layer.active) out += "  not held   " + layer.name + ": " + layer.detail + "\n";
    return out;
}

void Platform::stop(std::chrono::milliseconds patience) {
    phase_ = api::Health::Phase::draining;
    if (!std::exchange(running_, false)) return;
    companions_.stop();
    loops_.onEach([](HomeLoop& home) { home.server->drain([] {}); });
    // One that has drained may get another loop's connection; those on their way count as well.
    const auto until = std::chrono::steady_clock::now() + patience;
    while (occupancy_->connections() > 0 && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(5ms);
    if (builder_) builder_->cancelAll();
    loops_.onEach([](HomeLoop& home) { home.dispatcher->shutDown(); });
    // Connections that were not done in time may ask them still: they go when the loops stand.
    if (control_) control_->stop();
    if (archives_) archives_->stop();
    if (functions_) functions_->stop();
    loops_.onEach([](HomeLoop&) {});  // what these posted last has run
    loops_.stopThreads();
    if (writer_) writer_->stop();
    for (const auto& home : loops_.all()) {
        home->server.reset();
        home->api.reset();
    }
    for (const auto& home : loops_.all()) home->loop.discardPosted();
    for (const auto& home : loops_.all()) {
        home->invoke.reset();
        home->functionUrl.reset();
    }
    control_.reset();
    archives_.reset();
    functions_.reset();
    builder_.reset();
    activator_.reset();
    children_.reset();
    for (const auto& home : loops_.all()) home->dispatcher.reset();
    launcher_.reset();  // closes its socket: the launcher ends what is left and leaves
}

}  // namespace cf::app
