// Step 7: the network. Without one, a sandbox has a network namespace with lo alone, and it is up:
// runtimes talk to themselves over it. With `outbound` it enters one that the launcher made ahead,
// with one link to the router (sandbox_network.hpp).
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstring>

#include "base/unique_fd.hpp"
#include "sandbox/files.hpp"
#include "sandbox/recipe.hpp"

namespace cf::sandbox {

void enterNetwork(const Launch& launch, const Setup& setup) {
    if ((launch.namespaces & CLONE_NEWNET) == 0) return;
    if (launch.network >= 0)
        return setup.check(::setns(launch.network, CLONE_NEWNET) == 0, "entering its network");
    const base::UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq request{};
    std::strncpy(request.ifr_name, "lo", IFNAMSIZ - 1);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    setup.check(socket && ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0, "bringing up lo");
    // Where memory is not counted: TCP's buffers grow by themselves, others keep their size.
    if (launch.machine.cgroups.memory()) return;
    for (const char* file : {"/proc/sys/net/ipv4/tcp_rmem", "/proc/sys/net/ipv4/tcp_wmem"})
        writeFile(file, "4096 131072 212992");
}

}  // namespace cf::sandbox
