// What sandboxes with a link leave in Linux when they end: connections without a process, whose
// buffers, namespace and link stay for as long as the other side answers, and what the tables of
// the router and the machine know of their connections. Launcher only; it takes some milliseconds,
// so not on its loop.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/unique_fd.hpp"
#include "sandbox/router.hpp"

namespace cf::sandbox {

struct EndedSandbox {
    uint32_t index = 0;        // of its link
    base::UniqueFd network{};  // its namespace; none when nobody has it any more
};

// Resets the connections that are left. Where Linux cannot, the link goes and they end by
// themselves.
void endConnections(const Router& router, const std::vector<EndedSandbox>& ended);

// Takes connections from sandboxes whose address `isGone` out of both tables. 0 or an errno.
int forgetFlows(const Router& router, const std::function<bool(uint32_t address)>& isGone);

}  // namespace cf::sandbox
