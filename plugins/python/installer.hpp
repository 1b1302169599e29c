// The pip of the found interpreter, with the settings of whoever runs the platform. Found by
// probe(), outside of any sandbox; used by packages.cpp. Holds logins of package indexes: nothing
// of it may be shown or logged, and code of packages never sees it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cf::python {

struct Installer {
    std::string version;  // "23.0.1"; empty: there is no pip
    std::vector<std::pair<std::string, std::string>> environment;  // for tools that use the network
    std::vector<std::string>
        mounts;  // certificates, folders with wheels: what the settings name on this machine
    std::vector<std::string> secrets;  // those among them that code of packages must not read
    std::string json;                  // as `packages/installer_settings.py` printed it

    // Of what is no such object: an Installer without version.
    static Installer fromJson(std::string_view json);
};

}  // namespace cf::python
