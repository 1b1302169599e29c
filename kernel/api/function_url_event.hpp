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

// Whether a browser takes the page of a function for one of the platform's: function URLs and the platform share host and port, or
// function URLs have hosts of their own.
enum class Origin { shared, own };

// What a function's result means as a response. Headers that the platform sends itself are left out. Failure invalid_response: an
// impossible status, a header name or value that HTTP does not allow, several values of a header that has one, a body that is
// neither text nor base64.
// In a shared origin a page of the function's runs in an origin of nobody's (Content-Security-Policy: sandbox), so that it can
// neither ask the API for anything nor stand in for the platform's page, and headers that speak for the whole origin are left out.
base::Result<UrlResponse> urlResponse(std::string_view result, CorsBy cors = CorsBy::function, Origin origin = Origin::shared);

}  // namespace cf::api
