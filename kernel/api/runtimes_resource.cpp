// /api/v1/runtimes: what the executors' manifests say.
#include "api/resource.hpp"
#include "functions/json_text.hpp"

namespace cf::api {

Response listRuntimes(const Call& call) {
    const auto query = Query::read(call.request.query, {});
    if (!query) return failed(call, query.failure());
    const auto& document = call.dependencies.runtimesDocument;
    return json(call, 200,
                functions::JsonObject().raw("runtimes", document ? document() : "[]").done());
}

}  // namespace cf::api
