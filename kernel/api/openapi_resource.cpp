// /api/openapi.yaml: the reference of this interface. RFC 9512 names its media type.
#include "api/resource.hpp"

namespace cf::api {

Response readOpenapi(const Call& call) {
    return plain(call, "application/yaml", call.dependencies.openapi);
}

}  // namespace cf::api
