// Step 7 from the launcher's side: network namespaces with a link to the router, made ahead; and
// what each sandbox may reach, which can change once, when it is bound to a function. Launcher only,
// its loop's thread. Without a router every method does nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/event_loop.hpp"
#include "base/failure.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/fd_watcher.hpp"
#include "sandbox/launch_spec.hpp"
#include "sandbox/name_server.hpp"
#include "sandbox/netlink.hpp"
#include "sandbox/network_remains.hpp"
#include "sandbox/refusal.hpp"
#include "sandbox/router.hpp"

namespace cf::sandbox {

class SandboxNetwork {
public:
    // A packet of the sandbox with this link was refused.
    using RefusedCallback = std::function<void(uint32_t index, const Refusal& refusal)>;

    // `spare` namespaces are kept ready.
    SandboxNetwork(base::EventLoop& loop, const Router* router, uint32_t spare,
                   RefusedCallback refused);
    ~SandboxNetwork();

    bool available() const { return router_ != nullptr; }

    // A network namespace with one link out. It is one sandbox's alone, until forget. Failures:
    // sandbox_failed.
    struct Link {
        uint32_t index = 0;
        base::UniqueFd network{};
    };
    base::Result<Link> take();

    // Applies what a sandbox may reach; from the first packet after it returned. Once `none` or a
    // list, a sandbox never gets more. `process` is a pidfd of one inside, where an earlier launcher
    // took the link. Failures: sandbox_failed, and then the sandbox must not go on.
    base::Result<void> apply(uint32_t index, const NetworkPolicy& policy, int process);
    // The sandbox is gone. What it left in Linux follows in the background.
    void forget(uint32_t index);
    // After a launcher took over: forgets all sandboxes that nobody applied a policy for.
    void sweep();

private:
    base::Result<Link> make();
    void refillLater();
    void remember(uint32_t index, int process);
    bool isKnown(uint32_t index) const;
    bool isEnding(uint32_t index) const;
    void clearLater();
    void clearAfter(base::EventLoop::Clock::duration pause);
    void clear();
    void release();
    std::string silenceInside(uint32_t index);
    bool onGrant(const NameServer::Grant& grant);
    void listen();
    void tellRefused(const Refusal& refusal);

    struct Bound {
        NetworkPolicy policy{};
        std::vector<base::Destination> names{};
        // What is let through, with the end of its time.
        std::unordered_map<uint64_t, base::EventLoop::Clock::time_point> granted{};
    };
    std::string let(Bound& bound, uint32_t sandbox, const NameServer::Grant& grant, bool closed);

    base::EventLoop& loop_;
    const Router* router_;
    uint32_t wanted_;
    Netlink netlink_;  // in the router's namespace
    std::unique_ptr<Firewall> firewall_;
    std::unique_ptr<NameServer> names_;
    RefusedCallback refused_;
    std::unique_ptr<RefusalLog> routerLog_, machineLog_;
    std::vector<Link> spare_;
    std::unordered_map<uint32_t, base::UniqueFd> networks_;  // of sandboxes, by index; may be none
    std::vector<EndedSandbox> ended_, clearing_;  // waiting for the helper; what it works at
    uint32_t next_ = 0;
    base::TimerId refill_ = 0, clear_ = 0;
    pid_t helper_ = -1;
    base::UniqueFd helperFd_;
    std::unique_ptr<FdWatcher> helperWatcher_;
    bool hasToldRemains_ = false;  // that entries stay; once until it works again
    std::unordered_map<uint32_t, Bound> bound_;  // by address
    Bound opened_, closed_;                      // the operator's names
};

}  // namespace cf::sandbox
