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
            return "floating-point exception";
        case SIGABRT:
            return "aborted";
        default:
            return nullptr;
    }
}

// The crash that faulthandler wrote down: the host may have killed the worker before it was quite
// dead, and then knows only its own signal.
int signalIn(std::string_view errors) {
    constexpr std::string_view opening = "Fatal Python error: ";
    const auto begin = errors.rfind(opening);
    if (begin == std::string_view::npos) return 0;
    const auto rest = errors.substr(begin + opening.size());
    if (rest.starts_with("Segmentation fault")) return SIGSEGV;
    if (rest.starts_with("Bus error")) return SIGBUS;
    if (rest.starts_with("Illegal instruction")) return SIGILL;
    if (rest.starts_with("Floating")) return SIGFPE;
    return rest.starts_with("Aborted") ? SIGABRT : 0;
}

// The text behind `Fatal Python error: name: `, with which Python gives up.
std::string fatalErrorIn(std::string_view errors) {
    constexpr std::string_view opening = "Fatal Python error: ";
    const auto begin = errors.find(opening);
    if (begin == std::string_view::npos) return "it gave no reason";
    auto rest = errors.substr(begin + opening.size());
    rest = rest.substr(0, rest.find('\n'));
    if (const auto colon = rest.find(": "); colon != std::string_view::npos)
        rest.remove_prefix(colon + 2);
    return std::string{rest};
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
    // What Python refuses before it begins is a variable of the function's: no other may say how it
    // begins.
    if (has(errors, "Python runtime state: preinitialized") ||
        has(errors, "Python runtime state: core initialized")) {
        message = "Python did not start: " + fatalErrorIn(errors);
        hint = "see the variables in the function's environment";
        return true;
    }
    if (has(errors, "OSError(9, 'Bad file descriptor')") && has(errors, "lost sys.stderr")) {
        message = "the worker lost its connection to the platform: file descriptor 3 was closed";
        hint =
            "leave descriptor 3 open; os.close, os.closerange and what makes daemons may close it";
        return true;
    }
    if (has(errors, "stack overflow")) {
        message = "the function overflowed the stack" + placeIn(errors);
        hint =
            "it calls itself too deeply; a raised recursion limit does not make the stack larger";
        return true;
    }
    const int written = signalIn(errors);
    const int signal = written != 0 ? written : end.signal;
    if (const char* name = nameOf(signal)) {
        message = std::string{"the interpreter crashed ("} + name + ")" + placeIn(errors);
        hint = signal == SIGABRT
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
