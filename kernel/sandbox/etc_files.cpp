// Step 2, /etc: what libraries read to find users, hosts, certificates and time zones; nothing that
// says which machine this is.
#include <unistd.h>

#include <climits>

#include "sandbox/files.hpp"
#include "sandbox/root_filesystem.hpp"
#include "sandbox/router.hpp"
#include "sandbox/syscalls.hpp"

namespace cf::sandbox {

namespace {

constexpr uint64_t attributes =
    sys::attributeReadOnly | sys::attributeNoSetuid | sys::attributeNoDevices;

}  // namespace

void addEtc(const NewRoot& root) {
    const std::string uid = std::to_string(root.launch().uid);
    const std::string gid = std::to_string(root.launch().gid);
    root.directory("/etc");
    std::string users = "function:x:" + uid + ":" + gid + ":function:/tmp:/usr/sbin/nologin\n";
    std::string groups = "function:x:" + gid + ":\n";
    if (uid != "0") {
        users.insert(0, "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n");
        groups.insert(0, "root:x:0:\n");
    }
    root.file("/etc/passwd", users);
    root.file("/etc/group", groups);
    root.file("/etc/hostname", "function\n");
    root.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    if (root.launch().request.network.mode == Network::host) {
        // Copied: containers have a mount there whose file may be gone, and that cannot be bound.
        root.file("/etc/resolv.conf", readFile("/etc/resolv.conf"));
        root.bind("/etc/hosts", "/etc/hosts", attributes);
    } else {
        const Router* const router = root.launch().machine.router.get();
        const bool hasNames = root.launch().network >= 0 && router != nullptr;
        root.file("/etc/resolv.conf",
                  hasNames ? "nameserver " + base::addressText(router->range().router()) +
                                 "\noptions timeout:3 attempts:2\n"
                           : "");
        root.file("/etc/hosts", "127.0.0.1 localhost function\n::1 localhost\n");
    }
    for (const char* path :
         {"/etc/ld.so.cache", "/etc/alternatives", "/etc/ssl/certs", "/etc/pki/tls/certs"})
        root.bind(path, path, attributes);
    char zone[PATH_MAX];
    const ssize_t size = ::readlink("/etc/localtime", zone, sizeof zone - 1);
    if (size > 0)
        root.link(std::string(zone, static_cast<size_t>(size)), "/etc/localtime");
    else
        root.bind("/etc/localtime", "/etc/localtime", attributes);
}

}  // namespace cf::sandbox
