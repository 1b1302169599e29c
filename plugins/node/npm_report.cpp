#include "npm_report.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "lock.hpp"

namespace node_executor {

namespace {

using Lines = std::vector<std::string_view>;

// The lines behind "npm ERR! " (until npm 9) or "npm error " (since).
Lines errorLines(std::string_view text) {
    Lines lines;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        for (const std::string_view mark : {"npm ERR!", "npm error"}) {
            if (!line.starts_with(mark)) continue;
            line.remove_prefix(mark.size());
            if (line.starts_with(' ')) line.remove_prefix(1);
            lines.push_back(line);
            break;
        }
    }
    return lines;
}

std::string_view valueOf(const Lines& lines, std::string_view key) {
    for (const auto line : lines)
        if (line.starts_with(key)) return line.substr(key.size());
    return {};
}

std::string_view lineWith(const Lines& lines, std::string_view text) {
    for (const auto line : lines)
        if (line.find(text) != std::string_view::npos) return line;
    return {};
}

std::string_view between(std::string_view text, std::string_view before, std::string_view after) {
    const size_t begin = text.find(before);
    if (begin == std::string_view::npos) return {};
    text.remove_prefix(begin + before.size());
    return text.substr(0, text.find_first_of(after));
}

// "name@range", "@scope/name@range" or "name" to its name.
std::string nameOf(std::string_view specifier) {
    return std::string(specifier.substr(0, specifier.find('@', 1)));
}

bool isOneOf(std::string_view code, std::initializer_list<std::string_view> codes) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// Codes of the libraries that npm has used for HTTP, for time that passed without an answer.
bool isSilence(std::string_view code) {
    return isOneOf(code, {"ETIMEDOUT", "ESOCKETTIMEDOUT", "ERR_SOCKET_TIMEOUT", "EIDLETIMEOUT",
                          "ECONNECTIONTIMEOUT", "ERESPONSETIMEOUT", "ETRANSFERTIMEOUT"});
}

bool isUnreachable(std::string_view code) {
    return isOneOf(code, {"ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ENETUNREACH",
                          "EHOSTUNREACH", "FETCH_ERROR", "EPIPE", "EACCES_NETWORK",
                          "UND_ERR_CONNECT_TIMEOUT", "ENONET"}) ||
           isSilence(code);
}

// The host that npm asked in vain, behind a space; nothing when it does not say.
std::string hostOf(const Lines& lines) {
    for (const std::string_view before :
         {"network timeout at: ", "request to ", "trying to fetch "}) {
        const std::string_view address =
            between(lineWith(lines, std::string(before) + "http"), before, " ,");
        const size_t scheme = address.find("://");
        if (scheme == std::string_view::npos) continue;
        std::string_view host = address.substr(scheme + 3);
        host = host.substr(0, host.find_first_of("/?#"));
        return " " + std::string(host.substr(host.rfind('@') + 1));
    }
    return {};
}

bool isCertificate(std::string_view code) {
    return code.starts_with("CERT_") || code.starts_with("UNABLE_TO_") ||
           code.starts_with("ERR_TLS") || code.ends_with("_IN_CHAIN") ||
           code.starts_with("DEPTH_ZERO_SELF");
}

// The first few lines that say something, for problems without words of our own.
std::string said(const Lines& lines) {
    std::string text;
    for (const auto line : lines) {
        if (line.empty() || line.starts_with("code ") || line.starts_with("errno ") ||
            line.starts_with("syscall ") || line.starts_with("path ") ||
            line.starts_with("Fix the upstream") || line.starts_with("this command with") ||
            line.starts_with("to accept an incorrect") ||
            line.starts_with("While resolving: undefined") ||
            line.starts_with("ERESOLVE unable to resolve") || line.starts_with("node_modules/") ||
            line.find("complete log of this run") != std::string_view::npos ||
            line.find("og files were not written") != std::string_view::npos)
            continue;
        if (text.size() > 600) break;
        text += (text.empty() ? "" : "; ") + std::string(line);
    }
    return text.empty() ? "npm did not say why" : text;
}

// The last lines that a script wrote to a stream of npm, without npm's own.
std::string lastWords(std::string_view stream) {
    std::string words;
    while (!stream.empty() && words.size() < 500) {
        const size_t begin = stream.rfind('\n');
        std::string_view line = begin == std::string_view::npos ? stream : stream.substr(begin + 1);
        stream = stream.substr(0, begin == std::string_view::npos ? 0 : begin);
        if (line.find_first_not_of(" \t\r") == std::string_view::npos || line.starts_with("> ") ||
            line.starts_with("npm ") || line.starts_with("    at ") ||
            line.starts_with("Node.js v"))
            continue;
        // node-gyp tells its own life at length; one line of it says what was wrong.
        if (line.starts_with("gyp ") || line.starts_with("node-pre-gyp ")) {
            constexpr std::string_view fault = "ERR! stack Error: ";
            const size_t at = line.find(fault);
            if (at == line.npos || line.find("Failed to execute") != line.npos) continue;
            line = line.substr(at + fault.size());
        }
        words = std::string(line.substr(0, 200)) + (words.empty() ? "" : "; ") + words;
    }
    return words;
}

void outOfStep(const Lines& lines, NpmProblem& problem) {
    std::string what;
    for (const auto line : lines) {
        const bool missing = line.starts_with("Missing: ");
        if (!missing && !line.starts_with("Invalid: ")) continue;
        if (problem.package.empty()) {
            problem.package = missing ? nameOf(between(line, "Missing: ", " "))
                                      : nameOf(line.substr(line.rfind(' ') + 1));
        }
        if (what.size() < 500) what += (what.empty() ? "" : "; ") + std::string(line);
    }
    problem.message = "the lock file does not belong to package.json" +
                      (what.empty() ? std::string() : ": " + what);
    problem.hint =
        "run npm install where the project lies and send both files, or leave the lock "
        "file out: the platform makes one and keeps it";
}

}  // namespace

