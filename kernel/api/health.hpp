// What GET /api/health shows. app/ gathers it from the parts of the platform.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cf::api {

struct Health {
    enum class Phase { starting, running, draining };

    struct Executor {
        std::string id{};
        bool available = false;
        std::string version{};  // of the executor itself
        std::string detail{};   // toolchain version, or why it is not available
        std::string hint{};     // what to install
    };
    struct Layer {
        std::string name{};
        bool active = false;
        std::string detail{};
    };

    Phase phase = Phase::starting;
    std::string version{};  // of the platform
    std::vector<std::pair<std::string, std::string>>
        companions{};  // name, "running" or "unreachable"
    std::vector<Executor> executors{};
    bool sandboxStrict = false;
    std::string sandboxTier{};  // "root", "user", "container" or "bare": docs/sandbox.md
    std::vector<Layer> layers{};
    bool storeOk = true;
    std::string storeDetail{};
    std::vector<std::pair<std::string, uint64_t>> bytes{};  // what each kind of data takes on disk
    std::vector<std::string> problems{};  // sentences; with one the platform is degraded
};

}  // namespace cf::api
