// The way out for sandboxes: a network namespace between them and the machine. Each sandbox has a
// link to it (sandbox_network.hpp), it has one link to the machine, and the policy stands in its own
// firewall, so the machine shows one interface, one table and one route for all sandboxes together.
// It lives as long as a process holds it: nothing is left of it after a kill -9.
//
// Made by the supervisor before the first launcher; launchers inherit it. One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "sandbox/firewall.hpp"

namespace cf::sandbox {

// Runs `work` in another network namespace and comes back; a process that cannot come back ends.
// False when the namespace cannot be entered.
bool inNetwork(int networkNamespace, int home, const std::function<void()>& work);
// The same in a new network namespace, which `made` then refers to.
bool inNewNetwork(base::UniqueFd& made, int home, const std::function<void()>& work);

// The name of the router's end of a sandbox's link.
std::string sandboxLink(uint32_t index);

class Router {
public:
    // Nothing when the machine cannot have one; `why` says what is missing, as a clause.
    static std::unique_ptr<Router> make(const std::string& instance, const NetworkOptions& options,
                                        std::string& why);
    ~Router();
    Router(const Router&) = delete;
    Router& operator=(const Router&) = delete;

    const AddressRange& range() const { return range_; }
    const NetworkOptions& options() const { return options_; }
    int network() const { return network_.get(); }  // its namespace
    int home() const { return home_.get(); }        // the machine's
    uint32_t mtu() const { return mtu_; }
    const std::string& link() const { return link_; }
    // The group of nfnetlink_log that hears of refused packets, in this namespace and the machine's;
    // 0 when Linux cannot log them.
    uint16_t logGroup() const { return logGroup_; }
    // What another firewall of this machine may do to forwarded packets, as a sentence; mostly "".
    const std::string& warning() const { return warning_; }

    // Switches off again what was switched on at the machine, unless another platform needs it.
    // The last process that ends calls it.
    void restore();

private:
    Router() = default;
    bool makeNamespace(std::string& why);
    bool connect(const std::string& instance, std::string& why);
    std::string loadPolicy();
    bool forward(std::string& why);

    NetworkOptions options_{};
    AddressRange range_{};
    std::string link_{};
    std::string warning_{};
    uint32_t mtu_ = 1500;
    uint16_t logGroup_ = 0;
    base::UniqueFd network_{}, home_{};
    std::unique_ptr<Firewall> machineFirewall_{};  // its table goes with it
    struct Switched {
        std::string interface{};
        std::string path{};
        base::UniqueFd lock{};  // shared with other platforms that need the interface to forward
    };
    std::vector<Switched> switched_{};
};

}  // namespace cf::sandbox
