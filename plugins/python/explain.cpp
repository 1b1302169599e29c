#include "explain.hpp"

#include <signal.h>

namespace cf::python {

namespace {

// ` in main.py, line 3`: the innermost frame of the function's own code in what faulthandler wrote,
// or nothing.
std::string placeIn(std::string_view errors) {
    constexpr std::string_view opening = "File \"/function/";
    const auto begin = errors.find(opening);
    if (begin == std::string_view::npos) return {};
    const auto name = begin + opening.size();
    const auto quote = errors.find('"', name);
    constexpr std::string_view line = "\", line ";
    if (quote == std::string_view::npos || errors.substr(quote, line.size()) != line) return {};
    const auto number = quote + line.size();
    auto end = number;
    while (end < errors.size() && errors[end] >= '0' && errors[end] <= '9') ++end;
    return " in " + std::string{errors.substr(name, quote - name)} + ", line " +
           std::string{errors.substr(number, end - number)};
}

const char* nameOf(int signal) {
    switch (signal) {
        case SIGSEGV:
            return "segmentation fault";
        case SIGBUS:
            return "bus error";
        case SIGILL:
            return "illegal instruction";
        case SIGFPE:
            return "arithmetic error";
        case SIGABRT:
            return "abort";
        default:
            return nullptr;
    }
}

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace

bool explainExit(const cloudfunction::Exit& end, std::string& message, std::string& hint) {
    const auto errors = end.lastErrors;
    if (has(errors, "init_fs_encoding") || has(errors, "No module named 'encodings'") ||
        has(errors, "error while loading shared libraries")) {
        message = "the Python interpreter cannot start in the sandbox";
        hint =
            "its own files are not all where it looks for them; set executor.python.path to "
            "another interpreter";
        return true;
    }
    if (has(errors, "stack overflow")) {
        message = "the function overflowed the stack" + placeIn(errors);
        hint =
            "it calls itself too deeply; a raised recursion limit does not make the stack larger";
        return true;
    }
    if (const char* name = nameOf(end.signal)) {
        message = std::string{"the interpreter crashed ("} + name + ")" + placeIn(errors);
        hint = end.signal == SIGABRT
                   ? "os.abort() or native code ended the process"
                   : "native code (ctypes, an extension module) or very deep recursion is at fault";
        return true;
    }
    if (end.signal == 0 && end.exitCode >= 0) {
        message =
            "the function ended its own process with exit code " + std::to_string(end.exitCode);
        hint = "return from the handler or raise an exception instead of calling os._exit()";
        return true;
    }
    return false;
}

}  // namespace cf::python
