// The time of these tests. Their executable is linked with a steady clock and an epoll_wait(2) of
// its own (test_clock.cpp, CMakeLists.txt): where the loop would sleep until a timer rings, the
// clock is moved on instead. How long something takes thus depends on what was waited for, never on
// how fast the machine is or whether it stood still; and half a minute costs nothing.
#pragma once

#include <chrono>

namespace cf::workers::test {

// Time passes while the platform does nothing, as when its machine stands still. Apart from this
// and the loop's sleep each look at the clock takes a microsecond, and everything else no time. One
// thread.
void passTime(std::chrono::nanoseconds time);

}  // namespace cf::workers::test
