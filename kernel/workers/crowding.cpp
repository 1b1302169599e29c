#include "workers/crowding.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace cf::workers {

Crowding::Crowding(uint32_t cores)
    : file_(::open("/proc/loadavg", O_RDONLY | O_CLOEXEC)), cores_(cores) {}

double Crowding::perCore(const char* loadavg, uint32_t cores) {
    unsigned runnable = 0;
    if (std::sscanf(loadavg, "%*s %*s %*s %u/", &runnable) != 1) return 1;
    return std::clamp(static_cast<double>(runnable) / std::max(1u, cores), 1.0, most);
}

double Crowding::perCore(Clock::time_point now) {
    if (now - asked_ < fresh) return perCore_;
    asked_ = now;
    char text[128];
    const ssize_t got = file_ ? ::pread(file_.get(), text, sizeof text - 1, 0) : 0;
    text[std::max<ssize_t>(got, 0)] = '\0';
    perCore_ = perCore(text, cores_);
    return perCore_;
}

}  // namespace cf::workers
