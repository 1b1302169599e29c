// Reading: JSON that a user sent, into a Patch. Every field is read on its own, so that all that is
// wrong is named.
#include <algorithm>

#include "base/destination.hpp"
#include "functions/field_reader.hpp"
#include "functions/file_names.hpp"
#include "functions/json_text.hpp"
#include "functions/registry.hpp"
#include "functions/sources.hpp"

namespace cf::functions {

namespace {

using simdjson::dom::element;

constexpr std::string_view readOnlyFields[] = {"id",         "project",    "version",
                                               "live",       "state",      "created_at",
                                               "updated_at", "created_by", "warnings"};

bool isLetter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
bool isDigit(char c) { return c >= '0' && c <= '9'; }

bool isFunctionName(std::string_view name) {
    const auto alnum = [](char c) { return isLetter(c) || isDigit(c); };
    return !name.empty() && name.size() <= 64 && alnum(name.front()) && alnum(name.back()) &&
           std::all_of(name.begin(), name.end(),
                       [&](char c) { return alnum(c) || c == '_' || c == '-'; });
}

bool isVariableName(std::string_view name) {
    return !name.empty() && !isDigit(name.front()) &&
           std::all_of(name.begin(), name.end(),
                       [](char c) { return isLetter(c) || isDigit(c) || c == '_'; });
}

class Reader : FieldReader {
public:
    explicit Reader(const Limits& limits) : limits_(limits) {}

    Patch read(simdjson::dom::object body) {
        for (const auto [key, value] : body) field(key, value);
        if (patch_.code.value && patch_.files.value)
            refuse("/files", "give either \"code\" (one file) or \"files\", not both");
        if (patch_.archive.value && (patch_.code.value || patch_.files.value))
            refuse("/archive",
                   "give one of \"code\" (one file), \"files\" and \"archive\", not two");
        return std::move(patch_);
    }

private:
    struct Known {
        std::string_view name;
        void (*read)(Reader& reader, element value);
    };

    void field(std::string_view key, element value) {
        static constexpr Known fields[] = {
            {"name", [](Reader& r, element v) { r.name(v); }},
            {"description",
             [](Reader& r, element v) {
                 r.text(r.patch_.description, "/description", v, r.limits_.descriptionBytes);
             }},
            {"runtime", [](Reader& r, element v) { r.text(r.patch_.runtime, "/runtime", v, 64); }},
            {"handler", [](Reader& r, element v) { r.handler(v); }},
            {"code",
             [](Reader& r, element v) { r.text(r.patch_.code, "/code", v, r.limits_.codeBytes); }},
            {"files", [](Reader& r, element v) { r.files(v); }},
            {"archive", [](Reader& r, element v) { r.archive(v); }},
            {"dependencies", [](Reader& r, element v) { r.dependencies(v); }},
            {"locks", [](Reader& r, element v) { r.locks(v); }},
            {"environment", [](Reader& r, element v) { r.environment(v); }},
            {"network", [](Reader& r, element v) { r.network(v); }},
            {"timeout",
             [](Reader& r, element v) {
                 r.seconds(r.patch_.timeout, "/timeout", v, r.limits_.minTimeout,
                           r.limits_.maxTimeout);
             }},
            {"init_timeout",
             [](Reader& r, element v) {
                 r.seconds(r.patch_.initTimeout, "/init_timeout", v, r.limits_.minTimeout,
                           r.limits_.maxTimeout);
             }},
            {"memory",
             [](Reader& r, element v) {
                 r.integer(r.patch_.memoryMb, "/memory", v, r.limits_.minMemoryMb,
                           r.limits_.maxMemoryMb, " MB");
             }},
            {"concurrency",
             [](Reader& r, element v) {
                 r.integer(r.patch_.concurrency, "/concurrency", v, 1, r.limits_.maxConcurrency);
             }},
            {"min_workers",
             [](Reader& r, element v) {
                 r.integer(r.patch_.minWorkers, "/min_workers", v, 0, r.limits_.maxMinWorkers);
             }},
            {"max_workers",
             [](Reader& r, element v) {
                 r.integer(r.patch_.maxWorkers, "/max_workers", v, 0, r.limits_.maxWorkers);
             }},
            {"keep_alive", [](Reader& r, element v) { r.keepAlive(v); }},
            {"http", [](Reader& r, element v) { r.http(v); }},
            {"labels", [](Reader& r, element v) { r.labels(v); }}};
        const auto found = std::ranges::find(fields, key, &Known::name);
        if (found != std::end(fields)) return found->read(*this, value);
        if (std::ranges::find(readOnlyFields, key) != std::end(readOnlyFields))
            return void(patch_.readOnly.emplace_back(key, simdjson::minify(value)));
        static const std::vector<std::string_view> names = [] {
            std::vector<std::string_view> all;
            for (const Known& known : fields) all.push_back(known.name);
            return all;
        }();
        unknownField("", key, names);
    }

