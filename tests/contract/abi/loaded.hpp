// Fixture plugins put into an executors folder of their own and loaded from it the way the platform
// does.
#pragma once

#include <filesystem>
#include <initializer_list>

#include "child_process.hpp"
#include "executors/catalog.hpp"
#include "executors/loader.hpp"
#include "temp_folder.hpp"

namespace cf::test {

class Loaded {
public:
    explicit Loaded(std::initializer_list<const char*> plugins,
                    std::map<std::string, std::string> properties = {}) {
        std::filesystem::create_directory(folder / "executors");
        std::filesystem::create_directory(folder / "data");
        for (const std::string plugin : plugins)
            std::filesystem::copy(FIXTURES "/" + plugin + ".so", folder / "executors");
        options.folders = {folder / "executors"};
        options.dataDir = folder / "data";
        options.properties = std::move(properties);
        options.probeCommand = {"/proc/self/exe", "probe-executor"};
        options.probeTimeout = std::chrono::seconds(30);
    }
    void load() { catalog.replace(executors::Loader(options, runner).loadAll()); }
    const executors::Executor& only() const { return *catalog.executors()->at(0); }
    std::string reason(size_t i = 0) const {
        const auto& why = catalog.executors()->at(i)->facts().unavailable;
        return why ? why->reason : "";
    }

    TempFolder folder;
    executors::LoaderOptions options;
    executors::Catalog catalog;
    PlainProcessRunner runner;
};

}  // namespace cf::test
