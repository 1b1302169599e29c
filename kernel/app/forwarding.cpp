#include "app/forwarding.hpp"

#include <fstream>
#include <sstream>

namespace cf::app {

std::string whyNotForwarded(const std::string& root) {
    std::ifstream routes(root + "/proc/net/route");
    std::string line;
    std::getline(routes, line);  // the names of the columns
    while (std::getline(routes, line)) {
        std::string interface, destination, value;
        std::istringstream(line) >> interface >> destination;
        if (destination != "00000000") continue;
        const std::string setting = "net/ipv4/conf/" + interface + "/forwarding";
        if (std::ifstream(root + "/proc/sys/" + setting) >> value && value == "0")
            return "the machine does not forward what functions send, because somebody switched it off: sysctl -w " +
                   setting + "=1";
    }
    return {};
}

}  // namespace cf::app