    void name(element value) {
        text(patch_.name, "/name", value, 1024);
        if (!patch_.name.value) return;
        if (auto why = whyInvalidName(*patch_.name.value); !why.empty())
            refuse("/name", std::move(why));
    }

    // What a handler may be is its executor's matter; this keeps out what no language can mean.
    void handler(element value) {
        text(patch_.handler, "/handler", value, limits_.handlerBytes);
        const auto odd = [](char c) { return static_cast<unsigned char>(c) <= 0x20 || c == 0x7f; };
        if (patch_.handler.value && (std::ranges::any_of(*patch_.handler.value, odd) ||
                                     patch_.handler.value->find("..") != std::string::npos))
            refuse("/handler", "names a function in the code, without spaces and \"..\"");
    }

    void keepAlive(element value) {
        Field<uint32_t> whole;
        integer(whole, "/keep_alive", value, 1, static_cast<uint32_t>(limits_.maxKeepAlive.count()),
                " seconds");
        patch_.keepAlive.present = true;
        if (whole.value) patch_.keepAlive.value = std::chrono::seconds(*whole.value);
    }

    void files(element value) {
        if (!wants(patch_.files, "/files", value, value.is_object(),
                   "an object of file names and contents"))
            return;
        const auto object = simdjson::dom::object(value);
        if (object.size() > limits_.files)
            return tooMany("/files", object.size(), limits_.files, "files");
        std::vector<SourceFile> files;
        uint64_t bytes = 0;
        const uint64_t refusedBefore = refused();
        for (const auto [key, content] : object) {
            const std::string pointer =
                "/files/" + pointerToken(base::toValidUtf8(key.substr(0, 300)));
            if (const auto why = whyUnsafeFileName(key, limits_.pathBytes); !why.empty()) {
                refuse(pointer, why);
                continue;
            }
            if (auto read = fileContent(pointer, content)) {
                bytes += read->size();
                files.push_back({std::string(key), std::move(*read)});
            }
        }
        std::vector<FileName> names;
        for (const auto& file : files) names.push_back({file.name});
        for (const auto& clash : findNameClashes(names))
            refuse("/files/" + pointerToken(clash.name), clash.detail);
        if (const size_t all = files.size() + countFolders(names); all > limits_.files)
            tooMany("/files", all, limits_.files, "files and folders");
        if (bytes > limits_.codeBytes) tooLarge("/files", bytes, limits_.codeBytes);
        if (files.empty() && refused() == refusedBefore)
            refuse("/files", "must hold at least one file");
        std::sort(files.begin(), files.end(),
                  [](const auto& a, const auto& b) { return a.name < b.name; });
        patch_.files.value = std::move(files);
    }

