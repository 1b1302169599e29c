// What can be said about a handler and its files without an interpreter. Pure; used by validate().
#pragma once

#include <cloudfunction/executor.hpp>

namespace cf::python {

// Remarks on the handler's form, on the file it names and on the environment. The rule is that of
// the worker's loading.py: `function` is looked for in main.py or in the only file,
// `module.function` in module.py or module/__init__.py, where module may have dots for folders.
cloudfunction::Remarks checkFunction(const cloudfunction::FunctionInfo& function);

}  // namespace cf::python
