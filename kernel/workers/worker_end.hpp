// Turns the end of a worker into words for the callers whose invocations it took along.
#pragma once

#include "workers/worker.hpp"

namespace cf::workers {

// Fills detail and hint from the executor's explanation, else from exit code and signal.
void describeEnd(const Context& context, const TargetPtr& target, const sandbox::Ended& ended,
                 std::string_view lastErrors, WorkerEnd& end);

// An error document (docs/worker-protocol.md) of a LOAD_FAILED as a load_failed Failure: its
// message as detail, its place in the source as a remark.
base::Failure failureOfLoad(std::string_view errorDocument);

// What the caller of an invocation is told that was running then and might take `timeout`.
base::Failure failureOf(const WorkerEnd& end, const Target& target,
                        std::chrono::milliseconds timeout);

}  // namespace cf::workers
