// The manifest: names, files, templates and the variables that Python reads at its start.
#pragma once

#include <string>
#include <string_view>

namespace cf::python {

// The manifest of docs/executor-abi.md as JSON.
std::string manifest();

// True for a variable that the interpreter, or the C library under it, reads before a prewarmed
// worker could be told. TZ and PYTHONPATH are none: the shim applies them late. OMP_NUM_THREADS is
// none: its library is loaded by the function.
bool isStartVariable(std::string_view name);

// True for those among them that decide how text is encoded; a function that sets one gets no `-X
// utf8`.
bool isEncodingVariable(std::string_view name);

}  // namespace cf::python
