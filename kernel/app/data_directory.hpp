// The one folder that holds everything the platform keeps: logs of functions at the top, by name, and what is its own
// business in .cloudfunction below. Locked by whoever runs on it.
#pragma once

#include <string>

#include "base/failure.hpp"
#include "base/unique_fd.hpp"

namespace cf::app {

class DataDirectory {
public:
    // Creates what is missing and takes the lock. Failures say in one line what is in the way.
    static base::Result<DataDirectory> open(const std::string& path);

    const std::string& path() const { return path_; }             // functions' logs
    std::string own(const std::string& name) const { return path_ + "/.cloudfunction/" + name; }
    // Names this instance of the platform in cgroups; from the folder's identity, so that it is the same at each start.
    std::string instance() const;

private:
    std::string path_;
    base::UniqueFd lock_;
};

}  // namespace cf::app
