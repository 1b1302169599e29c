// The cf_host that one plugin gets: log, properties, and the services of its builds. Made before
// the plugin's entry point is called; a plugin may keep the table for ever, so a host that a plugin
// has seen is never freed.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "cloudfunction/executor.h"

namespace cf::executors {

class ExecutorHost {
public:
    // `properties`: what the properties file says under "executor.", keys without that word
    // ("lua.path"). `homeParent`: the folder in which the library lies; property "home" is
    // <homeParent>/<id>.
    ExecutorHost(std::map<std::string, std::string> properties, std::string homeParent);
    ExecutorHost(const ExecutorHost&) = delete;
    ExecutorHost& operator=(const ExecutorHost&) = delete;

    const cf_host* table() const { return &table_; }
    // Before `create`: from here on the plugin sees its own properties. Until then there are none.
    void setId(std::string id) { id_ = std::move(id); }

private:
    static void log(void* context, int32_t level, cf_view message);
    static cf_status property(void* context, cf_view key, const cf_sink* value);

    cf_host table_{};
    std::string id_;
    std::map<std::string, std::string> properties_;
    std::string homeParent_;
};

}  // namespace cf::executors
