// Where a text stops being JSON, and what was expected there: simdjson says that it is none, not
// where. Looked for only when a text was refused already. Pure.
#pragma once

#include <string>
#include <string_view>

namespace cf::base {

// Whether all of `text` is a number (RFC 8259, section 6), of any size.
bool isJsonNumber(std::string_view text);

// "line 2, column 7: a value is expected", both counted from 1, columns in characters; empty when
// RFC 8259 has nothing against `text`. One pass; an escaped half of a surrogate pair is a fault
// where nothing else is one.
std::string findJsonFault(std::string_view text);

}  // namespace cf::base
