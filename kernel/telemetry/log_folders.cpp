#include "telemetry/log_folders.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/log.hpp"
#include "base/unique_fd.hpp"
#include "telemetry/log_file.hpp"

namespace cf::telemetry {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view byId = ".by-id/";

// Names come checked; this keeps a mistake elsewhere from becoming a path.
bool isSafe(std::string_view name) {
    if (name.empty() || name.size() > 128) return false;
    for (const char c : name)
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-'))
            return false;
    return true;
}

// Where a link of ours leads, or empty for everything else.
std::string targetOf(const fs::path& path) {
    std::error_code error;
    const std::string target = fs::read_symlink(path, error);
    return !error && target.starts_with(byId) ? target : std::string();
}

}  // namespace

void LogFolders::look() {
    looked_ = true;
    std::error_code error;
    for (fs::directory_iterator at(workDir_, error), end; !error && at != end; at.increment(error))
        if (std::string target = targetOf(at->path()); !target.empty())
            linksThere_.emplace(at->path().filename(), std::move(target));
    for (fs::directory_iterator at(workDir_ + "/.by-id", error), end; !error && at != end;
         at.increment(error)) {
        foldersThere_.insert(at->path().filename());
        // Earlier releases left them open to everybody.
        std::error_code ignored;
        fs::permissions(at->path(), fs::perms::others_all, fs::perm_options::remove, ignored);
    }
}

void LogFolders::begin(const std::vector<std::pair<std::string, std::string>>& functions) {
    if (!looked_) look();
    for (const auto& [id, name] : functions) ensure(id, name);
    std::error_code error;
    for (const auto& [name, target] : linksThere_) fs::remove(workDir_ + "/" + name, error);
    for (const std::string& id : foldersThere_) fs::remove_all(workDir_ + "/.by-id/" + id, error);
    linksThere_ = {};
    foldersThere_ = {};
}

void LogFolders::ensure(const std::string& id, const std::string& name) {
    if (!isSafe(id) || !isSafe(name)) return;
    std::string& known = names_[id];
    if (known == name) return;
    if (!known.empty())
        unlink(id, known);
    else if ((foldersThere_.erase(id) == 0 || ::access(folderOf(id).c_str(), F_OK) != 0) &&
             !makeFolder(id))
        base::logWarning("telemetry", "cannot create " + file(id) + ": " + std::strerror(errno));
    known = name;
    const auto there = linksThere_.find(name);
    if (there == linksThere_.end() || there->second != std::string(byId) + id) link(id, name);
    if (there != linksThere_.end()) linksThere_.erase(there);
}

bool LogFolders::mend(const std::string& id) const {
    const auto known = names_.find(id);
    if (known == names_.end() || !makeFolder(id)) return false;
    link(id, known->second);
    return true;
}

void LogFolders::remove(const std::string& id) {
    const auto found = names_.find(id);
    if (found == names_.end()) return;
    unlink(id, found->second);
    std::error_code ignored;
    fs::remove_all(workDir_ + "/.by-id/" + id, ignored);
    names_.erase(found);
}

std::vector<std::string> LogFolders::ids() const {
    std::vector<std::string> ids;
    for (const auto& [id, name] : names_) ids.push_back(id);
    return ids;
}

bool LogFolders::makeFolder(const std::string& id) const {
    std::error_code error;
    const std::string folder = workDir_ + "/.by-id/" + id;
    fs::create_directory(workDir_ + "/.by-id", error);
    ::mkdir(folder.c_str(), 0750);
    ::mkdir(folderOf(id).c_str(), 0750);
    // There from the beginning, so that a `tail -f` that starts before the first call sees it.
    const base::UniqueFd empty(
        ::open(file(id).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, logFileMode));
    return static_cast<bool>(empty);
}

void LogFolders::link(const std::string& id, const std::string& name) const {
    const std::string path = workDir_ + "/" + name;
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0 && !S_ISLNK(info.st_mode)) {
        base::logWarning(
            "telemetry",
            path + " is in the way of the link to the function's logs; they are in " + file(id));
        return;
    }
    // Put in place by rename, so that a link to another function's folder is replaced in one step.
    const std::string fresh = workDir_ + "/.by-id/" + id + "/link";
    ::unlink(fresh.c_str());
    if (::symlink((std::string(byId) + id).c_str(), fresh.c_str()) != 0 ||
        ::rename(fresh.c_str(), path.c_str()) != 0)
        base::logWarning("telemetry", "cannot link " + path +
                                          " to the function's logs: " + std::strerror(errno));
}

void LogFolders::unlink(const std::string& id, const std::string& name) const {
    // Another function may have taken the name meanwhile.
    const std::string path = workDir_ + "/" + name;
    if (targetOf(path) == std::string(byId) + id) ::unlink(path.c_str());
}

}  // namespace cf::telemetry
