// Reads the whole of a database that is too large to be checked before a start, once, on a thread of
// its own at low priority and over a connection that only reads. Thread-safe.
#pragma once

#include <atomic>
#include <mutex>
#include <string>
#include <thread>

struct sqlite3;

namespace cf::functions {

class StoreCheck {
public:
    explicit StoreCheck(std::string path);
    StoreCheck(const StoreCheck&) = delete;
    StoreCheck& operator=(const StoreCheck&) = delete;
    ~StoreCheck();  // does not wait for what is left to read

    // A sentence once damage was found, which the platform's log has too; empty before.
    std::string damage() const;

private:
    void run();
    void check();

    const std::string path_;
    std::atomic<bool> stopping_{false};
    mutable std::mutex mutex_;
    sqlite3* database_ = nullptr;  // while it is read
    std::string damage_;
    std::thread thread_;
};

}  // namespace cf::functions
