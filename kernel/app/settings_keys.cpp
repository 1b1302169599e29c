#include "app/settings_keys.hpp"

#include <Poco/Net/IPAddress.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "base/destination.hpp"

namespace cf::app {

namespace {

template <typename Number>
std::optional<Number> parse(const std::string& text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

template <typename Number, typename Member>
Key number(std::string name, Member Settings::*member, Number standard, uint64_t low, uint64_t high) {
    return {std::move(name), std::to_string(standard), std::to_string(low) + "-" + std::to_string(high),
            [=](Settings& settings, const std::string& text) {
                const auto value = parse<uint64_t>(text);
                if (!value || *value < low || *value > high) return false;
                settings.*member = static_cast<Member>(*value);
                return true;
            }};
}

template <typename Duration>
Key seconds(std::string name, Duration Settings::*member, std::string standard, double low, double high, std::string range) {
    return {std::move(name), std::move(standard), range + " seconds", [=](Settings& settings, const std::string& text) {
                const auto value = parse<double>(text);
                if (!value || !std::isfinite(*value) || *value < low || *value > high) return false;
                settings.*member = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*value));
                return true;
            }};
}

Key flag(std::string name, bool Settings::*member, bool standard) {
    return {std::move(name), standard ? "true" : "false", "true, false", [=](Settings& settings, const std::string& text) {
                if (text != "true" && text != "false") return false;
                settings.*member = text == "true";
                return true;
            }};
}

Key word(std::string name, std::string Settings::*member, std::string standard, std::vector<std::string> words) {
    std::string range;
    for (const auto& w : words) range += (range.empty() ? "" : ", ") + w;
    return {std::move(name), std::move(standard), range, [=](Settings& settings, const std::string& text) {
                if (std::find(words.begin(), words.end(), text) == words.end()) return false;
                settings.*member = text;
                return true;
            }};
}

std::vector<std::string> splitList(const std::string& text) {
    std::vector<std::string> items;
    std::string item;
    for (const char c : text + ",") {
        if (c != ',') {
            if (c != ' ' && c != '\t') item += c;
        } else if (!item.empty()) {
            items.push_back(std::move(item));
            item.clear();
        }
    }
    return items;
}

bool isAddress(const std::string& text) {
    Poco::Net::IPAddress address;
    return text == "localhost" || Poco::Net::IPAddress::tryParse(text, address);
}

// Files of secrets often end in a new line, which no header can hold.
std::string withoutOuterBlanks(const std::string& text) {
    constexpr std::string_view blanks = " \t\r\n";
    const size_t first = text.find_first_not_of(blanks);
    return first == std::string::npos ? std::string{} : text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool holdsControls(const std::string& text) {
    return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

Key list(std::string name, std::vector<std::string> Settings::*member, std::string standard, std::string range) {
    return {std::move(name), std::move(standard), std::move(range), [=](Settings& settings, const std::string& text) {
                settings.*member = splitList(text);
                return true;
            }};
}

Key path(std::string name, std::string Settings::*member, std::string standard, bool mayBeEmpty) {
    return {std::move(name), std::move(standard), "a folder", [=](Settings& settings, const std::string& text) {
                if (text.empty()) return settings.*member = text, mayBeEmpty;
                settings.*member = std::filesystem::absolute(text).lexically_normal().string();
                if (settings.*member != "/" && (settings.*member).back() == '/') (settings.*member).pop_back();
                return true;
            }};
}

bool areDestinations(const std::vector<std::string>& items) {
    std::string why;
    return items.size() <= 256 && std::all_of(items.begin(), items.end(), [&](const auto& item) { return base::parseDestination(item, why).has_value(); });
}

Key destinations(std::string name, std::vector<std::string> Settings::*member) {
    return {std::move(name), "", "at most 256 of host[:port], address[/prefix][:port], separated by commas", [=](Settings& settings, const std::string& text) {
                settings.*member = splitList(text);
                return areDestinations(settings.*member);
            }};
}

// "2, go:50": a number for every runtime, then those that have another one.
bool readPrewarmed(Settings& settings, const std::string& text) {
    constexpr uint32_t most = 1000;
    const auto items = splitList(text);
    settings.prewarmedOf.clear();
    for (size_t i = 0; i < items.size(); ++i) {
        const size_t colon = items[i].find(':');
        const auto count = parse<uint32_t>(i == 0 ? items[i] : items[i].substr(colon + 1));
        if (!count || *count > most) return false;
        if (i == 0) settings.prewarmed = *count;
        else if (colon == 0 || colon == std::string::npos || !settings.prewarmedOf.emplace(items[i].substr(0, colon), *count).second) return false;
    }
    return !items.empty();
}

}  // namespace

const std::vector<Key>& keys() {
    static const std::vector<Key> table = [] {
        std::vector<Key> k;
        k.push_back({"server.address", "127.0.0.1", "IP addresses or localhost, separated by commas", [](Settings& settings, const std::string& text) {
                         settings.addresses = splitList(text);
                         return !settings.addresses.empty() && std::all_of(settings.addresses.begin(), settings.addresses.end(), isAddress);
                     }});
        k.push_back(number("server.port", &Settings::port, 8080, 0, 65'535));
        k.push_back(list("server.allowed_hosts", &Settings::allowedHosts, "", "host names, separated by commas"));
        k.push_back(list("server.function_hosts", &Settings::functionHosts, "", "host names, separated by commas"));
        k.push_back({"server.loops", "auto", "auto, or 1-64", [](Settings& settings, const std::string& text) {
                         settings.loops = parse<uint32_t>(text).value_or(0);
                         return text == "auto" || (settings.loops >= 1 && settings.loops <= 64);
                     }});
        k.push_back(number("server.max_connections", &Settings::maxConnections, 10'200, 16, 1'000'000));
        k.push_back(number("server.max_connections_per_address", &Settings::maxConnectionsPerAddress, 1'024, 4, 1'000'000));
        k.push_back(number("server.max_followers", &Settings::maxFollowers, 256, 1, 100'000));
        k.push_back(number("server.max_body_bytes", &Settings::maxBodyBytes, 6'291'456, 1024, 16'777'216));
        k.push_back(seconds("server.header_timeout", &Settings::headerTimeout, "10", 1, 600, "1-600"));
        k.push_back(seconds("server.idle_timeout", &Settings::idleTimeout, "60", 1, 86'400, "1-86400"));
        k.push_back(word("auth.mode", &Settings::authMode, "auto", {"auto", "token", "none"}));
        k.push_back({"auth.token", "", "empty, or 16 characters and more without control characters", [](Settings& settings, const std::string& text) {
                         settings.authToken = withoutOuterBlanks(text);
                         return text.empty() || (settings.authToken.size() >= 16 && !holdsControls(settings.authToken));
                     }});
        k.push_back(path("data.dir", &Settings::dataDir, "./functions", false));
        k.push_back(path("executors.dir", &Settings::executorsDir, "", true));
        k.push_back(seconds("executors.probe_timeout", &Settings::probeTimeout, "30", 1, 600, "1-600"));
        k.push_back(seconds("invoke.timeout", &Settings::timeout, "30", 0.1, 900, "0.1-900"));
        k.push_back(number("invoke.max_response_bytes", &Settings::maxResponseBytes, 6'291'456, 1024, 16'000'000));
        k.push_back({"invoke.on_disconnect", "finish", "finish, cancel", [](Settings& settings, const std::string& text) {
                         settings.cancelOnDisconnect = text == "cancel";
                         return text == "cancel" || text == "finish";
                     }});
        k.push_back(number("function.max_code_bytes", &Settings::maxCodeBytes, 10'485'760, 1024, 104'857'600));
        k.push_back(number("function.max_archive_bytes", &Settings::maxArchiveBytes, 52'428'800, 1024, 209'715'200));
        k.push_back(number("function.max_unpacked_bytes", &Settings::maxUnpackedBytes, 100'000'000, 1024, 1'000'000'000));
        k.push_back(number("function.max_files", &Settings::maxFiles, 20'000, 1, 200'000));
        k.push_back(number("control.threads", &Settings::controlThreads, 4, 1, 64));
        k.push_back(number("queue.size", &Settings::queueSize, 1000, 0, 1'000'000));
        k.push_back(seconds("queue.timeout", &Settings::queueTimeout, "30", 0.1, 900, "0.1-900"));
        k.push_back(number("workers.max", &Settings::maxWorkers, 256, 1, 100'000));
        k.push_back({"workers.memory_budget", "auto", "auto, or 0-16777216 MB", [](Settings& settings, const std::string& text) {
                         settings.workerMemoryMb = parse<uint64_t>(text);
                         return text == "auto" || (settings.workerMemoryMb && *settings.workerMemoryMb <= 16'777'216);
                     }});
        k.push_back({"workers.prewarmed", "2", "0-1000, then runtimes with another number, as in 2, go:50", readPrewarmed});
        k.push_back(seconds("workers.keep_alive", &Settings::keepAlive, "600", 1, 86'400, "1-86400"));
        k.push_back(number("build.parallel", &Settings::buildParallel, 4, 1, 64));
        k.push_back(seconds("build.timeout", &Settings::buildTimeout, "120", 1, 3600, "1-3600"));
        k.push_back(number("build.memory_mb", &Settings::buildMemoryMb, 2048, 64, 1'048'576));
        k.push_back(number("build.disk_mb", &Settings::buildDiskMb, 2048, 16, 1'048'576));
        k.push_back(seconds("build.lock_age", &Settings::buildLockAge, "86400", 0, 31'536'000, "0-31536000"));
        k.push_back(seconds("build.cache_age", &Settings::buildCacheAge, "86400", 0, 31'536'000, "0-31536000"));
        k.push_back(number("build.cache_bytes", &Settings::buildCacheBytes, 5'368'709'120, 0, 1'099'511'627'776));
        k.push_back({"build.network", "outbound", "none, outbound, host, or destinations (host[:port], address[/prefix][:port]), separated by commas",
                     [](Settings& settings, const std::string& text) {
                         auto& network = settings.buildNetwork;
                         network = {};
                         if (text == "none") return true;
                         network.mode = text == "host" ? sandbox::Network::host : sandbox::Network::outbound;
                         if (text != "host" && text != "outbound") network.allow = splitList(text);
                         return text == "host" || text == "outbound" || (!network.allow.empty() && areDestinations(network.allow));
                     }});
        k.push_back(flag("sandbox.strict", &Settings::strict, false));
        k.push_back(number("sandbox.uid_base", &Settings::uidBase, 700'000, 1000, 2'000'000'000));
        k.push_back(number("sandbox.uid_count", &Settings::uidCount, 4096, 16, 65'536));
        k.push_back(number("sandbox.processes", &Settings::processes, 64, 8, 100'000));
        k.push_back(number("sandbox.cpus", &Settings::cpus, 0, 0, 4096));
        k.push_back(number("sandbox.idle_cpu", &Settings::idleCpu, 20, 0, 100));
        k.push_back(number("sandbox.tmp_bytes", &Settings::tmpBytes, 67'108'864, 4096, 1'099'511'627'776));
        k.push_back({"sandbox.network.range", "", "empty, or an IPv4 range of private addresses such as 10.99.0.0/20, /16 to /24", [](Settings& settings, const std::string& text) {
                         settings.networkRange = text;
                         std::string why;
                         const auto range = text.empty() ? base::Destination{.prefix = 16} : base::parseDestination(text, why).value_or(base::Destination{});
                         return range.name.empty() && range.port == 0 && range.prefix >= 16 && range.prefix <= 24;
                     }});
        k.push_back(destinations("sandbox.network.allow", &Settings::networkAllow));
        k.push_back(destinations("sandbox.network.deny", &Settings::networkDeny));
        k.push_back({"sandbox.network.flows", "auto", "auto, or 1024-16777216", [](Settings& settings, const std::string& text) {
                         settings.networkFlows = parse<uint32_t>(text);
                         return text == "auto" || (settings.networkFlows && *settings.networkFlows >= 1024 && *settings.networkFlows <= 16'777'216);
                     }});
        k.push_back(word("sandbox.network.unprivileged", &Settings::networkUnprivileged, "none", {"none", "host"}));
        k.push_back(flag("records.enabled", &Settings::records, true));
        k.push_back(number("records.days", &Settings::recordDays, 30, 1, 3650));
        k.push_back(number("records.max_bytes", &Settings::recordBytes, 1'073'741'824, 1'048'576, 1'099'511'627'776));
        k.push_back(number("logs.max_bytes", &Settings::logBytes, 10'485'760, 4096, 1'099'511'627'776));
        k.push_back(number("logs.files", &Settings::logFiles, 5, 1, 1000));
        k.push_back(number("logs.days", &Settings::logDays, 14, 1, 3650));
        k.push_back(word("log.level", &Settings::logLevel, "info", {"debug", "info", "warning", "error"}));
        return k;
    }();
    return table;
}

}  // namespace cf::app