NpmProblem readNpmProblem(std::string_view errors, std::string_view lock) {
    const Lines lines = errorLines(errors);
    NpmProblem problem;
    problem.code = valueOf(lines, "code ");
    const std::string& code = problem.code;
    problem.users = true;
    if (code == "E404") {
        std::string_view asked = between(lineWith(lines, "not in this registry"), "'", "'");
        if (asked.empty()) asked = between(lineWith(lines, "could not be found"), "'", "'");
        problem.package = nameOf(asked);
        problem.message =
            asked.empty() ? "the registry does not have a package that is asked for: " + said(lines)
                          : "there is no package " + problem.package + " in the registry";
        problem.hint =
            "see whether the name is written as its documentation has it; private "
            "packages need the operator's registry and token in ~/.npmrc";
    } else if (code == "ETARGET" || code == "ENOVERSIONS") {
        const std::string_view asked = between(lineWith(lines, "No matching version found for "),
                                               "No matching version found for ", " \n");
        problem.package = nameOf(asked.ends_with('.') ? asked.substr(0, asked.size() - 1) : asked);
        const std::string range = problem.package.size() + 1 < asked.size()
                                      ? std::string(asked.substr(problem.package.size() + 1))
                                      : std::string();
        problem.message =
            problem.package.empty()
                ? said(lines)
                : "no version of " + problem.package + " is " +
                      (range.ends_with('.') ? range.substr(0, range.size() - 1) : range);
        problem.hint = "ask for a version that was published, e.g. \"*\" for the newest";
    } else if (code == "EINTEGRITY") {
        std::string_view wanted = between(lineWith(lines, "wanted "), "wanted ", " ");
        problem.package = Lock::nameOf(lock, wanted);
        problem.message = (problem.package.empty() ? "a package" : problem.package) +
                          std::string(" is not what the lock file says: its checksum differs") +
                          (wanted.empty() ? std::string() : ", expected " + std::string(wanted));
        problem.hint =
            "the registry gave other bytes than those that were locked: look whether "
            "somebody changed the package or the lock, before making a new one";
    } else if (code == "EUSAGE" || code == "ELOCKVERIFY") {
        outOfStep(lines, problem);
    } else if (code == "ERESOLVE") {
        const std::string_view peer = lineWith(lines, "peer ");
        problem.package = nameOf(between(peer, "peer ", " "));
        problem.message = "packages ask for versions that exclude each other: " + said(lines);
        problem.hint =
            "choose versions that fit together, or say which one counts with "
            "\"overrides\" in package.json";
    } else if (code == "EINVALIDTAGNAME" || code == "EINVALIDPACKAGENAME" ||
               code == "EUNSUPPORTEDPROTOCOL") {
        problem.message = said(lines);
        problem.hint = "see the names and versions in package.json";
    } else if (code == "EBADPLATFORM" || code == "EBADENGINE" || code == "ENOTSUP") {
        std::string_view words = lineWith(lines, "Unsupported ");
        if (words.starts_with("notsup ")) words.remove_prefix(7);
        problem.package = nameOf(between(lineWith(lines, "for "), "for ", ": "));
        problem.message = "a package does not work on this machine: " +
                          (words.empty() ? said(lines) : std::string(words));
        problem.hint =
            "choose a version that supports it, or a package written in the language "
            "itself";
    } else if (lineWith(lines, "/bin/false").size() > 0 ||
               lineWith(lines, "no program is started").size() > 0 ||
               lineWith(lines, "git ls-remote").size() > 0) {
        problem.message =
            "a package asks for another one in a git repository, which builds do not "
            "fetch: " +
            said(lines);
        problem.hint = "choose a version whose own dependencies are in the registry";
    } else {
        problem.users = false;
        if (isUnreachable(code)) {
            problem.unreachable = true;
            const bool silent = isSilence(code) || !lineWith(lines, "network timeout").empty();
            problem.message = "the package registry" + hostOf(lines) +
                              (silent ? " does not answer (" : " cannot be reached (") + code + ")";
            problem.hint =
                "see whether the property build.network lets builds reach it, and whether this "
                "machine has a way out; a proxy stands in HTTPS_PROXY or ~/.npmrc. How long is "
                "waited for an answer is executor.node.registry_timeout. Packages can "
                "also lie under files as node_modules/";
        } else if (isCertificate(code)) {
            problem.unreachable = true;
            problem.message = "the registry's certificate is not trusted (" + code + ")";
            problem.hint =
                "name the authority's file in NODE_EXTRA_CA_CERTS, or as cafile in "
                "~/.npmrc, and restart the platform";
        } else if (isOneOf(code, {"E401", "E403", "ENEEDAUTH", "EOTP"})) {
            problem.message = "the registry refused (" + code + "): " + said(lines);
            problem.hint = "the operator's ~/.npmrc needs a token for this registry";
        } else if (code == "ENOSPC" || code == "EDQUOT" || code == "EFBIG") {
            problem.message = "the packages need more disk than a build may use";
            problem.hint = "raise build.disk_mb, or ask for fewer packages";
        } else {
            problem.message =
                "npm failed" + (code.empty() ? "" : " (" + code + ")") + ": " + said(lines);
        }
    }
    return problem;
}

