// Invocation records on disk: one SQLite file of its own (Poco::Data), so that it can neither slow
// the platform's store down nor damage it. One connection writes and checkpoints, a second one only
// reads: SQLite before 3.51.3 can damage a WAL when several connections write and checkpoint at
// once. Soft state: a damaged file is set aside and begun anew, also while it is in use.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/failure.hpp"
#include "telemetry/record.hpp"

namespace cf::telemetry {

struct RecordQuery {
    std::string functionId{};
    std::optional<Status> status{};
    std::string before{};  // an invocation id: only older records; empty: from the newest
    size_t limit = 100;
};

class RecordStore {
public:
    // Failure: store_failed, e.g. the folder is not writable. On a full disk the file may have to be
    // opened later: write() does so.
    static base::Result<std::unique_ptr<RecordStore>> open(const std::string& file);
    ~RecordStore();
    // Writer thread.
    bool isOpen() const { return state_ != nullptr; }

    // Writer thread. One transaction; a failure says why nothing was written. Records beyond the
    // first with the same id are left out; without any it only shows whether the disk takes
    // something. `pause` is called between pieces of 16 rows, some tenths
    // of a millisecond, or of more rows where there are over 1000: 63 times at most.
    base::Result<void> write(
        const std::vector<InvocationRecord>& records, const std::function<void()>& pause = [] {});
    // Writer thread: deletes some of what is older than `age` or, oldest first, above `maxBytes`,
    // and makes the file smaller. True: there is more.
    bool trim(std::chrono::milliseconds age, uint64_t maxBytes);

    // Any thread, one at a time inside. Newest first; without what the invocation printed.
    base::Result<std::vector<InvocationRecord>> list(const RecordQuery& query);
    // Failure: not_found.
    base::Result<InvocationRecord> find(std::string_view invocationId);
    // Invocations of a function with this request id, newest first, among its latest 10 000.
    base::Result<std::vector<std::string>> withRequestId(const std::string& functionId,
                                                         const std::string& requestId);
    uint64_t bytes() const;  // on disk

private:
    struct State;
    explicit RecordStore(std::string file);
    void beginAnew(const std::string& why);
    uint64_t fileBytes(const char* suffix) const;

    const std::string file_;
    std::mutex readers_;            // one reads at a time; the writer takes it to change state_
    std::unique_ptr<State> state_;  // none while the file cannot be opened
    std::chrono::steady_clock::time_point nextAnew_{};
};

}  // namespace cf::telemetry
