// /api/health for people and dashboards, /api/health/ready for load balancers.
#include <algorithm>

#include "api/resource.hpp"
#include "functions/json_text.hpp"

namespace cf::api {

namespace {

using functions::JsonArray;
using functions::JsonObject;

std::string servicesJson(const Health& health) {
    const char* phases[] = {"starting", "running", "draining"};
    JsonObject services;
    services.text("cloudfunction", phases[static_cast<int>(health.phase)]);
    for (const auto& [name, state] : health.companions) services.text(name, state);
    return services.done();
}

std::string executorsJson(const Health& health) {
    JsonObject executors;
    for (const auto& executor : health.executors)
        executors.raw(executor.id,
                      JsonObject()
                          .text("status", executor.available ? "available" : "unavailable")
                          .text("version", executor.version)
                          .text("detail", executor.detail)
                          .text("hint", executor.hint)
                          .done());
    return executors.done();
}

std::string sandboxJson(const Health& health) {
    JsonArray layers;
    for (const auto& layer : health.layers)
        layers.raw(JsonObject()
                       .text("name", layer.name)
                       .boolean("active", layer.active)
                       .text("detail", layer.detail)
                       .done());
    const bool complete = std::ranges::all_of(health.layers, &Health::Layer::active);
    return JsonObject()
        .text("status", complete ? "complete" : "reduced")
        .text("tier", health.sandboxTier)
        .boolean("strict", health.sandboxStrict)
        .raw("layers", layers.done())
        .done();
}

std::string storeJson(const Health& health) {
    JsonObject bytes;
    for (const auto& [kind, size] : health.bytes) bytes.number(kind, size);
    return JsonObject()
        .text("status", health.storeOk ? "ok" : "failed")
        .text("detail", health.storeDetail)
        .raw("bytes", bytes.done())
        .done();
}

}  // namespace

Response readHealth(const Call& call) {
    if (auto query = Query::read(call.request.query, {}); !query)
        return failed(call, query.failure());
    const Health health = call.dependencies.health ? call.dependencies.health() : Health{};
    JsonArray problems;
    for (const auto& problem : health.problems) problems.text(problem);
    const bool ok = health.problems.empty() && health.storeOk;
    return json(call, 200,
                JsonObject()
                    .text("status", ok ? "ok" : "degraded")
                    .raw("services", servicesJson(health))
                    .raw("executors", executorsJson(health))
                    .raw("sandbox", sandboxJson(health))
                    .raw("store", storeJson(health))
                    .text("version", health.version)
                    .raw("problems", problems.done())
                    .done());
}

Response readReadiness(const Call& call) {
    const auto phase = call.dependencies.phase ? call.dependencies.phase() : Health::Phase::starting;
    if (phase == Health::Phase::running) return json(call, 200, R"({"status":"ready"})");
    const bool starting = phase == Health::Phase::starting;
    return failed(call, {.reason = starting ? "starting" : "draining",
                         .detail = starting ? "the platform is starting"
                                            : "the platform is stopping and takes no new work",
                         .hint = "send requests to another node, or try again"});
}

}  // namespace cf::api
