// Finds what a request is for: method and path against patterns such as
// "/api/v1/functions/{id}/invoke" and
// "/function/{name}{rest...}". Filled once at start; afterwards any number of threads may match.
//
// A literal segment is compared as sent: an escape in one ("/%61pi") is another path, so that a
// guard that looks at the path and the router never disagree. A {name} takes one segment that is
// not empty, percent-decoded. {rest...} stands last and takes what is left as sent: empty, or
// beginning with '/'. Literals go before names, names before rests, and the first pattern that fits
// the path decides; its methods alone count.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/exchange.hpp"
#include "http/refusal.hpp"

namespace cf::http {

using RouteId = uint32_t;

// The outcome of one match; reusable, so that it keeps its memory. Views live as long as the
// request and this do.
class RouteMatch {
public:
    enum class Kind {
        route,    // id() and the parameters
        options,  // OPTIONS that no route took: answer 204 with headers()
        refused,  // refusal(): 400, 404 or 405
    };
    Kind kind() const { return kind_; }
    RouteId id() const { return id_; }
    // The parameter's value; empty for a name that the pattern has not.
    std::string_view operator[](std::string_view name) const;
    // "Allow: GET, HEAD, OPTIONS\r\n"
    const std::string& headers() const { return headers_; }
    const Refusal& refusal() const { return *refusal_; }

private:
    friend class Router;
    static constexpr size_t maxParameters = 8;
    struct Parameter {
        std::string_view name{};
        std::string_view value{};  // as sent, or when `decoded`, the string of the same index
        bool decoded = false;
    };
    void refuse(int status, const char* reason, std::string detail);

    Kind kind_ = Kind::refused;
    RouteId id_ = 0;
    size_t count_ = 0;
    std::array<Parameter, maxParameters> parameters_{};
    std::array<std::string, maxParameters> decoded_{};
    std::string headers_{};
    std::optional<Refusal> refusal_{};
};

class Router {
public:
    Router();
    ~Router();
    Router(Router&&) noexcept;
    Router& operator=(Router&&) noexcept;

    // `method` is "GET" and so on, or "*" for every method, OPTIONS too; GET serves HEAD as well.
    // Throws std::invalid_argument for a pattern that makes no sense or is there already.
    void add(std::string_view method, std::string_view pattern, RouteId id);

    void match(const Request& request, RouteMatch& result) const;

private:
    struct Node;
    const Node* find(const Node& node, std::string_view path, RouteMatch& result,
                     bool& broken) const;

    std::unique_ptr<Node> root_;
};

}  // namespace cf::http
