// POST /api/v1/functions/{id}/invoke: body in, envelope out. The event and the result are never re-serialised.
#pragma once

#include <memory>
#include <string_view>

#include "api/http_invocation.hpp"
#include "base/json.hpp"

namespace cf::api {

// Loop thread only; one per loop.
class InvokeResource {
public:
    explicit InvokeResource(InvokeDependencies dependencies) : dependencies_(std::move(dependencies)) {}
    void handle(std::shared_ptr<http::Exchange> exchange, std::string_view idOrName);

private:
    InvokeDependencies dependencies_;
    base::JsonValidator validator_;
};

}  // namespace cf::api
