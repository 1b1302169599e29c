// Which executor serves which runtime. Filled at the start, read by everybody: any thread, no
// waiting behind plugins. What is handed out stays valid for as long as it is held, also when an
// executor is replaced meanwhile.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "executors/executor.hpp"

namespace cf::executors {

class Catalog {
public:
    // A name that a user wrote, resolved. `runtime` points into the executor.
    struct Found {
        std::shared_ptr<const Executor> executor{};
        const Runtime* runtime = nullptr;
        std::string sourceFile{};  // the alias's own, where it has one
    };
    using Executors = std::vector<std::shared_ptr<const Executor>>;

    // Puts a new list in the place of the old one.
    void replace(Executors executors);

    // By runtime name or alias, exactly as typed. The executor may be unavailable.
    std::optional<Found> find(std::string_view nameOrAlias) const;
    std::shared_ptr<const Executor> byId(std::string_view executorId) const;  // null: there is none
    // For "known runtimes are ...": "toy (or toylang, plaything)", sorted.
    std::vector<std::string> names() const;
    std::shared_ptr<const Executors> executors() const;

    // The array of GET /api/v1/runtimes. A plugin that could not be described is in it under its
    // file's name.
    std::string runtimesJson() const;
    // Health's "executors": {"<id>": "available" | "unavailable: reason"}, by file where there is
    // no id.
    std::string healthJson() const;

private:
    mutable std::mutex mutex_;  // held to copy the pointer only
    std::shared_ptr<const Executors> executors_ = std::make_shared<Executors>();
};

}  // namespace cf::executors
