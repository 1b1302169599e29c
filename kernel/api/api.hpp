// The platform's HTTP interface: takes every request that is not a file of the web page and routes
// it to a resource. One Api stands on each event loop; all share one ControlPool, on whose threads
// the control plane works, so that no loop ever waits for a disk, a build or a lock.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/control.hpp"
#include "api/health.hpp"
#include "base/event_loop.hpp"
#include "functions/service.hpp"
#include "http/exchange.hpp"

namespace cf::api {

// Where records and logs are read from; app/ implements it over telemetry/. Control-plane threads,
// may block. Failure: not_found.
class RecordSource {
public:
    virtual ~RecordSource() = default;
    // The record as a JSON object.
    virtual base::Result<std::string> invocation(std::string_view invocationId) = 0;
    // Records of a function, newest first, as JSON objects; fills `nextCursor` when there are more.
    virtual base::Result<std::vector<std::string>> invocations(const std::string& functionId,
                                                               size_t limit,
                                                               const std::string& cursor,
                                                               std::string& nextCursor) = 0;
    struct LogQuery {
        size_t tail = 100;           // lines from the end
        std::string invocationId{};  // only lines of this invocation; empty: all
        std::string requestId{};
    };
    // Log lines as JSON objects, oldest first.
    virtual base::Result<std::vector<std::string>> logs(const functions::FunctionEntry& function,
                                                        const LogQuery& query) = 0;
};

// Clients that follow something: each keeps a connection and a little memory for as long as it
// likes. Shared by all loops.
struct FollowerLimits {
    size_t most = 256;                            // beyond it 503
    std::chrono::milliseconds heartbeat{15'000};  // most proxies cut silent connections after a minute
    std::chrono::milliseconds faultDelay{1000};   // until what the store could not read is read again
    std::atomic<size_t> open{0};
};

// Everything an Api stands on. References outlive it. Slots that are not filled answer 404.
struct Dependencies {
    ControlPool& pool;
    functions::FunctionService& functions;
    functions::RuntimeCatalog& runtimes;
    RecordSource* records = nullptr;
    std::function<Health()> health{};  // control-plane thread
    std::function<Health::Phase()> phase{};  // any thread, at once
    std::function<std::string()>
        runtimesDocument{};  // array of GET /api/v1/runtimes; control-plane thread
    std::string openapi{};   // text of docs/http-api.yaml
    std::shared_ptr<FollowerLimits> followers = std::make_shared<FollowerLimits>();
    // Gives the files of an uploaded archive, later and on a thread that may block, or refuses it at
    // once; `archive` stays until then. Failures: invalid_archive, unpacking_busy, sandbox_failed.
    using Unpacked = std::function<void(base::Result<std::vector<functions::SourceFile>>)>;
    std::function<void(std::string_view archive, Unpacked then)> unpack{};

    // POST /api/v1/functions/{idOrName}/invoke. Loop thread; the text is decoded and lives as long
    // as the call.
    std::function<void(std::shared_ptr<http::Exchange>, std::string_view idOrName)> invoke{};
    // ANY /function/{name}{rest}: `rest` begins with '/' or is empty, and is as sent (not decoded).
    std::function<void(std::shared_ptr<http::Exchange>, std::string_view name,
                       std::string_view rest)>
        functionUrl{};
    // GET and HEAD outside of /api and /function: the web page.
    std::function<void(std::shared_ptr<http::Exchange>)> page{};
};

class Api {
public:
    Api(base::EventLoop& loop, Dependencies dependencies);
    ~Api();

    // Loop thread: answers, or hands over to someone who will.
    void handle(std::shared_ptr<http::Exchange> exchange);

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace cf::api
