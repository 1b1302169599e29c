#include "app/forwarding.hpp"

#include <fstream>
#include <sstream>

namespace cf::app {

std::string whyNotForwarded() {
    std::ifstream routes("/proc/net/route");
    std::string line;
    std::getline(routes, line);  // the names of the columns
    while (std::getline(routes, line)) {
        std::string interface, destination, value;
        std::istringstream(line) >> interface >> destination;
        if (destination != "00000000") continue;
        const std::string setting = "net/ipv4/conf/" + interface + "/forwarding";
        if (std::ifstream("/proc/sys/" + setting) >> value && value == "0")
            return "functions reach nobody by way of " + interface +
                   ", because forwarding is switched off there: sysctl -w " + setting + "=1";
    }
    return {};
}

}  // namespace cf::app
