#include "functions/store_check.hpp"

#include <sqlite3.h>
#include <sys/resource.h>

#include "base/log.hpp"

namespace cf::functions {

namespace {

constexpr int niceness = 19;

int keep(void* into, int, char** row, char**) {
    static_cast<std::string*>(into)->assign(row[0] != nullptr ? row[0] : "no answer");
    return 0;
}

}  // namespace

StoreCheck::StoreCheck(std::string path) : path_(std::move(path)), thread_([this] { run(); }) {}

StoreCheck::~StoreCheck() {
    stopping_ = true;
    {
        const std::lock_guard lock(mutex_);
        if (database_ != nullptr) ::sqlite3_interrupt(database_);
    }
    thread_.join();
}

std::string StoreCheck::damage() const {
    const std::lock_guard lock(mutex_);
    return damage_;
}

void StoreCheck::run() {
    ::setpriority(PRIO_PROCESS, 0, niceness);  // of this thread alone
    sqlite3* database = nullptr;
    const int opened =
        ::sqlite3_open_v2(path_.c_str(), &database, SQLITE_OPEN_READONLY, nullptr);
    if (opened == SQLITE_OK) {
        {
            const std::lock_guard lock(mutex_);
            database_ = database;
        }
        check();
        const std::lock_guard lock(mutex_);
        database_ = nullptr;
    }
    ::sqlite3_close(database);
}

void StoreCheck::check() {
    // An interruption has an effect on what runs already, this on what is about to.
    ::sqlite3_progress_handler(
        database_, 1, [](void* self) { return static_cast<StoreCheck*>(self)->stopping_ ? 1 : 0; },
        this);
    std::string finding;
    const int status =
        ::sqlite3_exec(database_, "PRAGMA quick_check(1)", keep, &finding, nullptr);
    if (status == SQLITE_OK && finding == "ok") return;
    if (status == SQLITE_CORRUPT || status == SQLITE_NOTADB || status == SQLITE_OK) {
        const std::lock_guard lock(mutex_);
        damage_ = "the database " + path_ + " is damaged: " +
                  (finding.empty() ? ::sqlite3_errmsg(database_) : finding) +
                  "; save what can be read of it before it is needed";
        base::logError("functions", damage_);
    } else if (!stopping_) {
        base::logWarning("functions", "the database " + path_ + " could not be checked: " +
                                          ::sqlite3_errmsg(database_));
    }
}

}  // namespace cf::functions
