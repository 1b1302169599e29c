#include "api/routes.hpp"

namespace cf::api {

namespace {

constexpr Route table[] = {
    {"GET", "/api/health", readHealth},
    {"GET", "/api/health/ready", readReadiness, Lane::loop},
    {"GET", "/api/openapi.yaml", readOpenapi},
    {"GET", "/api/v1/runtimes", listRuntimes},
    {"GET", "/api/v1/functions", listFunctions},
    {"POST", "/api/v1/functions", createFunction},
    {"GET", "/api/v1/functions/{id}", readFunction},
    {"PUT", "/api/v1/functions/{id}", updateFunction},
    {"PATCH", "/api/v1/functions/{id}", updateFunction},
    {"DELETE", "/api/v1/functions/{id}", deleteFunction},
    {"PUT", "/api/v1/functions/{id}/archive", putArchive},
    {"GET", "/api/v1/functions/{id}/versions", listVersions},
    {"GET", "/api/v1/functions/{id}/versions/{item}", readVersion},
    {"GET", "/api/v1/functions/{id}/versions/{item}/build-log", readBuildLog},
    {"GET", "/api/v1/functions/{id}/invocations", listInvocations},
    {"GET", "/api/v1/functions/{id}/logs", readLogs},
    {"GET", "/api/v1/invocations/{id}", readInvocation},
};

}  // namespace

std::span<const Route> routes() { return table; }

}  // namespace cf::api
