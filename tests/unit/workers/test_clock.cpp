// What the linker puts in the place of the two functions that know of time (ld(1), --wrap). All
// that is timed in kernel/workers and its loop goes through them. The other ends of all sockets and
// pipes are in this thread too, so that nothing can come while the loop sleeps.
#include "test_clock.hpp"

#include <sys/epoll.h>

#ifndef __GLIBCXX__
#error "the clock is wrapped by the name that it has in libstdc++"
#endif

namespace {

using Clock = std::chrono::steady_clock;

// The machine has been running for a while, as all do: 0 means "never" here and there.
Clock::time_point theTime{std::chrono::hours(1)};

}  // namespace

void cf::workers::test::passTime(std::chrono::nanoseconds time) { theTime += time; }

extern "C" {

// std::chrono::steady_clock::now()
Clock::time_point __wrap__ZNSt6chrono3_V212steady_clock3nowEv() noexcept {
    return theTime += std::chrono::microseconds(1);
}

int __real_epoll_wait(int epoll, epoll_event* events, int most, int timeoutMs);

int __wrap_epoll_wait(int epoll, epoll_event* events, int most, int timeoutMs) {
    const int count = __real_epoll_wait(epoll, events, most, timeoutMs < 0 ? timeoutMs : 0);
    if (count == 0 && timeoutMs > 0) theTime += std::chrono::milliseconds(timeoutMs);
    return count;
}
}
