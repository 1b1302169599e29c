// A handler's exception as lines of its function's log.
#pragma once

#include <simdjson.h>

#include <string>

namespace cf::app {

// "Type: message (file:line)" and the stack below it, each line with its end; 8 KB at most. `document`: the error document of
// an answer (docs/worker-protocol.md), whose parts may be missing or of other kinds: a hostile worker wrote it.
std::string errorLines(simdjson::dom::element document);

}  // namespace cf::app
