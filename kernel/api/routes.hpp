// Which resource answers which path and method: the one table of the HTTP interface.
#pragma once

#include <string>
#include <string_view>

#include "api/resource.hpp"

namespace cf::api {

using ResourceFunction = Response (*)(const Call&);

// One path of the interface with what answers each method; null: method not allowed.
struct Route {
    std::string_view pattern;  // segments; "{id}" and "{item}" stand for any one segment
    ResourceFunction get = nullptr;
    ResourceFunction post = nullptr;
    ResourceFunction put = nullptr;
    ResourceFunction patch = nullptr;
    ResourceFunction remove = nullptr;  // DELETE

    // HEAD is answered as GET. Null for a method that is not allowed.
    ResourceFunction find(std::string_view method) const;
    // Value of the Allow header.
    std::string allow() const;
};

struct RouteMatch {
    const Route* route = nullptr;  // null: there is no such path
    std::string id{};
    std::string item{};
};

// `path` as sent. Variable segments are decoded; a segment that cannot be decoded matches nothing.
RouteMatch matchRoute(std::string_view path);

}  // namespace cf::api