NpmProblem readScriptProblem(std::string_view errors, std::string_view output, bool hadNetwork) {
    const Lines lines = errorLines(errors);
    NpmProblem problem;
    problem.code = valueOf(lines, "code ");
    problem.users = true;
    const std::string_view path = valueOf(lines, "path ");
    constexpr std::string_view folder = "node_modules/";
    if (const size_t at = path.rfind(folder); at != std::string_view::npos)
        problem.package = path.substr(at + folder.size());

    const std::string all = std::string(errors) + "\n" + std::string(output);
    const auto says = [&](std::string_view text) { return all.find(text) != std::string::npos; };
    const std::string who = problem.package.empty() ? "a package's install script"
                                                    : problem.package + "'s install script";
    problem.message = who + " failed";
    if (const std::string_view command = valueOf(lines, "command "); command.starts_with("sh -c "))
        problem.message += " (" + std::string(command.substr(6, 120)) + ")";

    std::string last = lastWords(errors);
    if (last.empty()) last = lastWords(output);
    if (!last.empty()) problem.message += ": " + last;

    if (says("not found: make") || says("gyp ERR! stack Error: Could not find any Python") ||
        says("gyp ERR! find Python") || says("make: g++: ") || says("g++: not found") ||
        says("make: cc: ")) {
        problem.hint = (problem.package.empty() ? "it" : problem.package) +
                       std::string(
                           " is compiled from C++, and this machine has no compiler: apt "
                           "install build-essential python3; or choose a package without "
                           "native code");
    } else if (!hadNetwork &&
               (says("EAI_AGAIN") || says("ENOTFOUND") || says("ECONNREFUSED") ||
                says("ENETUNREACH") || says("Could not resolve host") || says("getaddrinfo"))) {
        problem.hint =
            "install scripts have no network: choose a package that brings its files "
            "along, or let the operator set executor.node.install_scripts_network=true";
    } else if (says("gyp ERR!")) {
        problem.hint =
            "it is compiled from C++ and that failed; the build log has the compiler's "
            "words";
    } else {
        problem.hint =
            "the build log has all that it printed; install scripts run without "
            "network, without the machine's files and as a user of their own";
    }
    return problem;
}

}  // namespace node_executor
