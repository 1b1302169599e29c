#include "app/settings.hpp"

#include <Poco/Exception.h>
#include <Poco/URI.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <system_error>

#include "app/properties_file.hpp"
#include "app/settings_keys.hpp"
#include "base/nearest.hpp"

namespace cf::app {

namespace {

constexpr std::string_view prefix = "CLOUDFUNCTION_";
constexpr std::string_view companionPrefix = "health.services.";
constexpr std::string_view ownName = "cloudfunction";
constexpr std::string_view executorPrefix = "executor.";
constexpr std::string_view placeholderToken = "replace-me-with-a-long-random-text";

// Variables that belong to the scripts and tests around the platform, not to its configuration.
bool isForeign(const std::string& name) {
    for (const char* other : {"BINARY", "SOURCE", "AGAINST", "AGAINST_TOKEN", "SHARED", "CONFIG"})
        if (name == other) return true;
    return name.rfind("TEST_", 0) == 0 || name.rfind("BENCH_", 0) == 0;
}

std::string variableOf(const std::string& key) {
    std::string out;
    for (const char c : key) out += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return out;
}

std::string keyOfVariable(const std::string& name) {
    if (name == "PORT") return "server.port";
    if (name == "WORKDIR") return "data.dir";
    if (name == "TIMEOUT") return "invoke.timeout";
    for (const Key& key : keys())
        if (variableOf(key.name) == name) return key.name;
    // CLOUDFUNCTION_EXECUTOR_<ID>_<KEY>: ids hold no underscore there, the rest of the key may.
    if (name.rfind("EXECUTOR_", 0) == 0) {
        std::string rest;
        for (const char c : name.substr(9)) rest += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        const size_t dot = rest.find('_');
        if (dot != std::string::npos && dot > 0) return "executor." + rest.substr(0, dot) + "." + rest.substr(dot + 1);
    }
    return {};
}

// The key that was probably meant.
std::string meantBy(const std::string& wrong) {
    std::vector<std::string_view> known;
    for (const Key& key : keys()) known.push_back(key.name);
    return std::string(base::nearest(wrong, known));
}

// What a companion is asked by: http, a host, and nothing that a request line cannot hold.
bool isCompanionUrl(const std::string& text) {
    if (std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; })) return false;
    try {
        const Poco::URI uri(text);
        return uri.getScheme() == "http" && !uri.getHost().empty() && uri.getPort() != 0 && uri.getUserInfo().empty();
    } catch (const Poco::Exception&) {
        return false;
    }
}

// What is wrong with a value that its key takes; empty when nothing is.
std::string faultOf(const Key& key, const Settings& settings) {
    if (key.name == "auth.token" && settings.authToken == placeholderToken)
        return "auth.token is the placeholder of deploy/k8s-manifests.yaml, which everybody knows; put a random text there, such as openssl rand -hex 32 makes";
    std::error_code error;
    if (key.name == "executors.dir" && !settings.executorsDir.empty() && !std::filesystem::is_directory(settings.executorsDir, error))
        return "executors.dir = \"" + settings.executorsDir + "\" is not accepted; " +
               (error && error != std::errc::no_such_file_or_directory ? "it cannot be looked at: " + error.message() : "there is no such folder");
    return {};
}

// Where a value stands. What stands in no line of the file, as in the environment, is named last.
struct Source {
    std::string words{};  // "cloudfunction.properties, line 3"
    size_t line = SIZE_MAX;
};

}  // namespace

std::string describeKeys() {
    std::string out;
    for (const Key& key : keys()) out += key.name + "\t" + (key.standard.empty() ? "\"\"" : key.standard) + "\t" + key.range + "\n";
    out += "health.services.<name>\t\"\"\tan http URL\n";
    out += "executor.<id>.<key>\t\"\"\ttext\n";
    return out;
}

