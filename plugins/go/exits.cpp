#include "exits.hpp"

#include <algorithm>
#include <map>

namespace go_executor {

namespace {

// The rest of the line that begins with `start`; empty when there is none.
std::string lineWith(std::string_view text, std::string_view start) {
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        if (line.substr(0, start.size()) == start) return std::string(line.substr(start.size()));
        at = end + 1;
    }
    return {};
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// How often the function that a traceback names most often is in it. A frame is a line "package.function(arguments)" and a
// line with its place, which begins with a tab.
size_t mostRepeatedFrame(std::string_view text) {
    std::map<std::string_view, size_t> counts;
    size_t most = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        const size_t open = line.rfind('(');
        if (!line.empty() && line[0] != '\t' && open != std::string_view::npos)
            most = std::max(most, ++counts[line.substr(0, open)]);
        at = end + 1;
    }
    return most;
}

std::string fatalHint(const std::string& what) {
    if (what == "stack overflow") return "A function calls itself without end, or too deep for the memory limit.";
    if (contains(what, "out of memory") || contains(what, "cannot allocate memory"))
        return "Raise the function's memory limit, or hold less at once.";
    if (contains(what, "concurrent map"))
        return "Two goroutines use one map at once: guard it with a sync.Mutex, or use sync.Map.";
    if (contains(what, "deadlock")) return "Every goroutine waits for another one: look at channels and locks.";
    if (contains(what, "unlock of unlocked")) return "A mutex was unlocked that nobody held.";
    return "This kind of error ends a Go program at once; no recover can catch it.";
}

}  // namespace

bool explainExit(const cloudfunction::Exit& exit, std::string& message, std::string& hint) {
    if (const std::string fatal = lineWith(exit.lastErrors, "fatal error: "); !fatal.empty()) {
        message = "Go's runtime ended the program: " + fatal;
        hint = fatalHint(fatal);
        return true;
    }
    if (const std::string panic = lineWith(exit.lastErrors, "panic: "); !panic.empty() && exit.exitCode == 2) {
        message = "a panic outside of the handler ended the program: " + panic;
        hint = "A panic in a goroutine of your own, or in init, ends the whole program: recover inside the goroutine.";
        return true;
    }
    if (exit.exitCode == 2 && contains(exit.lastErrors, " +0x")) {
        // Only the end of a long traceback is known here.
        if (mostRepeatedFrame(exit.lastErrors) >= 20) {
            message = "the program ended deep in a recursion, most likely by a stack overflow";
            hint = fatalHint("stack overflow");
        } else {
            message = "a panic or a fatal error outside of the handler ended the program";
            hint = "The function's log has the traceback, with the reason at its beginning.";
        }
        return true;
    }
    if (exit.signal != 0) return false;
    if (exit.exitCode >= 0) {
        message = "the function ended its own program with exit code " + std::to_string(exit.exitCode);
        hint = "os.Exit and log.Fatal end the worker, and with it what else it runs: return an error instead.";
        return true;
    }
    return false;
}

}  // namespace go_executor
