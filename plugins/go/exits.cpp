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

// So often one function is among the last frames of an overflown stack.
constexpr size_t deepRecursion = 8;

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

// ` (main.go, line 3)`: the first place of a traceback in the function's own package; empty when there is none. What lies in
// its folders looks like any other package.
std::string placeIn(std::string_view text) {
    bool own = false;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = text.substr(at, end - at);
        at = end + 1;
        if (own && line.substr(0, 1) == "\t") {
            const size_t colon = line.rfind(".go:");
            if (colon == std::string_view::npos) continue;
            const size_t slash = line.rfind('/', colon), begin = slash == std::string_view::npos ? 1 : slash + 1;
            const std::string_view number = line.substr(colon + 4);
            return " (" + std::string(line.substr(begin, colon + 3 - begin)) + ", line " +
                   std::string(number.substr(0, number.find_first_not_of("0123456789"))) + ")";
        }
        own = line.substr(0, 5) == "main." && !contains(line, "main.cloudfunction__") && line.substr(0, 10) != "main.main(";
    }
    return {};
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
    const std::string_view text = exit.lastErrors;
    const std::string fatal = lineWith(text, "fatal error: "), panic = lineWith(text, "panic: ");
    // Go's runtime says why it gives up, prints a traceback and exits with 2; the host may have killed what was left of
    // the worker by then. A traceback alone is proof too: only the end of a long one is known here.
    const bool gaveUp = contains(text, " +0x") && (exit.exitCode == 2 || contains(text, "goroutine "));
    if (gaveUp && !fatal.empty()) {
        message = "Go's runtime ended the program: " + fatal + placeIn(text);
        hint = fatalHint(fatal);
    } else if (gaveUp && !panic.empty()) {
        message = "a panic outside of the handler ended the program: " + panic + placeIn(text);
        hint = "A panic in a goroutine of your own, or in init, ends the whole program: recover inside the goroutine.";
    } else if (gaveUp && mostRepeatedFrame(text) >= deepRecursion) {
        message = "the program ended deep in a recursion, most likely by a stack overflow";
        hint = fatalHint("stack overflow");
    } else if (gaveUp) {
        message = "a panic or a fatal error outside of the handler ended the program";
        hint = "The function's log has the traceback, with the reason at its beginning.";
    } else if (exit.signal == 0 && exit.exitCode >= 0) {
        message = "the function ended its own program with exit code " + std::to_string(exit.exitCode);
        hint = "os.Exit and log.Fatal end the worker, and with it what else it runs: return an error instead.";
    } else {
        return false;
    }
    return true;
}

}  // namespace go_executor
