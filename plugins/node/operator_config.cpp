#include "operator_config.hpp"

#include <pwd.h>
#include <simdjson.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>

extern char** environ;

namespace node_executor {

namespace fs = std::filesystem;
using cloudfunction::jsonString;

namespace {

// More than this is no configuration, and the kernel takes no more of a probe in all.
constexpr size_t mostBytes = 20u << 10;

// Names and passwords count only with a host before them ("//host/:_authToken"), so that nobody but
// that host gets to see them, whatever registry a function names.
constexpr std::array<std::string_view, 17> connectionKeys = {"registry",
                                                             "proxy",
                                                             "https-proxy",
                                                             "http-proxy",
                                                             "noproxy",
                                                             "no-proxy",
                                                             "cafile",
                                                             "ca",
                                                             "strict-ssl",
                                                             "cert",
                                                             "key",
                                                             "user-agent",
                                                             "replace-registry-host",
                                                             "local-address",
                                                             "maxsockets",
                                                             "before",
                                                             "min-release-age"};

constexpr std::array<std::string_view, 4> resolutionKeys = {"legacy-peer-deps", "strict-peer-deps",
                                                            "engine-strict", "prefer-dedupe"};

constexpr std::array<std::string_view, 9> variables = {
    "HTTP_PROXY", "HTTPS_PROXY",   "NO_PROXY",     "http_proxy",         "https_proxy",
    "no_proxy",   "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"};

constexpr std::array<std::string_view, 6> fileKeys = {
    "cafile", ":certfile", ":keyfile", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"};

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t\r\"'");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\"'") - begin + 1);
}

std::string normal(std::string_view key) {
    std::string out(trimmed(key));
    if (out.ends_with("[]")) out.resize(out.size() - 2);
    if (out.starts_with("//") || out.starts_with("@")) return out;
    for (size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<char>(std::tolower(static_cast<unsigned char>(out[i])));
        if (i > 0 && out[i] == '_') out[i] = '-';
    }
    return out;
}

bool isRegistry(std::string_view key) {
    return key.starts_with("//") || (key.starts_with("@") && key.ends_with(":registry")) ||
           key == "registry";
}

bool isConnection(std::string_view key) {
    return isRegistry(key) ||
           std::find(connectionKeys.begin(), connectionKeys.end(), key) != connectionKeys.end();
}

template <typename Keep>
std::string linesOf(std::string_view text, Keep keep) {
    std::string out;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        const size_t equals = line.find('=');
        const size_t first = line.find_first_not_of(" \t");
        if (equals == std::string_view::npos || line[first] == '#' || line[first] == ';') continue;
        if (keep(normal(line.substr(0, equals)), line)) out += std::string(line) + "\n";
    }
    return out;
}

std::string contentOf(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::string content(mostBytes + 1, '\0');
    in.read(content.data(), static_cast<std::streamsize>(content.size()));
    content.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
    return content.size() > mostBytes ? std::string{} : content;
}

std::string homeFolder() {
    if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/') return home;
    const passwd* user = getpwuid(geteuid());
    return user != nullptr && user->pw_dir != nullptr ? user->pw_dir : "/";
}

// Configuration in the environment: npm_config_registry, NPM_CONFIG_//host/:_authToken, ...
std::string_view configKey(std::string_view variable) {
    constexpr std::string_view prefix = "npm_config_";
    if (variable.size() <= prefix.size()) return {};
    for (size_t i = 0; i < prefix.size(); ++i)
        if (std::tolower(static_cast<unsigned char>(variable[i])) != prefix[i]) return {};
    return variable.substr(prefix.size());
}

// Where npm looks for one of its files when the environment names it.
std::string named(std::string_view key) {
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view pair = *entry;
        const size_t equals = pair.find('=');
        if (normal(configKey(pair.substr(0, equals))) == key)
            return std::string(pair.substr(equals + 1));
    }
    return {};
}

void addFile(std::vector<std::string>& files, std::string_view key, std::string_view value) {
    if (!value.starts_with('/') ||
        std::none_of(fileKeys.begin(), fileKeys.end(),
                     [&](std::string_view known) { return key.ends_with(known); }))
        return;
    std::error_code missing;
    if (!fs::exists(value, missing)) return;
    if (std::find(files.begin(), files.end(), value) == files.end()) files.emplace_back(value);
}

}  // namespace

