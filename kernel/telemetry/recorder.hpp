// Takes invocation records from event loops and has them written. A record costs its loop one short
// lock and a move; what does not fit is dropped and counted, successes before failures. Above a set
// rate only a sample of successes is kept, so that records never cost more than a bounded share of
// the machine.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "telemetry/record_store.hpp"
#include "telemetry/writer.hpp"

namespace cf::telemetry {

struct RecorderOptions {
    std::string file{};                     // <data>/records.db
    std::string node{};                     // names this machine in records; may be empty
    std::chrono::hours age{30 * 24};        // kept at most so long
    uint64_t maxBytes = 1ull << 30;         // of the file, for some seconds more
    uint32_t successesPerSecond = 2000;     // written at most; the rest is sampled out
    size_t queuedFailures = 10'000;         // waiting for the writer at most
    size_t queuedBytes = 32u << 20;         // of printed text waiting; beyond it records go without
    std::chrono::milliseconds probe{1000};  // of a disk that took no records
    // How long trouble() tells of records that had no room.
    std::chrono::milliseconds overflowTold = std::chrono::minutes(1);
};

class Recorder {
public:
    // Registers with `writer`, which must not have been started and must be stopped before the
    // recorder goes. Failure: store_failed.
    static base::Result<std::unique_ptr<Recorder>> open(RecorderOptions options, Writer& writer);

    // Any thread, also loops: false means that a success would not be kept now, so that it need not
    // be built.
    bool wantsSuccess() const { return !full_.load(std::memory_order_relaxed); }
    // Any thread, also loops. Never waits for the disk.
    void record(InvocationRecord record);
    // For a success that was not even built.
    void skipped() { sampledOut_.fetch_add(1, std::memory_order_relaxed); }

    // Not on a loop: what was recorded before the call is seen. Newest first.
    base::Result<std::vector<InvocationRecord>> list(const RecordQuery& query);
    base::Result<InvocationRecord> find(std::string_view invocationId);  // failure: not_found
    base::Result<std::vector<std::string>> withRequestId(const std::string& functionId,
                                                         const std::string& requestId);

    struct Counts {
        uint64_t written = 0;
        uint64_t sampledOut = 0;  // successes above the rate
        uint64_t dropped = 0;     // no room, or the disk did not take them
        uint64_t bytes = 0;       // on disk
    };
    Counts counts() const;
    // A sentence as long as the disk takes no records, or while records of failures had no room;
    // empty when all is well.
    std::string trouble() const;
    const std::string& node() const { return options_.node; }

private:
    Recorder(RecorderOptions options, Writer& writer, std::unique_ptr<RecordStore> store);
    void drain();
    void trim();
    void note(const base::Result<void>& kept);
    void noteOverflow(size_t records);

    RecorderOptions options_;
    Writer& writer_;
    std::unique_ptr<RecordStore> store_;

    std::mutex mutex_;  // held for a push or a swap
    std::vector<InvocationRecord> queue_;
    size_t queuedSuccesses_ = 0;
    size_t queuedFailures_ = 0;
    size_t queuedText_ = 0;
    size_t overflow_ = 0;  // failures that had no room
    size_t successRoom_;
    std::atomic<bool> full_{false};
    std::atomic<uint64_t> sampledOut_{0};
    std::atomic<uint64_t> dropped_{0};
    std::atomic<uint64_t> written_{0};

    mutable std::mutex troubleMutex_;
    std::string trouble_;
    std::string overflowTrouble_;
    std::chrono::steady_clock::time_point overflowUntil_{};

    // Writer thread only.
    std::vector<InvocationRecord> batch_;
    bool failing_ = false;
    uint64_t lost_ = 0;  // since the disk took the last ones
    base::WallClock::time_point lostSince_{};
    std::chrono::steady_clock::time_point nextProbe_{};
    uint64_t untoldOverflow_ = 0;
    std::chrono::steady_clock::time_point nextOverflowComplaint_{};
    std::chrono::steady_clock::time_point nextComplaint_{};
    std::chrono::steady_clock::time_point lastDrain_;
    std::chrono::steady_clock::time_point nextTrim_;
    uint64_t untrimmedBytes_ = 0;  // written since the last look
};

}  // namespace cf::telemetry
