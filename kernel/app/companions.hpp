// The companion services of the properties file: whether each answers. They never make the platform degraded.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace cf::app {

class Companions {
public:
    explicit Companions(std::map<std::string, std::string> urls) : urls_(std::move(urls)) {}
    // Name and "running" or "unreachable". Any thread but an event loop's: asks each for up to a second, at most every
    // two seconds.
    std::vector<std::pair<std::string, std::string>> states();

private:
    std::map<std::string, std::string> urls_;
    std::mutex mutex_;
    std::chrono::steady_clock::time_point asked_{};
    std::vector<std::pair<std::string, std::string>> states_;
};

}  // namespace cf::app