std::string expanded(std::string_view text, const std::string& home) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const size_t end = text.find('}', at);
        if (text[at] == '~' && text.substr(at).starts_with("~/") &&
            (out.empty() || out.back() == '=' || out.back() == ' ' || out.back() == '"')) {
            out += home;
            ++at;
        } else if (!text.substr(at).starts_with("${") || end == std::string_view::npos) {
            out += text[at++];
        } else {
            std::string name(text.substr(at + 2, end - at - 2));
            const bool mayBeUnset = name.ends_with('?');
            if (mayBeUnset) name.pop_back();
            const char* value = name == "HOME" ? home.c_str() : std::getenv(name.c_str());
            if (value != nullptr)
                out += value;
            else if (!mayBeUnset)
                out += text.substr(at, end - at + 1);
            at = end + 1;
        }
    }
    return out;
}

std::string connectionLines(std::string_view text) {
    return linesOf(text,
                   [](const std::string& key, std::string_view) { return isConnection(key); });
}

std::string userLines(std::string_view text) {
    return linesOf(text, [](const std::string& key, std::string_view line) {
        // Paths of the machine and variables of the operator's environment are not a function's,
        // and with a proxy or an authority of its choice it would read the operator's tokens.
        if (line.find("${") != std::string_view::npos || key.ends_with("file")) return false;
        return isRegistry(key) ||
               std::find(resolutionKeys.begin(), resolutionKeys.end(), key) != resolutionKeys.end();
    });
}

OperatorConfig collectOperatorConfig(const std::string& npm) {
    OperatorConfig config;
    const std::string home = homeFolder();
    const auto read = [&](const fs::path& file) {
        return connectionLines(expanded(contentOf(file), home));
    };
    const std::string userFile = named("userconfig");
    config.userConfig = read(userFile.empty() ? fs::path(home) / ".npmrc" : fs::path(userFile));

    // <prefix>/lib/node_modules/npm/bin/npm-cli.js; Debian's package reads /etc/npmrc instead.
    const std::string globalFile = named("globalconfig");
    if (!globalFile.empty()) {
        config.globalConfig = read(globalFile);
    } else if (npm.starts_with("/usr/share/")) {
        config.globalConfig = read("/etc/npmrc");
    } else {
        const fs::path modules = fs::path(npm).parent_path().parent_path().parent_path();
        config.globalConfig = read(modules.parent_path().parent_path() / "etc" / "npmrc");
    }

    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view pair = *entry;
        const size_t equals = pair.find('=');
        if (equals == std::string_view::npos || pair.size() > mostBytes) continue;
        const std::string_view name = pair.substr(0, equals), value = pair.substr(equals + 1);
        const std::string_view key = configKey(name);
        if (value.empty() ||
            (!isConnection(normal(key)) &&
             std::find(variables.begin(), variables.end(), name) == variables.end()))
            continue;
        config.environment.emplace_back(name, value);
        addFile(config.files, key.empty() ? name : std::string_view(normal(key)), value);
    }
    for (const std::string* text : {&config.globalConfig, &config.userConfig}) {
        linesOf(*text, [&](const std::string& key, std::string_view line) {
            addFile(config.files, key, trimmed(line.substr(line.find('=') + 1)));
            return false;
        });
    }
    return config;
}

std::string OperatorConfig::json() const {
    std::string pairs, paths;
    for (const auto& [name, value] : environment)
        pairs +=
            (pairs.empty() ? "" : ",") + ("[" + jsonString(name) + "," + jsonString(value)) + "]";
    for (const auto& file : files) paths += (paths.empty() ? "" : ",") + jsonString(file);
    return "{\"user\":" + jsonString(userConfig) + ",\"global\":" + jsonString(globalConfig) +
           ",\"environment\":[" + pairs + "],\"files\":[" + paths + "]}";
}

OperatorConfig OperatorConfig::fromJson(std::string_view json) {
    OperatorConfig config;
    simdjson::dom::parser parser;
    simdjson::dom::element root = parser.parse(json.data(), json.size());
    config.userConfig = std::string(std::string_view(root["user"]));
    config.globalConfig = std::string(std::string_view(root["global"]));
    for (const simdjson::dom::element pair : root["environment"].get_array())
        config.environment.emplace_back(std::string_view(pair.at(0)), std::string_view(pair.at(1)));
    for (const simdjson::dom::element file : root["files"].get_array())
        config.files.emplace_back(std::string_view(file));
    return config;
}

}  // namespace node_executor
