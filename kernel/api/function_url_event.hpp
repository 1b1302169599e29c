// The two translations of a function URL: request to event, result to response. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/failure.hpp"
#include "http/exchange.hpp"

namespace cf::api {

// The event as JSON text.
std::string urlEvent(const http::Request& request, std::string_view rest);

struct UrlResponse {
    int status = 200;
    std::string headers{};  // whole lines, Content-Type among them
    std::string body{};
};

// Whose the headers of CORS (Access-Control-*) are: those of the platform, once the function's settings say who may call it from
// other pages, or the function's own.
enum class CorsBy { function, platform };

// What a function's result means as a response. Headers that the platform sends itself are left out. Failure invalid_response: an
// impossible status, a header name or value that HTTP does not allow, several values of a header that has one, a body that is
// neither text nor base64.
base::Result<UrlResponse> urlResponse(std::string_view result, CorsBy cors = CorsBy::function);

}  // namespace cf::api
