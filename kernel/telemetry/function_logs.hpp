// What functions print, kept in one file a function. Event loops hand over text and go on; the
// telemetry writer puts it on disk. A function that prints faster than it may loses the rest, with
// a line that says how much, and costs others nothing.
#pragma once

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "telemetry/log_file.hpp"
#include "telemetry/log_folders.hpp"
#include "telemetry/log_joiner.hpp"
#include "telemetry/log_line.hpp"
#include "telemetry/log_reader.hpp"
#include "telemetry/writer.hpp"

namespace cf::telemetry {

struct FunctionLogsOptions {
    std::string workDir{};  // see LogFolders
    LogRetention retention{};
    // That one function may print between two writes (200 ms), with what stands before each line.
    size_t functionBytes = 512u << 10;
    size_t queuedBytes = 16u << 20;  // of all functions; also of lines whose end is waited for
    // Texts and ends of invocations between two writes, of one function and of all; each takes some
    // 200 bytes besides its text.
    size_t functionPieces = 16'384;
    size_t queuedPieces = 131'072;
    // How long a line's end is waited for.
    std::chrono::milliseconds linePatience{1000};
    std::chrono::milliseconds retry{1000};  // of files that could not be written
};

struct LogQuery {
    size_t tail = 100;                       // lines from the end, at most 10 000
    size_t bytes = 8u << 20;                 // of all their JSON, but for one line
    std::vector<std::string> invocations{};  // only lines of these; empty: all
};

class FunctionLogs {
public:
    // Registers with `writer`, which must not have been started and must be stopped before the logs
    // go.
    FunctionLogs(FunctionLogsOptions options, Writer& writer);
    // Writes the lines whose end is waited for.
    ~FunctionLogs();
    FunctionLogs(const FunctionLogs&) = delete;
    FunctionLogs& operator=(const FunctionLogs&) = delete;

    // Control-plane threads. See LogFolders.
    void look();
    void begin(const std::vector<std::pair<std::string, std::string>>& functions);
    void ensureFunction(const std::string& id, const std::string& name);
    void renameFunction(const std::string& id, const std::string& name) {
        ensureFunction(id, name);
    }
    void removeFunction(const std::string& id);

    // Any thread, also loops: one or more lines, the last may lack its end, which then may come
    // with the next text of the same invocation and stream (LogJoiner). `invocationId` may be
    // empty.
    void write(std::string_view functionId, std::string_view invocationId, LogStream stream,
               std::string_view text);
    // Any thread, also loops: the invocation is over, its last line has no end. Need not be told,
    // and is forgotten where too much waits for the disk: the line's end is then waited for.
    void finish(std::string_view functionId, std::string_view invocationId);

    // Not on a loop: the last lines as JSON objects, oldest first. What was written before the call
    // is seen, also a line whose end is waited for.
    std::vector<std::string> tail(const std::string& functionId, const LogQuery& query);

    // A sentence as long as some cannot be written; they say themselves what is missing in them.
    std::string trouble() const;
    uint64_t cutBytes() const { return cut_.load(std::memory_order_relaxed); }

private:
    struct Piece {
        int64_t timeMs = 0;
        std::string invocationId{};
        LogStream stream = LogStream::output;
        std::string text{};  // empty: the invocation is over
    };
    struct Pending {
        std::vector<Piece> pieces{};
        size_t bytes = 0;  // as they will be in the file, about
        size_t cut = 0;
    };
    struct ViewHash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    struct Loss {
        int64_t sinceMs = 0;
        uint64_t bytes = 0;
        std::string why{};
    };
    using Queue = std::unordered_map<std::string, Pending, ViewHash, std::equal_to<>>;

    Pending& pendingOf(std::string_view functionId);
    bool mayQueue(const Pending& pending) const;
    void queue(Pending& pending, Piece&& piece);
    void drain();
    void joinPieces(const std::string& id, const Pending& pending,
                    LogJoiner::Clock::time_point now);
    void writeOpenLines(LogJoiner::Clock::time_point until);
    void writeLines(const std::string& id, std::string_view lines);
    bool append(const std::string& id, std::string_view lines);
    bool tellLoss(const std::string& id);
    void noteLoss(const std::string& id, size_t bytes, int error);
    void retryFailing(std::chrono::steady_clock::time_point now);
    bool readBackwards(const std::string& id, const LogReader::Take& take);

    FunctionLogsOptions options_;
    Writer& writer_;

    std::mutex queueMutex_;  // held for a push or a swap
    Queue queue_;
    size_t queuedBytes_ = 0;
    size_t queuedPieces_ = 0;
    std::atomic<uint64_t> cut_{0};

    // Held while files are written or opened, not while they are read; never taken by write().
    std::mutex filesMutex_;
    LogFolders folders_;
    std::unordered_map<std::string, LogJoiner>
        joiners_;  // of functions with lines whose end is waited for
    std::chrono::steady_clock::time_point nextExpiry_;
    std::chrono::steady_clock::time_point complained_{};
    std::chrono::steady_clock::time_point nextRetry_{};
    std::unordered_map<std::string, Loss> losses_;  // of functions whose file cannot be written
    bool failing_ = false;

    mutable std::mutex troubleMutex_;
    std::string trouble_;
};

}  // namespace cf::telemetry
