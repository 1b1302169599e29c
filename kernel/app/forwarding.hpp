// Whether the machine still forwards what functions send: the platform switches that on when it
// starts, and `sysctl -w net.ipv4.ip_forward=0` of somebody else switches it off again without a word.
#pragma once

#include <string>

namespace cf::app {

// What is wrong, as a sentence with what to do; empty: nothing. Looks at the interfaces that
// connections to the internet leave by (proc(5), /proc/net/route; ip-sysctl, conf/*/forwarding).
// Any thread; some small files.
std::string whyNotForwarded();

}  // namespace cf::app
