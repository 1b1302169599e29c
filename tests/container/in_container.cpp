// Runs a command as an ordinary Docker container would: the capabilities and the filter of system
// calls of docker_default.txt, no control groups to write to, and nothing else changed.
//
//     in_container PROFILE COMMAND [ARGUMENT...]
//
// Exits with 77 when this machine does not let it.
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace {

[[noreturn]] void giveUp(const char* what) {
    std::fprintf(stderr, "in_container: %s: %s\n", what, std::strerror(errno));
    ::_exit(77);
}

using Profile = std::map<std::string, std::vector<std::string>>;

Profile read(const char* path) {
    Profile profile;
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string kind, word;
        if (!(words >> kind) || kind[0] == '#') continue;
        while (words >> word) profile[kind].push_back(word);
    }
    return profile;
}

const std::map<std::string, int> capabilityNumbers = {{"chown", CAP_CHOWN},
                                                      {"dac_override", CAP_DAC_OVERRIDE},
                                                      {"fowner", CAP_FOWNER},
                                                      {"fsetid", CAP_FSETID},
                                                      {"kill", CAP_KILL},
                                                      {"setgid", CAP_SETGID},
                                                      {"setuid", CAP_SETUID},
                                                      {"setpcap", CAP_SETPCAP},
                                                      {"net_raw", CAP_NET_RAW},
                                                      {"net_bind_service", CAP_NET_BIND_SERVICE},
                                                      {"sys_chroot", CAP_SYS_CHROOT},
                                                      {"mknod", CAP_MKNOD},
                                                      {"audit_write", CAP_AUDIT_WRITE},
                                                      {"setfcap", CAP_SETFCAP}};

void keepCapabilities(const Profile& profile) {
    uint64_t kept = 0;
    for (const auto& name : profile.at("capabilities")) kept |= 1ull << capabilityNumbers.at(name);
    for (int i = 0; ::prctl(PR_CAPBSET_READ, i) >= 0; ++i)
        if ((kept >> i & 1) == 0 && ::prctl(PR_CAPBSET_DROP, i) != 0)
            giveUp("dropping capabilities");
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    const auto low = static_cast<uint32_t>(kept), high = static_cast<uint32_t>(kept >> 32);
    __user_cap_data_struct data[2] = {{low, low, 0}, {high, high, 0}};
    if (::syscall(SYS_capset, &header, data) != 0) giveUp("dropping capabilities");
}

scmp_arg_cmp first(scmp_compare how, uint64_t value, uint64_t masked = 0) {
    return {0, how, value, masked};
}

void filter(const Profile& profile) {
    scmp_filter_ctx context = ::seccomp_init(SCMP_ACT_ERRNO(EPERM));
    const auto number = [](const std::string& name) {
        return ::seccomp_syscall_resolve_name(name.c_str());
    };
    for (const auto& name : profile.at("allow"))
        if (number(name) >= 0) ::seccomp_rule_add(context, SCMP_ACT_ALLOW, number(name), 0);
    constexpr uint64_t namespaces = 0x7e020000;
    ::seccomp_rule_add(context, SCMP_ACT_ALLOW, number("clone"), 1,
                       first(SCMP_CMP_MASKED_EQ, namespaces));
    ::seccomp_rule_add(context, SCMP_ACT_ERRNO(ENOSYS), number("clone3"), 0);
    for (const unsigned family : {unsigned{AF_ALG}, 40u})
        ::seccomp_rule_add(context, SCMP_ACT_ERRNO(EPERM), number("socket"), 1,
                           first(SCMP_CMP_EQ, family));
    for (unsigned family = 0; family < 46; ++family)
        if (family != AF_ALG && family != 40)
            ::seccomp_rule_add(context, SCMP_ACT_ALLOW, number("socket"), 1,
                               first(SCMP_CMP_EQ, family));
    for (const uint64_t persona : {0x0ul, 0x8ul, 0x20000ul, 0x20008ul, 0xfffffffful})
        ::seccomp_rule_add(context, SCMP_ACT_ALLOW, number("personality"), 1,
                           first(SCMP_CMP_EQ, persona));
    // Docker does not set NO_NEW_PRIVS, and neither does this.
    ::seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0);
    ::seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (const int result = ::seccomp_load(context); result != 0) {
        errno = -result;
        giveUp("filtering system calls");
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    const Profile profile = read(argv[1]);
    // Control groups of containers cannot be written to.
    if (::unshare(CLONE_NEWNS) != 0) giveUp("unshare");
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) giveUp("mount");
    if (::mount("tmpfs", "/sys/fs/cgroup", "tmpfs", MS_RDONLY, "size=4k") != 0) giveUp("mount");
    // The filter while there is the right to install one without NO_NEW_PRIVS; what is left of the
    // way is allowed by it.
    filter(profile);
    keepCapabilities(profile);
    ::execvp(argv[2], argv + 2);
    giveUp(argv[2]);
}
