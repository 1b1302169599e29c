#include "app/network_flows.hpp"

#include <algorithm>
#include <fstream>

namespace cf::app {

namespace {

constexpr uint32_t fewest = 16;
constexpr uint32_t most = 1024;
// Where the table is not there yet: what Linux gives a machine of 1 GB (nf_conntrack_max).
constexpr uint32_t usualTable = 65536;

}  // namespace

uint32_t flowsOfSandbox(const Settings& settings, const std::string& root) {
    uint32_t table = 0;
    std::ifstream(root + "/proc/sys/net/netfilter/nf_conntrack_max") >> table;
    const uint32_t all = settings.networkFlows.value_or((table != 0 ? table : usualTable) / 2);
    return std::clamp(all / (settings.maxWorkers + settings.buildParallel), fewest, most);
}

}  // namespace cf::app
