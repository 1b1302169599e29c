#include "telemetry/function_logs.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <unordered_set>

#include "base/clock.hpp"
#include "base/log.hpp"

namespace cf::telemetry {

namespace {

size_t linesOf(std::string_view text) {
    const auto ends = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    return text.empty() || text.ends_with('\n') ? ends : ends + 1;
}

// How much of `text` has room where each of its lines gets a head.
size_t fitting(std::string_view text, size_t room) {
    if (text.size() + linesOf(text) * logHeadBytes <= room) return text.size();
    size_t size = 0;
    while (size < text.size() && room > logHeadBytes) {
        room -= logHeadBytes;
        const size_t end = std::min(text.find('\n', size), text.size() - 1) + 1;
        const size_t taken = std::min(room, end - size);
        size += taken;
        room -= taken;
    }
    return size;
}

}  // namespace

FunctionLogs::FunctionLogs(FunctionLogsOptions options, Writer& writer)
    : options_(std::move(options)),
      writer_(writer),
      folders_(options_.workDir),
      nextExpiry_(std::chrono::steady_clock::now()) {
    writer.add([this] { drain(); });
}

FunctionLogs::~FunctionLogs() {
    const std::scoped_lock lock(filesMutex_);
    writeOpenLines(LogJoiner::Clock::time_point::max());
}

void FunctionLogs::look() {
    const std::scoped_lock lock(filesMutex_);
    folders_.look();
}

void FunctionLogs::begin(const std::vector<std::pair<std::string, std::string>>& functions) {
    const std::scoped_lock lock(filesMutex_);
    folders_.begin(functions);
}

void FunctionLogs::ensureFunction(const std::string& id, const std::string& name) {
    const std::scoped_lock lock(filesMutex_);
    folders_.ensure(id, name);
}

void FunctionLogs::removeFunction(const std::string& id) {
    const std::scoped_lock lock(filesMutex_);
    folders_.remove(id);
}

void FunctionLogs::write(std::string_view functionId, std::string_view invocationId,
                         LogStream stream, std::string_view text) {
    if (text.empty()) return;
    const int64_t now = base::unixMs(base::WallClock::now());
    const std::scoped_lock lock(queueMutex_);
    Pending& pending = pendingOf(functionId);
    const size_t room = mayQueue(pending)
                            ? std::min(fitting(text, options_.functionBytes - pending.bytes),
                                       options_.queuedBytes - queuedBytes_)
                            : 0;
    if (text.size() > room) {
        pending.cut += text.size() - room;
        cut_.fetch_add(text.size() - room, std::memory_order_relaxed);
        text = text.substr(0, room);
        if (text.empty()) return;
    }
    queue(pending, {now, std::string(invocationId), stream, std::string(text)});
}

void FunctionLogs::finish(std::string_view functionId, std::string_view invocationId) {
    const std::scoped_lock lock(queueMutex_);
    Pending& pending = pendingOf(functionId);
    if (mayQueue(pending)) queue(pending, {.invocationId = std::string(invocationId)});
}

bool FunctionLogs::mayQueue(const Pending& pending) const {
    return pending.pieces.size() < options_.functionPieces &&
           queuedPieces_ < options_.queuedPieces;
}

void FunctionLogs::queue(Pending& pending, Piece&& piece) {
    pending.bytes += piece.text.size() + linesOf(piece.text) * logHeadBytes;
    queuedBytes_ += piece.text.size();
    ++queuedPieces_;
    pending.pieces.push_back(std::move(piece));
}

FunctionLogs::Pending& FunctionLogs::pendingOf(std::string_view functionId) {
    auto at = queue_.find(functionId);
    if (at == queue_.end()) at = queue_.try_emplace(std::string(functionId)).first;
    return at->second;
}

void FunctionLogs::drain() {
    Queue batch;
    {
        const std::scoped_lock lock(queueMutex_);
        batch.swap(queue_);
        queuedBytes_ = queuedPieces_ = 0;
    }
    const std::scoped_lock lock(filesMutex_);
    const auto now = LogJoiner::Clock::now();
    for (const auto& [id, pending] : batch) joinPieces(id, pending, now);
    size_t waiting = 0;
    for (const auto& [id, joiner] : joiners_) waiting += joiner.bytes();
    writeOpenLines(waiting > options_.queuedBytes ? LogJoiner::Clock::time_point::max()
                                                  : now - options_.linePatience);
    retryFailing(now);
    if (now < nextExpiry_) return;
    nextExpiry_ = now + std::chrono::hours(1);
    for (const std::string& id : folders_.ids()) expireLog(folders_.file(id), options_.retention);
}

void FunctionLogs::joinPieces(const std::string& id, const Pending& pending,
                              LogJoiner::Clock::time_point now) {
    // A function that was deleted while it ran has no folder any more.
    if (!folders_.knows(id)) return;
    LogJoiner& joiner = joiners_[id];
    std::string lines;
    lines.reserve(pending.bytes);
    for (const Piece& piece : pending.pieces) {
        if (piece.text.empty())
            joiner.finish(lines, piece.invocationId);
        else
            joiner.add(lines, now, piece.timeMs, piece.invocationId, piece.stream, piece.text);
    }
    if (pending.cut > 0) {
        // What comes next is not what these lines went on with.
        joiner.expire(lines, LogJoiner::Clock::time_point::max());
        joiner.add(lines, now, base::unixMs(base::WallClock::now()), "", LogStream::platform,
                   "[cut: " + std::to_string(pending.cut) +
                       " bytes were printed faster than they can be kept]");
    }
    writeLines(id, lines);
}

void FunctionLogs::writeOpenLines(LogJoiner::Clock::time_point until) {
    for (auto at = joiners_.begin(); at != joiners_.end();) {
        std::string lines;
        at->second.expire(lines, until);
        writeLines(at->first, lines);
        at = at->second.empty() ? joiners_.erase(at) : std::next(at);
    }
}

void FunctionLogs::writeLines(const std::string& id, std::string_view lines) {
    if (lines.empty() || !folders_.knows(id)) return;
    if (!tellLoss(id) || !append(id, lines)) noteLoss(id, lines.size(), errno);
}

bool FunctionLogs::append(const std::string& id, std::string_view lines) {
    if (appendToLog(folders_.file(id), lines, options_.retention)) return true;
    return errno == ENOENT && folders_.mend(id) &&
           appendToLog(folders_.file(id), lines, options_.retention);
}

// True: everything before is in the file, or the file says that it is not.
bool FunctionLogs::tellLoss(const std::string& id) {
    const auto found = losses_.find(id);
    if (found == losses_.end()) return true;
    const Loss& loss = found->second;
    std::string line;
    appendLogLines(line, base::unixMs(base::WallClock::now()), "", LogStream::platform,
                   "[lost: " + std::to_string(loss.bytes) + " bytes could not be written since " +
                       base::rfc3339(base::fromUnixMs(loss.sinceMs)) + ": " + loss.why + "]");
    if (!append(id, line)) return false;
    losses_.erase(found);
    return true;
}

void FunctionLogs::noteLoss(const std::string& id, size_t bytes, int error) {
    Loss& loss = losses_[id];
    if (loss.sinceMs == 0) loss.sinceMs = base::unixMs(base::WallClock::now());
    loss.bytes += bytes;
    loss.why = std::strerror(error);
    const auto now = std::chrono::steady_clock::now();
    if (now - complained_ < std::chrono::minutes(1)) return;
    complained_ = now;
    base::logError("telemetry", "cannot write " + folders_.file(id) + ": " + loss.why);
}

// Also of functions that print nothing more.
void FunctionLogs::retryFailing(std::chrono::steady_clock::time_point now) {
    if (losses_.empty() && !failing_) return;
    failing_ = true;
    if (now >= nextRetry_) {
        nextRetry_ = now + options_.retry;
        std::vector<std::string> ids;
        for (const auto& [id, loss] : losses_) ids.push_back(id);
        for (const std::string& id : ids)
            if (!folders_.knows(id))
                losses_.erase(id);
            else
                tellLoss(id);
    }
    std::string trouble;
    failing_ = !losses_.empty();
    if (const auto first = losses_.begin(); failing_)
        trouble = "log files of functions cannot be written (" + std::to_string(losses_.size()) +
                  "): " + folders_.file(first->first) + ": " + first->second.why;
    else
        base::logWarning("telemetry", "log files of functions are written again");
    const std::scoped_lock lock(troubleMutex_);
    trouble_ = std::move(trouble);
}

std::string FunctionLogs::trouble() const {
    const std::scoped_lock lock(troubleMutex_);
    return trouble_;
}

std::vector<std::string> FunctionLogs::tail(const std::string& functionId, const LogQuery& query) {
    writer_.flush();
    const size_t most = std::min<size_t>(query.tail, 10'000);
    const std::unordered_set<std::string_view> wanted(query.invocations.begin(),
                                                      query.invocations.end());
    std::vector<std::string> lines;
    size_t bytes = 0;
    const auto take = [&](std::string_view text) {
        const auto line = parseLogLine(text);
        if (!line || (!wanted.empty() && !wanted.contains(line->invocationId))) return true;
        std::string json = logLineJson(*line);
        bytes += json.size() + 1;
        if (bytes > query.bytes && !lines.empty()) return false;
        lines.push_back(std::move(json));
        return lines.size() < most && bytes < query.bytes;
    };
    // A log that is rotated while it is read is read again; not for ever, where files are so small
    // that it is always so.
    for (int attempts = 3; attempts > 0 && most > 0; --attempts) {
        lines.clear();
        bytes = 0;
        if (readBackwards(functionId, take)) break;
    }
    std::reverse(lines.begin(), lines.end());
    return lines;
}

// False: the log was rotated meanwhile.
bool FunctionLogs::readBackwards(const std::string& id, const LogReader::Take& take) {
    LogReader reader(folders_.file(id), options_.retention.files);
    std::string open;
    {
        const std::scoped_lock lock(filesMutex_);
        if (!folders_.knows(id)) return true;
        // Lines whose end is waited for are the newest.
        if (const auto joiner = joiners_.find(id); joiner != joiners_.end())
            open = joiner->second.peek();
        reader.open();
    }
    bool more = true;
    const auto takeMore = [&](std::string_view line) { return more = take(line); };
    for (std::string_view rest = open; more && !rest.empty();) {
        rest.remove_suffix(1);
        const size_t begin = rest.rfind('\n') + 1;  // npos + 1 is 0
        takeMore(rest.substr(begin));
        rest = rest.substr(0, begin);
    }
    while (more) {
        if (!reader.read(takeMore)) return false;
        const std::scoped_lock lock(filesMutex_);
        if (!reader.open()) break;
    }
    return true;
}

}  // namespace cf::telemetry
