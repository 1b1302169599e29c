// How long a registry, package index or module proxy may stay silent during a build, for executors.
#pragma once

#include <charconv>
#include <string>

#include "cloudfunction/executor.hpp"

namespace cloudfunction {

// The property executor.<id>.registry_timeout in seconds. Tools that fetch give up on one request after that time without
// a byte, and try once more at most: so a registry that accepts and never answers is known to be gone before the time
// of the whole build (build.timeout, 120 s) is over. It is no limit on slow downloads. Throws Failed(CF_UNAVAILABLE).
inline unsigned registryTimeout(const Host& host, const std::string& executor) {
    const std::string value = host.property("registry_timeout", "30");
    unsigned seconds = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (read.ec != std::errc() || read.ptr != value.data() + value.size() || seconds < 1 ||
        seconds > 3600)
        throw Failed(CF_UNAVAILABLE,
                     "executor." + executor + ".registry_timeout is \"" + value +
                         "\"; it has to be a number of seconds from 1 to 3600",
                     "correct it in the properties file and restart the platform");
    return seconds;
}

}  // namespace cloudfunction
