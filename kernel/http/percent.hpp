// Percent-decoding of one path segment (RFC 3986 section 2.1), strict.
#pragma once

#include <string>
#include <string_view>

namespace cf::http {

// Decodes `segment` into `out` (replaced). False for a broken escape, and for escapes of NUL and
// '/', which mean one thing to a router and another to whatever stands behind it. `out` need not be
// UTF-8.
bool percentDecode(std::string_view segment, std::string& out);

}  // namespace cf::http
