// The one executable: the platform itself, and the small processes it starts from its own file.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <string_view>
#include <vector>

#include "app/serve.hpp"
#include "app/settings.hpp"
#include "app/unpack.hpp"
#include "executors/probe.hpp"

namespace {

int usage(std::FILE* out) {
    std::fputs(
        "usage: cloudfunction serve [--config FILE]     runs the platform in the foreground\n"
        "       cloudfunction config [--config FILE]    prints the configuration in effect\n"
        "       cloudfunction config --keys             prints every property, its default and range\n"
        "       cloudfunction --version\n",
        out);
    return out == stdout ? 0 : 2;
}

int unknown(const std::string& argument) {
    std::fprintf(stderr, "cloudfunction: unknown argument \"%s\"\n", argument.c_str());
    return usage(stderr);
}

int showConfiguration(const std::string& file) {
    const auto result = cf::app::readSettings(file);
    for (const auto& error : result.errors) std::fprintf(stderr, "cloudfunction: %s\n", error.c_str());
    for (const auto& [key, value] : result.effective) std::printf("%s = %s\n", key.c_str(), value.c_str());
    return result.errors.empty() ? 0 : 2;
}

}  // namespace

int main(int argc, char** argv) {
    // Before anything else: a SIGTERM during the start must not kill without clean-up. app/stop_signals.hpp waits for these.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    const std::vector<std::string> arguments(argv + 1, argv + argc);
    const std::string command = arguments.empty() ? "" : arguments[0];
    if (command != "serve") {
        sigprocmask(SIG_UNBLOCK, &signals, nullptr);
        std::signal(SIGPIPE, SIG_DFL);
    }
    if (command == "probe-executor") cf::executors::probeMain({arguments.begin() + 1, arguments.end()});
    if (command == "unpack") return cf::app::unpackMain({arguments.begin() + 1, arguments.end()});
    if (command == "--version") return std::printf("cloudfunction %s\n", cf::app::platformVersion), 0;
    if (command == "--help" || command == "-h") return usage(stdout);
    if (command != "serve" && command != "config") return command.empty() ? usage(stderr) : unknown(command);

    for (const auto& argument : arguments)
        if (argument == "--help" || argument == "-h") return usage(stdout);
    std::string file;
    for (size_t i = 1; i < arguments.size(); ++i) {
        if (command == "config" && arguments[i] == "--keys") return std::fputs(cf::app::describeKeys().c_str(), stdout), 0;
        if (arguments[i] == "--config" && i + 1 < arguments.size()) file = arguments[++i];
        else return unknown(arguments[i]);
    }
    try {
        return command == "config" ? showConfiguration(file) : cf::app::serve(file, signals);
    } catch (const std::exception& exception) {
        std::fprintf(stderr, "cloudfunction: %s\n", exception.what());
        return 1;
    }
}
