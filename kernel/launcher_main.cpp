// The launcher as a program of its own: the only one of the platform that keeps root. It links little, because every
// sandbox begins as a copy of it, and what root never runs cannot be attacked there.
#include "sandbox/launcher_client.hpp"

int main() {
    constexpr int controlSocket = 3;
    return cf::sandbox::launcherMain(controlSocket);
}