    // Said before anything is made of the entries: a body may have millions.
    void tooMany(const char* pointer, uint64_t count, uint64_t most, const std::string& what) {
        refuse(pointer,
               "there are " + std::to_string(count) + " " + what + ", the limit is " +
                   std::to_string(most),
               std::to_string(most) + " " + what, std::to_string(count) + " " + what);
    }

    void archive(element value) {
        if (!wants(patch_.archive, "/archive", value, value.is_string(), "text in base64")) return;
        patch_.archive.value = decodeBase64(std::string_view(value));
        if (!patch_.archive.value)
            refuse("/archive", "is not valid base64 (RFC 4648, with padding)");
    }

    // Text, or {"base64":"..."} for what is no text.
    std::optional<std::string> fileContent(const std::string& pointer, element content) {
        if (content.is_string()) return std::string(std::string_view(content));
        std::string_view encoded;
        simdjson::dom::object object;
        if (content.get(object) || object.size() != 1 || object["base64"].get(encoded)) {
            refuse(pointer, "must be text, or {\"base64\": \"...\"} for a file that is no text");
            return std::nullopt;
        }
        auto bytes = decodeBase64(encoded);
        if (!bytes) refuse(pointer + "/base64", "is not valid base64 (RFC 4648, with padding)");
        return bytes;
    }

    void dependencies(element value) {
        if (!wants(patch_.dependencies, "/dependencies", value, value.is_array(),
                   "an array of texts"))
            return;
        std::vector<std::string> all;
        const auto array = simdjson::dom::array(value);
        if (array.size() > limits_.dependencies)
            return refuse("/dependencies",
                          "has " + std::to_string(array.size()) + " entries, the limit is " +
                              std::to_string(limits_.dependencies) +
                              "; longer lists go into a manifest among the files",
                          std::to_string(limits_.dependencies) + " entries",
                          std::to_string(array.size()) + " entries");
        for (const element item : array) {
            const std::string pointer = "/dependencies/" + std::to_string(all.size());
            const auto odd = [](char c) {
                return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
            };
            std::string_view text;
            if (item.get(text))
                refuse(pointer, std::string("must be text, not ") + kindOf(item));
            else if (text.empty() || text.size() > limits_.dependencyBytes)
                refuse(pointer, inQuotes(text) + " has " + std::to_string(text.size()) +
                                    " bytes; an entry has 1 to " +
                                    std::to_string(limits_.dependencyBytes));
            else if (std::ranges::any_of(text, odd))
                refuse(pointer, "must not hold control characters");
            else if (std::ranges::find(all, text) != all.end())
                refuse(pointer, inQuotes(text) + " is listed twice");
            all.emplace_back(text);
        }
        patch_.dependencies.value = std::move(all);
    }

    // What a build made: it can be sent back as it was read, or forgotten.
    void locks(element value) {
        if (!wants(patch_.locks, "/locks", value, value.is_object(),
                   "null, or an object of lock files"))
            return;
        const auto object = simdjson::dom::object(value);
        if (object.size() > limits_.locks)
            return tooMany("/locks", object.size(), limits_.locks, "locks");
        std::vector<std::pair<std::string, std::string>> locks;
        const uint64_t refusedBefore = refused();
        for (const auto [name, content] : object) {
            std::string_view text;
            if (content.get(text))
                refuse("/locks/" + pointerToken(base::toValidUtf8(name.substr(0, 80))),
                       std::string("must be text, not ") + kindOf(content));
            locks.emplace_back(name, text);
        }
        std::sort(locks.begin(), locks.end());
        if (refused() == refusedBefore) patch_.locks.value = std::move(locks);
    }

