// /api/openapi.yaml: the reference of this interface. RFC 9512 names its media type.
#include "api/resource.hpp"

namespace cf::api {

Response readOpenapi(const Call& call) {
    if (auto query = Query::read(call.request.query, {}); !query)
        return failed(call, query.failure());
    return plain(call, "application/yaml", call.dependencies.openapi);
}

}  // namespace cf::api
