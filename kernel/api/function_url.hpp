// ANY /function/{name}/{path...}: a function as an HTTP endpoint of its own, buffered. The request becomes the event
// {"method","path","query","headers","body","is_base64"}; a result {"status_code","headers","body","is_base64"} is the
// response, any other JSON is a JSON body. Off unless the function's http.enabled says so.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/http_invocation.hpp"

namespace cf::api {

// Loop thread only; one per loop.
class FunctionUrl {
public:
    // `hosts`: those that serve functions and nothing else, as in http::GuardOptions; they outlive this.
    FunctionUrl(InvokeDependencies dependencies, const std::vector<std::string>& hosts) : dependencies_(std::move(dependencies)), hosts_(hosts) {}
    // `rest` is the path behind the name, as sent.
    void handle(std::shared_ptr<http::Exchange> exchange, std::string_view name, std::string_view rest);

private:
    InvokeDependencies dependencies_;
    const std::vector<std::string>& hosts_;
};

}  // namespace cf::api