    void environment(element value) {
        if (!wants(patch_.environment, "/environment", value, value.is_object(),
                   "an object of names and values"))
            return;
        const auto object = simdjson::dom::object(value);
        // Each has a byte or more.
        if (object.size() > limits_.environmentBytes)
            return tooMany("/environment", object.size(), limits_.environmentBytes, "variables");
        Environment variables;
        uint64_t bytes = 0;
        for (const auto [key, content] : object) {
            const std::string pointer =
                "/environment/" + pointerToken(base::toValidUtf8(key.substr(0, 80)));
            if (!isVariableName(key))
                refuse(pointer,
                       "a variable's name has letters, digits and '_' and does not begin with a "
                       "digit");
            else if (key.starts_with("LD_"))
                refuse(pointer,
                       "variables that begin with LD_ change how programs are loaded and are not "
                       "allowed");
            if (content.is_object() && !simdjson::dom::object(content)["secret"].error()) {
                refuse(
                    pointer,
                    "secrets are not available in this version of the platform; a reference to one "
                    "cannot be kept");
                continue;
            }
            if (!content.is_string()) {
                refuse(pointer,
                       std::string("must be text, not ") + kindOf(content) +
                           (content.is_number() || content.is_bool() ? "; put it in quotes" : ""));
                continue;
            }
            const auto held = std::string_view(content);
            if (held.find('\0') != held.npos) refuse(pointer, "must not hold a NUL character");
            bytes += key.size() + held.size();
            variables.emplace_back(key, held);
        }
        if (bytes > limits_.environmentBytes)
            tooLarge("/environment", bytes, limits_.environmentBytes);
        patch_.environment.value = std::move(variables);
    }

    void network(element value) {
        if (!wants(patch_.network, "/network", value, value.is_object(), "an object")) return;
        NetworkRules rules{limits_.defaultNetwork, {}};
        for (const auto [key, content] : simdjson::dom::object(value)) {
            if (key == "mode") {
                std::string_view mode;
                if (content.get(mode) || (mode != "none" && mode != "outbound"))
                    refuse("/network/mode", "must be \"none\" or \"outbound\"");
                else
                    rules.mode = mode == "none" ? NetworkMode::none : NetworkMode::outbound;
            } else if (key == "allow") {
                destinations(content, rules.allow);
            } else {
                unknownField("/network", key, {"mode", "allow"});
            }
        }
        if (rules.mode == NetworkMode::none && !rules.allow.empty())
            refuse("/network/allow", "must be empty when the mode is \"none\"");
        patch_.network.value = std::move(rules);
    }

    void destinations(element value, std::vector<std::string>& out) {
        simdjson::dom::array list;
        if (value.is_null()) return;
        if (value.get(list))
            return refuse("/network/allow", std::string("must be an array, not ") + kindOf(value));
        if (list.size() > limits_.networkDestinations)
            return refuse("/network/allow", "has " + std::to_string(list.size()) +
                                                " entries; the limit is " +
                                                std::to_string(limits_.networkDestinations));
        size_t index = 0;
        for (const element item : list) {
            const std::string pointer = "/network/allow/" + std::to_string(index++);
            std::string_view text;
            std::string why;
            if (item.get(text))
                refuse(pointer, std::string("must be text, not ") + kindOf(item));
            else if (!base::parseDestination(text, why))
                refuse(pointer, (text.size() > 64 ? "" : "\"" + std::string(text) + "\" ") + why +
                                    "; an entry is a host, host:port, address or address/prefix");
            else
                out.emplace_back(text);
        }
    }

    void http(element value) {
        if (!wants(patch_.http, "/http", value, value.is_object(), "an object")) return;
        HttpSettings settings;
        for (const auto [key, content] : simdjson::dom::object(value)) {
            if (key == "enabled")
                flag("/http/enabled", content, settings.enabled);
            else if (key == "cors")
                settings.cors = cors(content);
            else
                unknownField("/http", key, {"enabled", "cors"});
        }
        patch_.http.value = std::move(settings);
    }

