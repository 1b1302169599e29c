// Text of strangers made safe for one line of a log.
#pragma once

#include <string>
#include <string_view>

namespace cf::base {

// Copy of `text` in which control characters (tabs excepted) are \xNN and bytes that are not UTF-8
// are U+FFFD, so that a line stays one line and moves no terminal's cursor. The two-byte controls
// U+0080 to U+009F are replaced too.
std::string printable(std::string_view text);

}  // namespace cf::base
