// Which resource answers which method and path: the one table of the control plane's interface.
#pragma once

#include <span>
#include <string_view>

#include "api/control.hpp"
#include "api/resource.hpp"

namespace cf::api {

struct Route {
    std::string_view method;
    std::string_view pattern;  // of http::Router; its parameters are called id and item
    Response (*resource)(const Call&);
    // GET reads and everything else saves, but for what never waits: that is answered on the loop.
    Lane lane = method == "GET" ? Lane::read : Lane::save;
};

// A route's place in this list is its http::RouteId.
std::span<const Route> routes();

}  // namespace cf::api