    std::optional<Cors> cors(element value) {
        if (value.is_null()) return std::nullopt;
        if (!value.is_object()) {
            refuse("/http/cors", std::string("must be an object, not ") + kindOf(value));
            return std::nullopt;
        }
        Cors cors;
        for (const auto [key, content] : simdjson::dom::object(value)) {
            const std::string pointer =
                "/http/cors/" + pointerToken(base::toValidUtf8(key.substr(0, 80)));
            if (key == "origins")
                texts(pointer, content, cors.origins);
            else if (key == "methods")
                texts(pointer, content, cors.methods);
            else if (key == "headers")
                texts(pointer, content, cors.headers);
            else if (key == "credentials")
                flag(pointer, content, cors.credentials);
            else if (key == "max_age") {
                Field<uint32_t> age;
                integer(age, pointer.c_str(), content, 0, 86'400, " seconds");
                cors.maxAgeSeconds = age.value.value_or(Cors{}.maxAgeSeconds);
            } else
                unknownField("/http/cors", key,
                             {"origins", "methods", "headers", "credentials", "max_age"});
        }
        const bool anyOrigin = cors.origins.empty() || std::ranges::count(cors.origins, "*") != 0;
        if (cors.credentials && anyOrigin)
            refuse("/http/cors/origins",
                   "with credentials every origin must be listed; browsers refuse \"*\"");
        return cors;
    }

    // Printable ASCII without spaces and commas: these go into response headers.
    void texts(const std::string& pointer, element value, std::vector<std::string>& out) {
        simdjson::dom::array array;
        if (value.is_null()) return;
        if (value.get(array))
            return refuse(pointer, std::string("must be an array of texts, not ") + kindOf(value));
        if (array.size() > limits_.corsEntries)
            return refuse(pointer,
                          "has more than " + std::to_string(limits_.corsEntries) + " entries");
        for (const element item : array) {
            std::string_view text;
            const auto plain = [](char c) { return c > 0x20 && c < 0x7f && c != ','; };
            if (item.get(text) || text.empty() || text.size() > 256 ||
                !std::all_of(text.begin(), text.end(), plain))
                return refuse(
                    pointer,
                    "every entry must be 1 to 256 printable characters without spaces or commas");
            out.emplace_back(text);
        }
    }

    void labels(element value) {
        if (!wants(patch_.labels, "/labels", value, value.is_object(), "an object of texts"))
            return;
        const auto object = simdjson::dom::object(value);
        if (object.size() > limits_.labels)
            return tooMany("/labels", object.size(), limits_.labels, "labels");
        std::map<std::string, std::string> labels;
        for (const auto [key, content] : object) {
            const std::string pointer =
                "/labels/" + pointerToken(base::toValidUtf8(key.substr(0, 80)));
            std::string_view text;
            if (key.empty() || key.size() > limits_.labelKeyBytes)
                refuse(pointer, "a label's name has 1 to " + std::to_string(limits_.labelKeyBytes) +
                                    " bytes");
            if (content.get(text))
                refuse(pointer, std::string("must be text, not ") + kindOf(content));
            else if (text.size() > limits_.labelValueBytes)
                refuse(pointer, "a label's value has at most " +
                                    std::to_string(limits_.labelValueBytes) + " bytes");
            labels.emplace(key, text);
        }
        patch_.labels.value = std::move(labels);
    }

    const Limits& limits_;
};

}  // namespace

std::string whyInvalidName(std::string_view name) {
    if (!isFunctionName(name))
        return "a name has 1 to 64 letters, digits, '-' and '_', and begins and ends with a letter "
               "or a digit; " +
               inQuotes(name) + " does not";
    if (nameKey(name).starts_with("fn_"))
        return "a name must not begin with \"fn_\", which marks ids";
    return {};
}

base::Result<Patch> readPatch(element body, const Limits& limits) {
    simdjson::dom::object object;
    if (body.get(object))
        return base::Failure{
            .reason = "invalid_function",
            .detail = std::string("a function is a JSON object, not ") + kindOf(body),
            .fields = {{"", "must be an object"}}};
    return Reader(limits).read(object);
}

}  // namespace cf::functions
