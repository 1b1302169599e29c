#include "sandbox/sandbox_network.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <set>
#include <utility>

#include "base/log.hpp"
#include "sandbox/files.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

namespace {

using namespace std::chrono_literals;

constexpr auto refillPause = 3ms;
constexpr auto refillRetry = 500ms;
// How long what a sandbox sent before its end may take to arrive; its ends are cleared up together.
constexpr auto clearPause = 1s;
// Namespaces go a few at a time: for all that come at once Linux takes the lock that new links need
// once, and keeps it as long.
constexpr auto releasePause = 3ms;
constexpr size_t releaseParts = 32;
// An address of a name is let through a little longer than the name server said, because programs
// keep it, and at most an hour.
constexpr uint32_t shortestGrant = 60;
constexpr uint32_t longestGrant = 3600;
constexpr size_t maxGranted = 2048;  // of one sandbox

base::Failure failed(const std::string& what) {
    return {"sandbox_failed", "The sandbox's network could not be set up: " + what + "."};
}

LinkEnd end(const std::string& name, uint8_t side, uint32_t index) {
    LinkEnd made{name};
    const uint8_t address[6] = {0x02,
                                0xcf,
                                side,
                                static_cast<uint8_t>(index >> 16),
                                static_cast<uint8_t>(index >> 8),
                                static_cast<uint8_t>(index)};
    std::copy(std::begin(address), std::end(address), made.address);
    return made;
}

}  // namespace

SandboxNetwork::SandboxNetwork(base::EventLoop& loop, const Router* router, uint32_t spare,
                               RefusedCallback refused)
    : loop_(loop), router_(router), wanted_(spare), refused_(std::move(refused)) {
    if (router_ == nullptr) return;
    const bool entered = inNetwork(router_->network(), router_->home(), [&] {
        netlink_ = Netlink();
        firewall_ = std::make_unique<Firewall>();
    });
    if (!entered) {
        base::logError("sandbox", "The router of the sandboxes' network cannot be entered.");
        router_ = nullptr;
        return;
    }
    listen();
    opened_.names = namedDestinations(router_->options().allow);
    closed_.names = namedDestinations(router_->options().deny);
    names_ = std::make_unique<NameServer>(
        loop_, *router_, opened_.names, closed_.names,
        [this](const auto& grant) { return onGrant(grant); },
        [this](uint32_t sandbox, const std::string& name) {
            Refusal refusal;
            refusal.sandbox = sandbox;
            refusal.reason = RefusalReason::list;
            refusal.name = name;
            tellRefused(refusal);
        });
    refillLater();
}

// The machine's table refuses what is for the machine itself, the router's everything else.
void SandboxNetwork::listen() {
    if (router_->logGroup() == 0) return;
    const auto tell = [this](const Refusal& refusal) { tellRefused(refusal); };
    inNetwork(router_->network(), router_->home(),
              [&] { routerLog_ = RefusalLog::open(loop_, router_->logGroup(), tell); });
    machineLog_ = RefusalLog::open(loop_, router_->logGroup(), tell);
    if (!routerLog_ || !machineLog_)
        base::logWarning("sandbox",
                         "Some connections that are refused will not be in functions' logs: another "
                         "program hears this group of Linux's packet log.");
}

void SandboxNetwork::tellRefused(const Refusal& refusal) {
    const AddressRange& range = router_->range();
    const uint32_t first = range.sandbox(0);
    if (range.has(refusal.sandbox) && refusal.sandbox >= first)
        refused_(refusal.sandbox - first, refusal);
}

SandboxNetwork::~SandboxNetwork() {
    loop_.cancel(refill_);
    loop_.cancel(clear_);
    if (router_ == nullptr) return;
    // Nobody waits for this loop any more, and no sandbox lives.
    helperWatcher_.reset();
    if (helper_ > 0) ::waitpid(helper_, nullptr, 0);
    for (auto& [index, network] : networks_) ended_.push_back({index, std::move(network)});
    endConnections(*router_, ended_);
    forgetFlows(*router_, [](uint32_t) { return true; });
}

