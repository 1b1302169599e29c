// Step 7: the network namespace of a sandbox without network has one interface, lo, and it is up:
// runtimes talk to themselves over it.
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "base/unique_fd.hpp"
#include "sandbox/recipe.hpp"

namespace cf::sandbox {

void bringUpLoopback(const Launch& launch, const Setup& setup) {
    if ((launch.namespaces & CLONE_NEWNET) == 0) return;
    const base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    setup.check(socket && ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0, "bringing up lo");
}

}  // namespace cf::sandbox
