// What functions give back to their URL: nothing of it may reach the framing of the answer.
#include "api/function_url_event.hpp"
#include "fuzz.hpp"
#include "http/field.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf;
    using fuzz::require;
    const auto response = api::urlResponse(fuzz::textOf(data, size));
    if (!response) {
        require(!response.failure().detail.empty(), "a refusal says why");
        return 0;
    }
    require(response->status >= 200 && response->status <= 599, "the status is one of an answer");
    for (std::string_view left = response->headers; !left.empty();) {
        const size_t end = left.find("\r\n");
        require(end != std::string_view::npos && end > 0, "headers are whole lines");
        const auto field = http::splitField(left.substr(0, end));
        require(field.error == nullptr, "of a name and a value");
        require(field.name != "content-length" && field.name != "Content-Length" &&
                    field.name != "Transfer-Encoding",
                "that say nothing of the framing");
        left.remove_prefix(end + 2);
    }
    return 0;
}
