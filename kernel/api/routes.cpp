#include "api/routes.hpp"

#include "http/percent.hpp"

namespace cf::api {

namespace {

constexpr Route routes[] = {
    {.pattern = "api/health", .get = readHealth},
    {.pattern = "api/health/ready", .get = readReadiness},
    {.pattern = "api/openapi.yaml", .get = readOpenapi},
    {.pattern = "api/v1/runtimes", .get = listRuntimes},
    {.pattern = "api/v1/functions", .get = listFunctions, .post = createFunction},
    {.pattern = "api/v1/functions/{id}",
     .get = readFunction,
     .put = updateFunction,
     .patch = updateFunction,
     .remove = deleteFunction},
    {.pattern = "api/v1/functions/{id}/versions", .get = listVersions},
    {.pattern = "api/v1/functions/{id}/versions/{item}", .get = readVersion},
    {.pattern = "api/v1/functions/{id}/versions/{item}/build-log", .get = readBuildLog},
    {.pattern = "api/v1/functions/{id}/invocations", .get = listInvocations},
    {.pattern = "api/v1/functions/{id}/logs", .get = readLogs},
    {.pattern = "api/v1/invocations/{id}", .get = readInvocation},
};

// Takes the text before the next '/' off `rest`.
std::string_view nextSegment(std::string_view& rest) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, slash);
    rest.remove_prefix(slash);
    return segment;
}

bool matches(std::string_view pattern, std::string_view path, RouteMatch& match) {
    while (true) {
        const std::string_view wanted = nextSegment(pattern), given = nextSegment(path);
        if (wanted == "{id}") {
            if (given.empty() || !http::percentDecode(given, match.id)) return false;
        } else if (wanted == "{item}") {
            if (given.empty() || !http::percentDecode(given, match.item)) return false;
        } else if (wanted != given) {
            return false;
        }
        if (pattern.empty() || path.empty()) return pattern.empty() && path.empty();
        pattern.remove_prefix(1);
        path.remove_prefix(1);
    }
}

}  // namespace

ResourceFunction Route::find(std::string_view method) const {
    if (method == "GET" || method == "HEAD") return get;
    if (method == "POST") return post;
    if (method == "PUT") return put;
    if (method == "PATCH") return patch;
    if (method == "DELETE") return remove;
    return nullptr;
}

std::string Route::allow() const {
    std::string methods = get != nullptr ? "GET, HEAD, " : "";
    if (post != nullptr) methods += "POST, ";
    if (put != nullptr) methods += "PUT, ";
    if (patch != nullptr) methods += "PATCH, ";
    if (remove != nullptr) methods += "DELETE, ";
    return methods + "OPTIONS";
}

RouteMatch matchRoute(std::string_view path) {
    RouteMatch match;
    if (path.empty() || path.front() != '/') return match;
    path.remove_prefix(1);
    for (const Route& route : routes) {
        if (!matches(route.pattern, path, match)) continue;
        match.route = &route;
        return match;
    }
    return match;
}

}  // namespace cf::api
