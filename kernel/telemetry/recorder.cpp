#include "telemetry/recorder.hpp"

#include <algorithm>
#include <utility>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace cf::telemetry {

using Clock = std::chrono::steady_clock;

namespace {

constexpr size_t rowBytes = 500;  // of a record without texts, about
constexpr auto trimTime = std::chrono::milliseconds(100), trimTimeAtMost = trimTime * 10;

}  // namespace

base::Result<std::unique_ptr<Recorder>> Recorder::open(RecorderOptions options, Writer& writer) {
    auto store = RecordStore::open(options.file);
    if (!store) return std::move(store).failure();
    auto recorder =
        std::unique_ptr<Recorder>(new Recorder(std::move(options), writer, *std::move(store)));
    writer.add([self = recorder.get()] { self->drain(); });
    return recorder;
}

Recorder::Recorder(RecorderOptions options, Writer& writer, std::unique_ptr<RecordStore> store)
    : options_(std::move(options)),
      writer_(writer),
      store_(std::move(store)),
      successRoom_(options_.successesPerSecond),
      lastDrain_(Clock::now()),
      nextTrim_(Clock::now()) {
    // Both buffers keep their room when they are swapped, so the loops never wait for a growing
    // one.
    queue_.reserve(1024);
    batch_.reserve(1024);
}

void Recorder::record(InvocationRecord record) {
    const bool success = record.status == Status::success;
    if (record.log.size() > InvocationRecord::logLimit) {
        record.logDropped += record.log.size() - InvocationRecord::logLimit;
        record.log.resize(InvocationRecord::logLimit);
    }
    if (record.errorMessage.size() > InvocationRecord::messageLimit)
        record.errorMessage.resize(InvocationRecord::messageLimit);
    const std::scoped_lock lock(mutex_);
    if (success && queuedSuccesses_ >= successRoom_) {
        full_.store(true, std::memory_order_relaxed);
        sampledOut_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    if (!success && queuedFailures_ >= options_.queuedFailures) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        ++overflow_;
        return;
    }
    if (queuedText_ + record.log.size() > options_.queuedBytes) {
        record.logDropped += record.log.size();
        record.log.clear();
    }
    queuedText_ += record.log.size();
    ++(success ? queuedSuccesses_ : queuedFailures_);
    queue_.push_back(std::move(record));
}

void Recorder::drain() {
    const auto now = Clock::now();
    size_t overflow = 0;
    const double elapsed = std::min(1.0, std::chrono::duration<double>(now - lastDrain_).count());
    {
        const std::scoped_lock lock(mutex_);
        batch_.swap(queue_);
        // What one interval may bring is what the last one would have allowed: a rate without a
        // clock on the loops. A quiet platform may have a whole second's worth at once.
        const auto perSecond = static_cast<double>(options_.successesPerSecond);
        const double unused =
            static_cast<double>(successRoom_ - std::min(successRoom_, queuedSuccesses_));
        successRoom_ = static_cast<size_t>(std::min(perSecond, unused + perSecond * elapsed));
        overflow = std::exchange(overflow_, 0);
        queuedSuccesses_ = queuedFailures_ = queuedText_ = 0;
        full_.store(successRoom_ == 0, std::memory_order_relaxed);
    }
    lastDrain_ = now;
    if (overflow > 0 || untoldOverflow_ > 0) noteOverflow(overflow);
    // Without calls nothing else would find that the disk takes records again.
    if (!batch_.empty() || ((failing_ || !store_->isOpen()) && now >= nextProbe_))
        note(store_->write(batch_, [this] { writer_.giveWay(); }));
    for (const InvocationRecord& record : batch_)
        untrimmedBytes_ += record.log.size() + record.errorMessage.size() + rowBytes;
    batch_.clear();
    if (now >= nextTrim_ || untrimmedBytes_ >= options_.maxBytes / 16) trim();
}

// Some of it: what comes meanwhile shall not wait for long, unless it comes faster than it goes.
void Recorder::trim() {
    untrimmedBytes_ = 0;
    const auto begin = Clock::now();
    const bool late = store_->bytes() / 2 > options_.maxBytes;
    const auto end = begin + (late ? trimTimeAtMost : trimTime);
    bool more = store_->trim(options_.age, options_.maxBytes);
    while (more && Clock::now() < end) {
        writer_.giveWay();
        more = store_->trim(options_.age, options_.maxBytes);
    }
    nextTrim_ = more ? begin : begin + std::chrono::seconds(60);
}

// A failing disk is told once a minute, its end once.
void Recorder::note(const base::Result<void>& kept) {
    (kept ? written_ : dropped_).fetch_add(batch_.size(), std::memory_order_relaxed);
    if (kept && !failing_) return;
    if (!kept) {
        if (!failing_) lostSince_ = base::WallClock::now();
        failing_ = true;
        lost_ += batch_.size();
        nextProbe_ = Clock::now() + options_.probe;
    }
    const std::string since = base::rfc3339(lostSince_);
    const std::string lost = std::to_string(lost_) + " invocation records could not be written";
    if (kept) {
        failing_ = false;
        base::logWarning("telemetry", lost + " from " + since + " to " +
                                          base::rfc3339(base::WallClock::now()) +
                                          "; now they are written again");
        lost_ = 0;
        nextComplaint_ = {};
    } else if (Clock::now() >= nextComplaint_) {
        nextComplaint_ = Clock::now() + std::chrono::minutes(1);
        base::logError("telemetry", lost + ": " + kept.failure().detail);
    }
    const std::scoped_lock lock(troubleMutex_);
    trouble_ = kept ? "" : lost + ": " + kept.failure().detail + " (since " + since + ")";
}

// Told once a minute.
void Recorder::noteOverflow(size_t records) {
    untoldOverflow_ += records;
    const auto now = Clock::now();
    if (records > 0) {
        const std::scoped_lock lock(troubleMutex_);
        overflowTrouble_ = "records of failed calls had no room at " +
                           base::rfc3339(base::WallClock::now()) + ": " +
                           std::to_string(dropped_.load()) + " records are missing by now";
        overflowUntil_ = now + options_.overflowTold;
    }
    if (now < nextOverflowComplaint_) return;
    nextOverflowComplaint_ = now + std::chrono::minutes(1);
    base::logWarning("telemetry", std::to_string(std::exchange(untoldOverflow_, 0)) +
                                      " records of failed calls were dropped: more came than are "
                                      "kept for the disk (" +
                                      std::to_string(options_.queuedFailures) + ")");
}

std::string Recorder::trouble() const {
    const std::scoped_lock lock(troubleMutex_);
    if (overflowTrouble_.empty() || Clock::now() >= overflowUntil_) return trouble_;
    return trouble_.empty() ? overflowTrouble_ : trouble_ + "; " + overflowTrouble_;
}

base::Result<std::vector<InvocationRecord>> Recorder::list(const RecordQuery& query) {
    writer_.flush();
    return store_->list(query);
}

base::Result<InvocationRecord> Recorder::find(std::string_view invocationId) {
    writer_.flush();
    return store_->find(invocationId);
}

base::Result<std::vector<std::string>> Recorder::withRequestId(const std::string& functionId,
                                                               const std::string& requestId) {
    writer_.flush();
    return store_->withRequestId(functionId, requestId);
}

Recorder::Counts Recorder::counts() const {
    return {written_.load(), sampledOut_.load(), dropped_.load(), store_->bytes()};
}

}  // namespace cf::telemetry
