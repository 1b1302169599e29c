// The functions that can be called, as one event loop sees them: what an invocation is looked up in. Filled by app/
// through the loop whenever something becomes live, changes or goes. Loop thread only.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "functions/function.hpp"
#include "workers/target.hpp"

namespace cf::http {
class Server;
}

namespace cf::api {

struct LiveFunction {
    workers::TargetPtr target{};
    functions::HttpSettings http{};
    http::Server* elsewhere = nullptr;  // of the loop on which it is at home; null where that is
};

class LiveFunctions {
public:
    // By id or by name without regard to case; null when it cannot be called. Valid until the next change.
    const LiveFunction* find(std::string_view idOrName) const;
    void put(LiveFunction function);
    void remove(const std::string& id);
    size_t size() const { return byId_.size(); }

private:
    struct Hash {
        using is_transparent = void;
        size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
    };
    template <typename Value>
    using Map = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

    // Unless the name is another function's by now: it is free for others before everybody here has heard of it.
    void forgetName(const LiveFunction& function);

    Map<LiveFunction> byId_;
    Map<std::string> idByName_;  // key: the name in lower case
};

}  // namespace cf::api
