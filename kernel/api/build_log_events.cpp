#include "api/build_log_events.hpp"

#include <algorithm>
#include <utility>

#include "functions/document.hpp"
#include "functions/json_text.hpp"

namespace cf::api {

namespace {

constexpr size_t pieceBytes = 64 * 1024;
constexpr std::chrono::milliseconds retryDelay{100};
constexpr unsigned mostFaults = 30;

}  // namespace

std::string logEvents(std::string_view text, uint64_t offset) {
    std::string events;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        const size_t taken = end == text.npos ? text.size() : end + 1;
        offset += taken;
        events += "event: log\nid: " + std::to_string(offset) + "\ndata: ";
        // A carriage return would end the line for the reader of events.
        for (const char c : line) events += c == '\r' ? ' ' : c;
        events += "\n\n";
        text.remove_prefix(taken);
    }
    return events;
}

std::string endEvent(functions::VersionState state, uint64_t version,
                     const base::Failure* failure) {
    functions::JsonObject data;
    data.text("state", functions::stateName(state)).number("version", version);
    if (failure != nullptr)
        data.raw("error", functions::JsonObject()
                              .text("reason", failure->reason)
                              .text("detail", failure->detail)
                              .text("hint", failure->hint)
                              .done());
    return "event: end\nid: " + std::string(endEventId) + "\ndata: " + data.done() + "\n\n";
}

BuildLogFollower::BuildLogFollower(base::EventLoop& loop, const Dependencies& dependencies,
                                   functions::FunctionPtr entry, uint64_t version, uint64_t offset)
    : loop_(loop),
      pool_(dependencies.pool),
      functions_(dependencies.functions),
      limits_(dependencies.followers),
      entry_(std::move(entry)),
      version_(version),
      offset_(offset) {}

std::shared_ptr<BuildLogFollower> BuildLogFollower::make(base::EventLoop& loop,
                                                         const Dependencies& dependencies,
                                                         functions::FunctionPtr entry,
                                                         uint64_t version, uint64_t offset) {
    FollowerLimits& limits = *dependencies.followers;
    if (limits.open.fetch_add(1) >= limits.most) {
        --limits.open;
        return nullptr;
    }
    return std::shared_ptr<BuildLogFollower>(
        new BuildLogFollower(loop, dependencies, std::move(entry), version, offset));
}

BuildLogFollower::~BuildLogFollower() { --limits_->open; }

void BuildLogFollower::start(http::Exchange& exchange, std::string_view headers) {
    stream_ = exchange.stream(200, headers);
    if (stream_ == nullptr || stream_->closed()) return finish();
    // The stream keeps this alive, and closing it lets go.
    const auto self = shared_from_this();
    stream_->onClosed([self] { self->finish(); });
    stream_->onStopping([self] { self->finish(); });
    stream_->onDrained([self] { self->readOn(); });
    subscription_ = functions_.followBuildLog(
        *entry_, version_, [weak = weak_from_this(), &loop = loop_] {
            const auto follower = weak.lock();
            if (follower == nullptr || follower->told_.exchange(true)) return;
            loop.post([weak] {
                if (const auto told = weak.lock()) told->changed();
            });
        });
    if (exchange.request().method == "HEAD") return finish();
    beat();
    readOn();
}

void BuildLogFollower::changed() {
    told_ = false;
    readOn();
}

void BuildLogFollower::readOn() {
    if (stream_ == nullptr) return;
    if (reading_) {
        again_ = true;
        return;
    }
    if (stream_->pending() > 0) return;  // onDrained comes back here
    reading_ = true;
    again_ = false;
    const bool taken = pool_.run([self = shared_from_this()]() mutable {
        auto piece = std::make_shared<Piece>(self->read());
        base::EventLoop& loop = self->loop_;
        loop.post([self = std::move(self), piece] { self->take(std::move(*piece)); });
    });
    if (!taken) take({.next = offset_, .busy = true});
}

// Control thread.
BuildLogFollower::Piece BuildLogFollower::read() const {
    const auto tail = functions_.readBuildLog(*entry_, version_, offset_, pieceBytes);
    if (!tail) {
        if (tail.failure().reason != "not_found") return {.next = offset_, .fault = true};
        const base::Failure gone{.reason = tail.failure().reason,
                                 .detail = "the log of this build is no longer there",
                                 .hint = "the version or its function may have been deleted"};
        return {.events = endEvent(functions::VersionState::failed, version_, &gone),
                .next = offset_,
                .ended = true};
    }
    Piece piece{logEvents(tail->text, offset_), tail->next, tail->ended};
    if (!piece.ended) return piece;
    const auto version = functions_.version(*entry_, version_);
    if (!version && version.failure().reason != "not_found")
        return {.next = offset_, .fault = true};
    const bool failed = version && (*version)->failure;
    piece.events += endEvent(tail->state, version_, failed ? &*(*version)->failure : nullptr);
    return piece;
}

void BuildLogFollower::take(Piece piece) {
    reading_ = false;
    if (stream_ == nullptr) return;
    if (piece.busy) return later(retryDelay);
    // What became of the build is still unknown, so it is not told: whoever cares comes back.
    if (piece.fault && ++faults_ > mostFaults) return finish();
    if (piece.fault) return later(limits_->faultDelay);
    faults_ = 0;
    const bool more = again_ || piece.next != offset_;
    offset_ = piece.next;
    if (!piece.events.empty() && !stream_->write(piece.events)) return;
    if (piece.ended) return finish();
    if (more) readOn();
}

void BuildLogFollower::later(std::chrono::milliseconds delay) {
    loop_.cancel(retry_);
    retry_ = loop_.after(delay, [self = shared_from_this()] { self->readOn(); });
}

void BuildLogFollower::beat() {
    if (stream_ == nullptr) return;
    heartbeat_ = loop_.after(limits_->heartbeat, [weak = weak_from_this()] {
        const auto self = weak.lock();
        // What is not read yet shows that the connection is in use.
        if (self == nullptr || self->stream_ == nullptr) return;
        if (self->stream_->pending() > 0 || self->stream_->write(":\n\n")) self->beat();
    });
}

void BuildLogFollower::finish() {
    const auto self = shared_from_this();  // the stream's callbacks may be the last to hold it
    loop_.cancel(std::exchange(heartbeat_, 0));
    loop_.cancel(std::exchange(retry_, 0));
    subscription_ = {};
    if (const auto stream = std::exchange(stream_, nullptr)) stream->end();
}

}  // namespace cf::api