void SandboxNetwork::refillLater() {
    if (refill_ != 0 || spare_.size() >= wanted_) return;
    refill_ = loop_.after(refillPause, [this] {
        refill_ = 0;
        if (auto link = make()) {
            spare_.push_back(std::move(*link));
            refillLater();
        } else {
            refill_ = loop_.after(refillRetry, [this] {
                refill_ = 0;
                refillLater();
            });
        }
    });
}

base::Result<SandboxNetwork::Link> SandboxNetwork::take() {
    Link link;
    if (spare_.empty()) {
        auto made = make();
        if (!made) return made;
        link = std::move(*made);
    } else {
        link = std::move(spare_.front());
        spare_.erase(spare_.begin());
        refillLater();
    }
    networks_[link.index] = link.network.duplicate();
    return link;
}

base::Result<SandboxNetwork::Link> SandboxNetwork::make() {
    Link link;
    Netlink inside;
    const bool made = inNewNetwork(link.network, router_->home(), [&] {
        inside = Netlink();
        // Of interfaces to come: lo keeps ::1.
        writeFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    });
    if (!made)
        return failed(std::string("a network namespace: ") + std::strerror(errno));
    const AddressRange& range = router_->range();
    // Indexes are taken in turn; one whose sandbox, of this launcher or an earlier one, still lives
    // has its link. Where one is being cleared up, a new sandbox would be mistaken for it.
    int error = EEXIST;
    LinkEnd here, there;
    for (uint32_t tries = 0; error == EEXIST && tries < range.sandboxes(); ++tries) {
        link.index = next_++ % range.sandboxes();
        if (isEnding(link.index)) continue;
        here = end(sandboxLink(link.index), 1, link.index);
        there = end("eth0", 2, link.index);
        error = netlink_.addPair(here, there, link.network.get(), router_->mtu());
    }
    if (error != 0) return failed(std::string("a link: ") + std::strerror(error));
    const uint32_t address = range.sandbox(link.index);
    const uint32_t outer = netlink_.indexOf(here.name), inner = inside.indexOf(there.name);
    for (const int step : {netlink_.addRoute(outer, address, 32, 0),
                           netlink_.addNeighbour(outer, address, there.address), inside.setUp(1),
                           inside.setUp(inner),
                           inside.addAddress(inner, address, 32),
                           inside.addRoute(inner, 0, 0, range.router()),
                           inside.addNeighbour(inner, range.router(), here.address)})
        if (step != 0) return failed(std::string("its link: ") + std::strerror(step));
    return link;
}

base::Result<void> SandboxNetwork::apply(uint32_t index, const NetworkPolicy& policy,
                                         int process) {
    if (router_ == nullptr) return {};
    if (index >= router_->range().sandboxes()) return failed("there is no such link");
    if (!networks_.contains(index)) remember(index, process);
    const uint32_t address = router_->range().sandbox(index);
    const auto known = bound_.find(address);
    if (known != bound_.end() && known->second.policy == policy) return {};
    if (policy.mode == Network::outbound && policy.allow.empty() && known == bound_.end())
        return {};
    if (known != bound_.end())
        return failed("a policy that holds cannot be replaced by another one");
    const bool none = policy.mode != Network::outbound;
    std::string fault = firewall_->run(none ? silence(address) : bind(address, policy.allow));
    if (!fault.empty()) return failed(fault);
    Bound& bound = bound_[address];
    bound.policy = policy;
    if (none) {
        fault = silenceInside(index);
    } else {
        bound.names = namedDestinations(policy.allow);
        names_->allow(address, bound.names);
    }
    if (!fault.empty()) return failed(fault);
    return {};
}

