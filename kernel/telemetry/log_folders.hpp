// Where functions' logs lie: <workdir>/.by-id/<function id>/logs/function.log, and a link
// <workdir>/<function name> to the folder, so that `tail -f functions/*/logs/*.log` shows every
// function by its name and a rename moves nothing. What functions print may be personal: folders
// and files are for the platform's user and group, whoever may enter `workdir`. Not thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace cf::telemetry {

class LogFolders {
public:
    explicit LogFolders(std::string workDir) : workDir_(std::move(workDir)) {}

    // At the start, before functions are made known one by one: what is there need not be made again.
    void look();
    // At the start: these functions exist (id, name). Makes what is missing, removes folders and
    // links of all others.
    void begin(const std::vector<std::pair<std::string, std::string>>& functions);
    // A function is there under this name: new, renamed, or as before.
    void ensure(const std::string& id, const std::string& name);
    // Somebody removed what ensure() made; false when it cannot be made again.
    bool mend(const std::string& id) const;
    // A function is gone, its logs with it.
    void remove(const std::string& id);

    bool knows(const std::string& id) const { return names_.contains(id); }
    std::string file(const std::string& id) const {
        return folderOf(id) + "/function.log";
    }
    std::vector<std::string> ids() const;

private:
    std::string folderOf(const std::string& id) const {
        return workDir_ + "/.by-id/" + id + "/logs";
    }
    bool makeFolder(const std::string& id) const;
    void link(const std::string& id, const std::string& name) const;
    void unlink(const std::string& id, const std::string& name) const;

    std::string workDir_;
    std::unordered_map<std::string, std::string> names_;       // by id
    bool looked_{false};
    std::unordered_map<std::string, std::string> linksThere_;  // target by name; only at the start
    std::unordered_set<std::string> foldersThere_;             // ids; only at the start
};

}  // namespace cf::telemetry
