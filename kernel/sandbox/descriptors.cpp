// Step 4: the program gets 0, 1, 2 and (workers) 3; everything else closes at execve.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/recipe.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

void arrangeDescriptors(const Launch& launch, const Setup& setup, int& stub) {
    // First all of them out of the way of the low numbers, then to their places.
    constexpr int high = 16;
    const int input = launch.input >= 0 ? launch.input : ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    setup.check(input >= 0, "opening /dev/null");
    const int sources[] = {input, launch.output, launch.errors, launch.socket};
    int moved[4] = {-1, -1, -1, -1};
    for (size_t i = 0; i < 4; ++i) {
        if (sources[i] < 0) continue;
        moved[i] = ::fcntl(sources[i], F_DUPFD_CLOEXEC, high);
        setup.check(moved[i] >= 0, "moving descriptors");
    }
    if (stub >= 0) {
        stub = ::fcntl(stub, F_DUPFD_CLOEXEC, high);
        setup.check(stub >= 0, "moving descriptors");
    }
    for (int i = 0; i < 4; ++i)
        if (moved[i] >= 0) setup.check(::dup2(moved[i], i) == i, "placing descriptors");
    const unsigned first = launch.socket >= 0 ? 4 : 3;
    setup.check(sys::closeRange(first, ~0u, sys::closeRangeCloexec) == 0, "closing descriptors");
}

}  // namespace cf::sandbox