// Of a sandbox that an earlier launcher started. A process that is in the machine's network, or in
// the router's, is in no sandbox.
void SandboxNetwork::remember(uint32_t index, int process) {
    base::UniqueFd& network = networks_[index];
    inNetwork(process, router_->home(), [&] {
        network.reset(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    });
    struct stat its {}, other {};
    if (!network || ::fstat(network.get(), &its) != 0) return;
    for (const int known : {router_->home(), router_->network()})
        if (::fstat(known, &other) != 0 || other.st_ino == its.st_ino) network.reset();
}

// Without an address there is no way to anywhere, and connect(2) says so at once.
std::string SandboxNetwork::silenceInside(uint32_t index) {
    int error = 0;
    const bool entered = inNetwork(networks_[index].get(), router_->home(), [&] {
        Netlink inside;
        error = inside.removeAddress(inside.indexOf("eth0"), router_->range().sandbox(index), 32);
    });
    if (!entered) return std::string("entering it: ") + std::strerror(errno);
    return error == 0 ? "" : std::string("taking its address away: ") + std::strerror(error);
}

void SandboxNetwork::forget(uint32_t index) {
    if (router_ == nullptr) return;
    auto network = networks_.extract(index);
    ended_.push_back({index, network.empty() ? base::UniqueFd() : std::move(network.mapped())});
    clearLater();
    const uint32_t address = router_->range().sandbox(index);
    const auto found = bound_.find(address);
    if (found == bound_.end()) return;
    const bool none = found->second.policy.mode != Network::outbound;
    bound_.erase(found);
    if (!none) names_->forget(address);
    const std::string fault = firewall_->run(
        none ? "delete element inet sandboxes silent { " + base::addressText(address) + " }\n"
             : unbind(address));
    if (!fault.empty()) base::logWarning("sandbox", "A network policy stays behind: " + fault);
}

bool SandboxNetwork::isKnown(uint32_t index) const {
    return networks_.contains(index) ||
           std::any_of(spare_.begin(), spare_.end(),
                       [&](const Link& one) { return one.index == index; });
}

bool SandboxNetwork::isEnding(uint32_t index) const {
    const auto is = [&](const EndedSandbox& one) { return one.index == index; };
    return std::any_of(ended_.begin(), ended_.end(), is) ||
           std::any_of(clearing_.begin(), clearing_.end(), is);
}

void SandboxNetwork::clearLater() {
    if (helper_ > 0 || !clearing_.empty()) return;
    // Of a small range, too, there are always some for new sandboxes.
    if (ended_.size() >= router_->range().sandboxes() / 4)
        clearAfter(0s);
    else if (clear_ == 0)
        clearAfter(clearPause);
}

void SandboxNetwork::clearAfter(base::EventLoop::Clock::duration pause) {
    loop_.cancel(clear_);
    clear_ = loop_.after(pause, [this] {
        clear_ = 0;
        clear();
    });
}

// Resetting ten thousand connections takes a while: not on this loop.
void SandboxNetwork::clear() {
    helper_ = ::fork();
    if (helper_ == 0) {
        endConnections(*router_, ended_);
        const int error = forgetFlows(*router_, [this](uint32_t address) {
            return isEnding(address - router_->range().sandbox(0));
        });
        ::_exit(error);
    }
    if (helper_ < 0) return clearAfter(clearPause);
    clearing_ = std::move(ended_);
    ended_.clear();
    helperFd_.reset(sys::pidfdOpen(helper_));
    helperWatcher_ = std::make_unique<FdWatcher>(loop_, helperFd_.get(), EPOLLIN, [this](uint32_t) {
        int status = 0;
        ::waitpid(helper_, &status, 0);
        helper_ = -1;
        helperWatcher_.reset();
        if (!std::exchange(hasToldRemains_, status != 0) && status != 0)
            base::logWarning(
                "sandbox",
                "Connections of sandboxes that ended stay in the machine's table: " +
                    std::string(std::strerror(WIFEXITED(status) ? WEXITSTATUS(status) : EIO)));
        release();
    });
}

void SandboxNetwork::release() {
    const size_t all = clearing_.size();
    clearing_.resize(all - std::min(all, 1 + all / releaseParts));
    if (!clearing_.empty()) {
        clear_ = loop_.after(releasePause, [this] {
            clear_ = 0;
            release();
        });
    } else if (!ended_.empty()) {
        clearLater();
    }
}

void SandboxNetwork::sweep() {
    if (router_ == nullptr) return;
    inNetwork(router_->network(), router_->home(), [&] {
        auto* const interfaces = ::if_nameindex();
        if (interfaces == nullptr) return;
        for (const auto* one = interfaces; one->if_name != nullptr; ++one) {
            const std::string_view name = one->if_name;
            uint32_t index = 0;
            const auto read = std::from_chars(name.data() + 1, name.data() + name.size(), index);
            if (read.ec == std::errc() && name == sandboxLink(index) && !isKnown(index))
                ended_.push_back({index, {}});
        }
        ::if_freenameindex(interfaces);
    });
    if (!ended_.empty()) clearLater();
    forgetFlows(*router_, [this](uint32_t address) {
        return !isKnown(address - router_->range().sandbox(0));
    });
    const auto addressesIn = [&](const std::string& set) {
        std::set<uint32_t> found;
        std::string text = firewall_->list("list " + set), part;
        for (const char c : text + " ") {
            if ((c >= '0' && c <= '9') || c == '.') {
                part += c;
                continue;
            }
            if (const auto address = base::parseAddress(part)) found.insert(*address);
            part.clear();
        }
        return found;
    };
    for (const uint32_t address : addressesIn("map inet sandboxes bound"))
        if (!bound_.contains(address)) firewall_->run(unbind(address));
    for (const uint32_t address : addressesIn("set inet sandboxes silent"))
        if (!bound_.contains(address))
            firewall_->run("delete element inet sandboxes silent { " + base::addressText(address) +
                           " }\n");
}

// The name server is not believed: a sandbox gets addresses for the names of its list alone, and
// the platform's own policy holds for them all the same.
bool SandboxNetwork::onGrant(const NameServer::Grant& grant) {
    std::string fault;
    if (const auto found = bound_.find(grant.sandbox); found != bound_.end())
        fault = let(found->second, grant.sandbox, grant, false);
    fault += let(closed_, 0, grant, true);
    fault += let(opened_, 0, grant, false);
    if (!fault.empty()) base::logWarning("sandbox", "A name's address stays closed: " + fault);
    return fault.empty();
}

std::string SandboxNetwork::let(Bound& bound, uint32_t sandbox, const NameServer::Grant& grant,
                                bool closed) {
    const uint32_t seconds = std::clamp(grant.seconds, shortestGrant, longestGrant);
    const auto now = base::EventLoop::Clock::now();
    std::string fault;
    for (const auto& name : bound.names) {
        if (name.name != grant.name) continue;
        for (const uint32_t address : grant.addresses) {
            const uint64_t key = uint64_t{address} << 16 | name.port;
            const auto until = bound.granted.find(key);
            if (until != bound.granted.end() && until->second > now + 30s) continue;
            if (until == bound.granted.end() && bound.granted.size() >= maxGranted) {
                std::erase_if(bound.granted, [&](const auto& one) { return one.second < now; });
                if (bound.granted.size() >= maxGranted) return "too many addresses";
            }
            const std::string add =
                ::cf::sandbox::grant(sandbox, address, name.port, seconds + 60, closed);
            // An element that is there keeps its time, so it goes first; one whose time has come
            // may be gone already.
            std::string remove = add.substr(0, add.find(" timeout")) + " }\n";
            remove.replace(0, 3, "delete");
            if (until != bound.granted.end() && firewall_->run(remove + add).empty()) {
                until->second = now + std::chrono::seconds(seconds + 60);
                continue;
            }
            fault = firewall_->run(add);
            if (!fault.empty()) return fault;
            bound.granted[key] = now + std::chrono::seconds(seconds + 60);
        }
    }
    return fault;
}

}  // namespace cf::sandbox
