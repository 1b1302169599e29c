// A connection that the network's rules refused, on its way from Linux to the function's log: the
// rules log it to a group of nfnetlink_log, the launcher reads it here, and the kernel process says
// it in words. Or a name that the name server did not answer for. Written by a hostile program in
// every part but the sandbox's address, which the router has checked.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/event_loop.hpp"
#include "base/unique_fd.hpp"
#include "sandbox/fd_watcher.hpp"

namespace cf::sandbox {

// Which rule it was.
enum class RefusalReason : uint8_t {
    list = 1,  // not in the function's network.allow
    denied,    // in sandbox.network.deny
    reserved,  // a private, metadata or other special address
    platform,  // another sandbox, or the router itself
    machine,   // an address of the machine
    flows,     // too many open connections
};

struct Refusal {
    uint32_t sandbox = 0;  // addresses in host order
    uint32_t address = 0;
    uint16_t port = 0;     // 0: unknown
    uint8_t protocol = 0;  // as in IPv4's header
    RefusalReason reason = RefusalReason::reserved;
    std::string name{};    // asked for; empty: it was a packet
    bool operator==(const Refusal&) const = default;
};

// How rules name a reason (nftables: log prefix); and back, nothing for other words.
const char* wordOf(RefusalReason reason);
std::optional<RefusalReason> reasonOf(std::string_view word);

// A line for the function's log, without its end: "[platform] connection to 192.0.2.1:80 refused:
// ...", with what can be done.
std::string refusalText(const Refusal& refusal);

// What one datagram of nfnetlink_log says; nothing for whatever is not a whole report of one packet
// of IPv4. `size` bytes at `data`, aligned as netlink(7) wants it.
std::optional<Refusal> readRefusal(const char* data, size_t size);

// Hears the reports of one group in one network namespace. Launcher only, its loop's thread.
class RefusalLog {
public:
    using Callback = std::function<void(const Refusal&)>;
    // In the thread's present network namespace. Nothing when Linux has no nfnetlink_log or
    // somebody else hears the group.
    static std::unique_ptr<RefusalLog> open(base::EventLoop& loop, uint16_t group,
                                            Callback callback);

private:
    RefusalLog(base::EventLoop& loop, base::UniqueFd socket, Callback callback);
    void read();

    base::UniqueFd socket_;
    Callback callback_;
    FdWatcher watcher_;
};

}  // namespace cf::sandbox