SettingsResult readSettings(const std::string& file) {
    SettingsResult result;
    std::map<std::string, std::string> values;
    std::map<std::string, Source> sources;
    std::vector<std::pair<size_t, std::string>> errors;
    const auto refuse = [&](const Source& source, const std::string& sentence) {
        errors.emplace_back(source.line, (source.words.empty() ? "" : source.words + ": ") + sentence);
    };
    for (const Key& key : keys()) values[key.name] = key.standard;

    const auto accept = [&](const std::string& key, const std::string& value, const Source& source) {
        if (key.empty()) {
            refuse(source, "a line has nothing in front of its \"=\"");
            return;
        }
        const bool known = std::any_of(keys().begin(), keys().end(), [&](const Key& k) { return k.name == key; });
        const bool family = (key.rfind(companionPrefix, 0) == 0 && key.size() > companionPrefix.size()) ||
                            (key.rfind(executorPrefix, 0) == 0 && key.find('.', executorPrefix.size()) != std::string::npos);
        if (!known && !family) {
            const std::string meant = meantBy(key);
            refuse(source, "unknown property \"" + key + "\"" + (meant.empty() ? "" : "; did you mean \"" + meant + "\"?"));
            return;
        }
        values[key] = value;
        sources[key] = source;
    };

    if (!file.empty()) {
        std::map<std::string, size_t> lines;
        const auto properties = readProperties(file);
        if (!properties) refuse({}, properties.failure().detail);
        else for (const auto& [key, value, line] : *properties) {
            const auto [first, isFirst] = lines.emplace(key, line);
            const Source source{file + ", line " + std::to_string(line), line};
            if (isFirst || key.empty()) accept(key, value, source);
            else refuse(source, "\"" + key + "\" stands in line " + std::to_string(first->second) + " already");
        }
    }
    std::map<std::string, std::string> variables;  // key -> the one that sets it
    for (char** variable = environ; *variable != nullptr; ++variable) {
        const std::string text = *variable;
        if (text.rfind(prefix, 0) != 0) continue;
        const size_t equals = text.find('=');
        const std::string name = text.substr(prefix.size(), equals - prefix.size());
        if (equals == std::string::npos || isForeign(name)) continue;
        const std::string source = std::string(prefix) + name;
        const std::string key = keyOfVariable(name), value = text.substr(equals + 1);
        if (key.empty()) {
            refuse({}, "environment variable " + source + " names no property");
            continue;
        }
        // Which of two is meant nobody can tell; the order of the environment is no answer.
        const auto [other, isFirst] = variables.emplace(key, source);
        if (!isFirst && other->second != source && values[key] != value) {
            const auto [less, more] = std::minmax(other->second, source);
            refuse({}, less + " and " + more + " both set " + key + ", to different values; take one of them away");
        }
        accept(key, value, {source});
    }

    for (const Key& key : keys()) {
        if (!key.apply(result.settings, values[key.name]))
            refuse(sources[key.name], key.name + " = \"" + (key.name == "auth.token" ? "..." : values[key.name]) + "\" is not accepted; it takes " + key.range);
        else if (const std::string fault = faultOf(key, result.settings); !fault.empty())
            refuse(sources[key.name], fault);
        result.effective.emplace_back(key.name, key.name == "auth.token" && !values[key.name].empty() ? "(set)" : values[key.name]);
    }
    result.settings.prewarmedSource = sources["workers.prewarmed"].words;
    for (const auto& [key, value] : values) {
        if (key.rfind(companionPrefix, 0) == 0) {
            const std::string name = key.substr(companionPrefix.size());
            if (name == ownName) refuse(sources[key], key + " is not accepted; that is the platform's own name in /api/health");
            if (!isCompanionUrl(value)) refuse(sources[key], key + " = \"" + value + "\" is not accepted; it takes an http:// URL with a host, such as http://localhost:9000/health");
            result.settings.companions[name] = value;
            result.effective.emplace_back(key, value);
        } else if (key.rfind(executorPrefix, 0) == 0) {
            result.settings.executorProperties[key.substr(executorPrefix.size())] = value;
            result.settings.executorSources[key.substr(executorPrefix.size())] = sources[key].words;
            result.effective.emplace_back(key, value);
        }
    }
    std::stable_sort(errors.begin(), errors.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (auto& [line, sentence] : errors) result.errors.push_back(std::move(sentence));
    return result;
}

}  // namespace cf::app
