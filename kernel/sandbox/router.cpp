#include "sandbox/router.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/ulid.hpp"
#include "sandbox/files.hpp"
#include "sandbox/netlink.hpp"

namespace cf::sandbox {

namespace {

constexpr int rangeTries = 64;
constexpr const char* lockFolder = "/run";

// Hardware addresses of the link between machine and router: locally administered (RFC 7042).
constexpr uint8_t machineHardware[6] = {0x02, 0xcf, 0xff, 0, 0, 1};
constexpr uint8_t routerHardware[6] = {0x02, 0xcf, 0xff, 0, 0, 2};

struct Route {
    std::string interface{};
    uint32_t address = 0;
    uint32_t mask = 0;
};

// /proc/net/route: numbers in network order, printed as the machine's words are.
std::vector<Route> machineRoutes() {
    std::vector<Route> routes;
    for (const auto& line : lines(readFile("/proc/thread-self/net/route"))) {
        const auto parts = words(line);
        if (parts.size() < 8 || parts[0] == "Iface") continue;
        const auto number = [](const std::string& hex) {
            return ntohl(static_cast<uint32_t>(std::strtoul(hex.c_str(), nullptr, 16)));
        };
        routes.push_back({parts[0], number(parts[1]), number(parts[7])});
    }
    return routes;
}

// True when the machine itself needs an address of the range: a route leads there, or one of its
// name servers is there.
bool isTaken(const AddressRange& range) {
    const uint32_t mask = base::maskOf(range.prefix);
    for (const Route& route : machineRoutes())
        if (route.mask != 0 && ((route.address ^ range.base) & route.mask & mask) == 0) return true;
    for (const auto& line : lines(readFile("/etc/resolv.conf"))) {
        const auto parts = words(line);
        if (parts.size() < 2 || parts[0] != "nameserver") continue;
        if (const auto address = base::parseAddress(parts[1]); address && range.has(*address))
            return true;
    }
    return false;
}

uint32_t mtuOf(const std::string& interface) {
    const base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
    if (::ioctl(socket.get(), SIOCGIFMTU, &request) != 0 || request.ifr_mtu < 576) return 1500;
    return static_cast<uint32_t>(request.ifr_mtu);
}

std::string said(const char* what, int error) {
    return std::string(what) + ": " + std::strerror(error);
}

std::string forwardingOf(const std::string& interface) {
    return "/proc/sys/net/ipv4/conf/" + interface + "/forwarding";
}

// The name of a router's link, this platform's or another one's.
bool isLink(const std::string& interface) {
    return interface.size() == 10 && interface.starts_with("cf") &&
           interface.find_first_not_of("0123456789abcdef", 2) == std::string::npos;
}

// A shared lock on a file that is still there once it is locked.
base::UniqueFd lockFile(const std::string& path) {
    for (;;) {
        base::UniqueFd file(
            ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
        struct stat status {};
        if (!file || ::flock(file.get(), LOCK_SH) != 0 || ::fstat(file.get(), &status) != 0 ||
            status.st_nlink != 0)
            return file;
    }
}

void comeHome(int home) {
    // A launcher in the wrong namespace would give sandboxes the wrong network.
    if (::setns(home, CLONE_NEWNET) != 0) std::abort();
}

}  // namespace

bool inNetwork(int networkNamespace, int home, const std::function<void()>& work) {
    if (::setns(networkNamespace, CLONE_NEWNET) != 0) return false;
    work();
    comeHome(home);
    return true;
}

bool inNewNetwork(base::UniqueFd& made, int home, const std::function<void()>& work) {
    if (::unshare(CLONE_NEWNET) != 0) return false;
    made.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (made) work();
    comeHome(home);
    return static_cast<bool>(made);
}

std::string sandboxLink(uint32_t index) { return "s" + std::to_string(index); }

std::unique_ptr<Router> Router::make(const std::string& instance, const NetworkOptions& options,
                                     std::string& why) {
    std::unique_ptr<Router> router(new Router);
    router->options_ = options;
    const bool made =
        router->makeNamespace(why) && router->connect(instance, why) && router->forward(why);
    if (!made) {
        router->restore();
        return nullptr;
    }
    return router;
}

Router::~Router() = default;

bool Router::makeNamespace(std::string& why) {
    home_.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!home_) return why = said("the machine's network cannot be opened", errno), false;
    bool ready = false;
    const bool entered = inNewNetwork(network_, home_.get(), [&] {
        // Links that come later take these over. Strict: a packet's sender must be where it comes
        // from (RFC 3704). Errors are always told, so that nothing waits for an answer in vain.
        const std::string at = "/proc/sys/net/ipv4/";
        ready = Netlink().setUp(1) == 0 && writeFile(at + "ip_forward", "1") &&
                writeFile(at + "conf/all/rp_filter", "1") &&
                writeFile(at + "conf/default/rp_filter", "1") &&
                writeFile(at + "conf/all/send_redirects", "0") &&
                writeFile(at + "conf/default/send_redirects", "0") &&
                writeFile(at + "icmp_ratelimit", "0");
        if (!ready) why = said("the router's settings cannot be written", errno);
        writeFile("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
        writeFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    });
    if (!entered) why = said("a network namespace cannot be made", errno);
    return entered && ready;
}

bool Router::connect(const std::string& instance, std::string& why) {
    Netlink machine;
    const auto routes = machineRoutes();
    const auto uplink = std::find_if(routes.begin(), routes.end(),
                                     [](const Route& route) { return route.mask == 0; });
    if (uplink != routes.end()) mtu_ = mtuOf(uplink->interface);
    // No other platform on this machine, and no earlier one that is still being cleared up, has it.
    for (int tries = 0;; ++tries) {
        char name[IFNAMSIZ];
        std::snprintf(name, sizeof name, "cf%08x", static_cast<unsigned>(base::randomBits() >> 32));
        link_ = name;
        LinkEnd here{link_}, there{"uplink"};
        std::copy(std::begin(machineHardware), std::end(machineHardware), here.address);
        std::copy(std::begin(routerHardware), std::end(routerHardware), there.address);
        const int error = machine.addPair(here, there, network_.get(), mtu_);
        if (error == 0) break;
        if (error != EEXIST || tries > 3)
            return why = said("a link cannot be made", error), false;
    }
    const uint32_t index = machine.indexOf(link_);
    uint64_t seed = 1469598103934665603u;
    for (const char c : instance) seed = (seed ^ static_cast<uint8_t>(c)) * 1099511628211u;
    std::string parseWhy;
    const auto wanted = options_.range.empty() ? std::nullopt
                                               : base::parseDestination(options_.range, parseWhy);
    int error = EADDRINUSE;
    for (int tries = 0; tries < (wanted ? 1 : rangeTries) && error != 0; ++tries, seed += 0x9E3779B97F4A7C15u) {
        if (wanted)
            range_ = {wanted->address, wanted->prefix};
        else
            range_ = {10u << 24 | static_cast<uint32_t>(64 + (seed >> 33) % 192) << 16 |
                          static_cast<uint32_t>((seed >> 50) % 16) << 12,
                      20};
        if (isTaken(range_)) continue;
        error = machine.addAddress(index, range_.machine(), 30);
        if (error == 0)
            error = machine.addRoute(index, range_.base, range_.prefix, range_.router());
        if (error != 0) machine.removeAddress(index, range_.machine(), 30);
    }
    if (error != 0)
        return why = wanted ? "the machine itself uses addresses of sandbox.network.range (" + options_.range + ")"
                            : "no private range is free; set sandbox.network.range",
               false;
    machine.addNeighbour(index, range_.router(), routerHardware);
    std::string fault;
    const bool entered = inNetwork(network_.get(), home_.get(), [&] {
        Netlink inside;
        const uint32_t up = inside.indexOf("uplink");
        if (inside.setUp(up) != 0 || inside.addAddress(up, range_.router(), 30) != 0 ||
            inside.addRoute(up, 0, 0, range_.machine()) != 0 ||
            inside.addNeighbour(up, range_.machine(), machineHardware) != 0)
            fault = "the router's link cannot be set up";
        else
            fault = loadPolicy();
    });
    if (!entered) fault = said("the router cannot be entered", errno);
    why = fault;
    return fault.empty();
}

// Policy without a log is worth having; a log is not worth losing it.
std::string Router::loadPolicy() {
    // Of the link's random name: another platform or a logger of the machine rarely has the same,
    // and who is second gets no reports.
    const auto number = static_cast<uint16_t>(std::strtoul(link_.c_str() + 2, nullptr, 16));
    logGroup_ = static_cast<uint16_t>(number | 0x8000);
    Firewall firewall;
    if (firewall.run(routerRules(range_, options_, logGroup_)).empty()) return {};
    logGroup_ = 0;
    return firewall.run(routerRules(range_, options_, logGroup_));
}

bool Router::forward(std::string& why) {
    struct stat network {};
    ::fstat(home_.get(), &network);
    std::vector<std::string> interfaces;
    for (const Route& route : machineRoutes())
        // Links of other platforms forward already, and go with them.
        if (route.interface != "lo" && !isLink(route.interface) &&
            std::find(interfaces.begin(), interfaces.end(), route.interface) == interfaces.end())
            interfaces.push_back(route.interface);
    if (!writeFile(forwardingOf(link_), "1"))
        return why = said("forwarding cannot be switched on", errno), false;
    std::vector<std::string> names;
    for (const auto& interface : interfaces) {
        // The file says that a platform switched it on, the lock that one still needs it.
        Switched one{interface,
                     std::string(lockFolder) + "/cloudfunction-forwarding-" +
                         std::to_string(network.st_ino) + "-" + interface,
                     {}};
        const bool isOn = readFile(forwardingOf(interface)).starts_with("1");
        if (isOn && ::access(one.path.c_str(), F_OK) != 0) continue;
        one.lock = lockFile(one.path);
        if (!writeFile(forwardingOf(interface), "1"))
            return why = said("forwarding cannot be switched on", errno), false;
        names.push_back(interface);
        switched_.push_back(std::move(one));
    }
    machineFirewall_ = std::make_unique<Firewall>();
    why = machineFirewall_->run(machineRules(link_, link_, range_, names, options_, logGroup_));
    if (!why.empty()) return false;
    for (const auto& line : lines(machineFirewall_->list("list chains")))
        if (line.find("hook forward") != std::string::npos &&
            line.find("policy drop") != std::string::npos)
            warning_ = "another firewall of this machine drops forwarded packets; let those of the "
                       "interfaces cf* pass (docs/operations.md)";
    return true;
}

void Router::restore() {
    for (Switched& one : switched_) {
        if (!one.lock || ::flock(one.lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
        writeFile(forwardingOf(one.interface), "0");
        ::unlink(one.path.c_str());
    }
    switched_.clear();
    machineFirewall_.reset();
}

}  // namespace cf::sandbox
