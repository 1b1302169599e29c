#include "operator.hpp"

#include <simdjson.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace go_executor {

using cloudfunction::jsonString;

namespace {

constexpr size_t netrcLimit = 24u << 10;  // what a probe finds may have 64 KB
constexpr size_t valueLimit = 4096;

// Known to every program instead of to Go alone.
constexpr const char* common[] = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
                                  "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"};

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::string() : value;
}

std::string readNetrc() {
    std::string path = variable("NETRC");
    if (path.empty() && !variable("HOME").empty()) path = variable("HOME") + "/.netrc";
    std::error_code error;
    if (!std::filesystem::is_regular_file(path, error)) return {};
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    return text.size() <= netrcLimit && text.find('\0') == std::string::npos ? text : std::string();
}

// A sandbox has these of its own.
bool isEverywhere(std::string_view path) {
    for (const std::string_view known : {"/usr/", "/lib/", "/bin/", "/etc/ssl/certs", "/etc/pki/tls/certs"})
        if (path.substr(0, known.size()) == known) return true;
    return false;
}

}  // namespace

const std::vector<std::string>& goSettings() {
    static const std::vector<std::string> names = {"GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB",
                                                   "GOINSECURE", "GOAUTH", "GOVCS"};
    return names;
}

std::string OperatorSettings::toJson() const {
    std::string text = "{\"environment\":{";
    for (const auto& [name, value] : environment) {
        if (text.back() != '{') text += ',';
        text += jsonString(name) + ":" + jsonString(value);
    }
    return text + "},\"netrc\":" + jsonString(netrc) + "}";
}

OperatorSettings OperatorSettings::fromJson(std::string_view document) {
    OperatorSettings settings;
    simdjson::dom::parser parser;
    simdjson::dom::element root, own;
    if (document.empty() || parser.parse(simdjson::padded_string(document)).get(root) != simdjson::SUCCESS ||
        root["operator"].get(own) != simdjson::SUCCESS)
        return settings;
    simdjson::dom::object environment;
    std::string_view text;
    if (own["environment"].get(environment) == simdjson::SUCCESS)
        for (const auto field : environment)
            if (field.value.get(text) == simdjson::SUCCESS) settings.environment.emplace_back(field.key, text);
    if (own["netrc"].get(text) == simdjson::SUCCESS) settings.netrc = text;
    return settings;
}

void OperatorSettings::mount(const cloudfunction::Job& job) const {
    const auto show = [&](std::string_view path) {
        if (path.size() > 1 && path[0] == '/' && !isEverywhere(path)) job.mount(path, path, CF_MOUNT_READ_ONLY | CF_MOUNT_OPTIONAL);
    };
    for (const auto& [name, value] : environment) {
        const std::string_view separators = name == "GOPROXY" ? ",|" : ":";
        const std::string_view start = name == "GOPROXY" ? "file://" : "";
        if (name != "GOPROXY" && name != "SSL_CERT_FILE" && name != "SSL_CERT_DIR") continue;
        std::string_view rest = value;
        while (!rest.empty()) {
            const size_t end = std::min(rest.find_first_of(separators), rest.size());
            const std::string_view part = rest.substr(0, end);
            if (part.substr(0, start.size()) == start) show(part.substr(start.size()));
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
}

OperatorSettings readOperatorSettings(std::string_view goEnv) {
    OperatorSettings settings;
    simdjson::dom::parser parser;
    simdjson::dom::object object;
    if (!goEnv.empty() && parser.parse(simdjson::padded_string(goEnv)).get(object) == simdjson::SUCCESS)
        for (const std::string& name : goSettings()) {
            std::string_view value;
            if (object[name].get(value) == simdjson::SUCCESS && !value.empty() && value.size() <= valueLimit)
                settings.environment.emplace_back(name, value);
        }
    for (const char* name : common)
        if (std::string value = variable(name); !value.empty() && value.size() <= valueLimit)
            settings.environment.emplace_back(name, std::move(value));
    settings.netrc = readNetrc();
    return settings;
}

}  // namespace go_executor
