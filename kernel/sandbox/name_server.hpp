// The name server of the sandboxes: a forwarder of the platform's own, because the machine's name
// servers are often private addresses that sandboxes may not reach. Questions are hostile input, so
// it is a process without any right, any file, and any system call that it does not need; it dies
// with the launcher and is started again when it dies itself.
//
// This is the launcher's side. Loop thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/destination.hpp"
#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/fd_watcher.hpp"
#include "sandbox/router.hpp"

namespace cf::sandbox {

class NameServer {
public:
    // A name on somebody's list has these addresses: they are let through before the sandbox hears
    // of them. Written by the process: nothing in it is believed.
    struct Grant {
        uint32_t sandbox = 0;  // its address
        std::string name{};
        uint32_t seconds = 0;
        std::vector<uint32_t> addresses{};
    };
    using OnGrant = std::function<bool(const Grant&)>;
    // `sandbox` asked for a name that is not on its list; printable, of 255 characters at most.
    using OnRefused = std::function<void(uint32_t sandbox, const std::string& name)>;

    // `opened` and `closed` are the operator's names; the router outlives it.
    NameServer(base::EventLoop& loop, const Router& router,
               const std::vector<base::Destination>& opened,
               const std::vector<base::Destination>& closed, OnGrant onGrant, OnRefused onRefused);
    ~NameServer();

    // From now on this sandbox gets answers for these names only.
    void allow(uint32_t sandbox, const std::vector<base::Destination>& names);
    void forget(uint32_t sandbox);

private:
    void start();
    void stop();
    void send(const std::string& packet);
    void read();
    void take(char kind, uint32_t sandbox, const std::string& text);
    void tellResolvers();
    void checkResolvers();

    base::EventLoop& loop_;
    const Router& router_;
    OnGrant onGrant_;
    OnRefused onRefused_;
    std::string common_;  // the operator's names
    std::unordered_map<uint32_t, std::string> lists_;
    std::string resolvers_;
    pid_t pid_ = -1;
    base::UniqueFd control_, gone_;
    std::unique_ptr<FdWatcher> watcher_, goneWatcher_;
    base::TimerId check_ = 0, restart_ = 0;
};

// The process itself. `control` is its end of a SOCK_SEQPACKET pair, the others are bound to port 53
// of the router. Ends with its launcher.
[[noreturn]] void runNameServer(int control, int datagrams, int streams);

// Packets on `control`: a kind, a number (a sandbox's address), and lines of text.
namespace names {
constexpr char kindCommon = 'c';     // to it: names that everybody's grants are told of
constexpr char kindAllow = 'a';      // to it: the only names of a sandbox
constexpr char kindForget = 'f';     // to it
constexpr char kindResolvers = 'r';  // to it: the machine's name servers
constexpr char kindGrant = 'g';      // from it: seconds, name, addresses; `number` is the sandbox's
constexpr char kindRefused = 'n';    // from it: a name that is not on the sandbox's list
constexpr char kindGranted = 'd';    // to it: the answer to the oldest grant that has none yet
std::string packet(char kind, uint32_t number, const std::string& text);
}  // namespace names

}  // namespace cf::sandbox
