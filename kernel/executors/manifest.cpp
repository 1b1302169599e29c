#include "executors/manifest.hpp"

#include <unordered_set>

#include "base/json.hpp"

namespace cf::executors {

namespace {

using simdjson::dom::element;
using simdjson::dom::object;

base::Failure wrong(std::string what) {
    return {.reason = "invalid_manifest",
            .detail = "its manifest is not valid: " + std::move(what)};
}

// Reads fields of one object; the first thing that is wrong sticks in `error`.
class Fields {
public:
    Fields(object from, std::string where, std::string& error)
        : from_(from), where_(std::move(where)), error_(error) {}

    std::string text(const char* key, bool required, size_t limit = 256) {
        element value;
        if (from_.at_key(key).get(value) != simdjson::SUCCESS) {
            if (required) fail(std::string(key) + " is missing");
            return {};
        }
        std::string_view view;
        if (value.get(view) != simdjson::SUCCESS)
            fail(std::string(key) + " is not a string");
        else if (view.size() > limit)
            fail(std::string(key) + " is longer than " + std::to_string(limit) + " bytes");
        else if (required && view.empty())
            fail(std::string(key) + " is empty");
        else
            return std::string(view);
        return {};
    }

    std::optional<uint64_t> number(const char* key) {
        element value;
        if (from_.at_key(key).get(value) != simdjson::SUCCESS) return std::nullopt;
        uint64_t number = 0;
        if (value.get(number) == simdjson::SUCCESS) return number;
        fail(std::string(key) + " is not a whole number");
        return std::nullopt;
    }

    std::vector<std::string> texts(const char* key) {
        std::vector<std::string> out;
        for (const element item : array(key)) {
            std::string_view view;
            if (item.get(view) != simdjson::SUCCESS || view.empty() || view.size() > 64)
                fail(std::string(key) + " holds something that is not a text of 1 to 64 bytes");
            else
                out.emplace_back(view);
        }
        return out;
    }

    // The objects in the array `key`.
    std::vector<object> objects(const char* key) {
        std::vector<object> out;
        for (const element item : array(key)) {
            object one;
            if (item.get(one) != simdjson::SUCCESS)
                fail(std::string(key) + " holds something that is not an object");
            else
                out.push_back(one);
        }
        return out;
    }

    std::optional<object> inner(const char* key) {
        element value;
        if (from_.at_key(key).get(value) != simdjson::SUCCESS) return std::nullopt;
        object one;
        if (value.get(one) == simdjson::SUCCESS) return one;
        fail(std::string(key) + " is not an object");
        return std::nullopt;
    }

    void fail(const std::string& what) {
        if (error_.empty()) error_ = where_.empty() ? what : "in " + where_ + " " + what;
    }

private:
    std::vector<element> array(const char* key) {
        element value;
        if (from_.at_key(key).get(value) != simdjson::SUCCESS) return {};
        simdjson::dom::array items;
        if (value.get(items) != simdjson::SUCCESS) {
            fail(std::string(key) + " is not an array");
            return {};
        }
        if (items.size() > 100) fail(std::string(key) + " holds more than 100 items");
        std::vector<element> out;
        for (const element item : items) out.push_back(item);
        return out;
    }

    object from_;
    std::string where_;
    std::string& error_;
};

Runtime readRuntime(object from, std::string& error) {
    Runtime runtime;
    runtime.name = Fields(from, "a runtime", error).text("name", true);
    Fields fields(from, "runtime \"" + runtime.name + "\"", error);
    if (!isId(runtime.name, true))
        fields.fail("the name is not [a-z][a-z0-9_-]* of at most 64 characters");
    runtime.displayName = fields.text("display_name", false);
    if (runtime.displayName.empty()) runtime.displayName = runtime.name;
    runtime.sourceFile = fields.text("source_file", true);
    if (!isSourceName(runtime.sourceFile)) fields.fail("source_file is not a plain relative path");
    runtime.fileExtensions = fields.texts("file_extensions");
    runtime.editorMode = fields.text("editor_mode", false);
    runtime.defaultHandler = fields.text("default_handler", true);
    for (const object item : fields.objects("aliases")) {
        Fields alias(item, "an alias of \"" + runtime.name + "\"", error);
        Alias read{alias.text("name", true), alias.text("source_file", false)};
        if (!isId(read.name, true))
            alias.fail("the name is not [a-z][a-z0-9_-]* of at most 64 characters");
        if (read.sourceFile.empty()) read.sourceFile = runtime.sourceFile;
        if (!isSourceName(read.sourceFile)) alias.fail("source_file is not a plain relative path");
        runtime.aliases.push_back(std::move(read));
    }
    for (const object item : fields.objects("templates")) {
        Fields one(item, "a template of \"" + runtime.name + "\"", error);
        Template read{one.text("name", true), one.text("title", false), one.text("handler", false),
                      one.text("code", true, manifestLimit), one.text("runtime", false)};
        if (read.title.empty()) read.title = read.name;
        if (read.handler.empty()) read.handler = runtime.defaultHandler;
        if (read.runtime.empty()) read.runtime = runtime.name;
        runtime.templates.push_back(std::move(read));
    }
    return runtime;
}

Property readProperty(object from, std::string& error) {
    Property property;
    property.name = Fields(from, "a property", error).text("name", true, 64);
    Fields fields(from, "property \"" + property.name + "\"", error);
    property.values = fields.texts("values");
    const auto low = fields.number("minimum"), high = fields.number("maximum");
    if (low.has_value() != high.has_value() || (low && (*low > *high || !property.values.empty())))
        fields.fail(
            "minimum and maximum do not stand together, from low to high and without values");
    else if (low)
        property.range = {*low, *high};
    return property;
}

}  // namespace

const Runtime* Manifest::find(std::string_view name) const {
    for (const Runtime& runtime : runtimes) {
        if (runtime.name == name) return &runtime;
        for (const Alias& alias : runtime.aliases)
            if (alias.name == name) return &runtime;
    }
    return nullptr;
}

base::Result<Manifest> parseManifest(std::string_view json) {
    if (json.size() > manifestLimit)
        return wrong("it is longer than " + std::to_string(manifestLimit >> 10) + " KB");
    auto document = base::JsonDocument::parse(json);
    if (!document) {
        std::string what = document.failure().detail;
        for (const auto& field : document.failure().fields) what += " (" + field.pointer + ")";
        return wrong(std::move(what));
    }
    object root;
    if (document->root().get(root) != simdjson::SUCCESS) return wrong("it is not a JSON object");

    std::string error;
    Manifest manifest;
    Fields fields(root, "", error);
    manifest.displayName = fields.text("display_name", true);
    manifest.startEnvironment = fields.texts("start_environment");
    if (const auto limits = fields.inner("default_limits")) {
        if (const auto memory = Fields(*limits, "default_limits", error).number("memory_mb")) {
            if (*memory < 1 || *memory > 1u << 20)
                fields.fail("default_limits.memory_mb is not between 1 and 1048576");
            else
                manifest.defaultMemoryMb = static_cast<uint32_t>(*memory);
        }
    }
    if (root.at_key("properties").error() == simdjson::SUCCESS) {
        manifest.properties.emplace();
        for (const object item : fields.objects("properties"))
            manifest.properties->push_back(readProperty(item, error));
    }
    for (const object item : fields.objects("runtimes"))
        manifest.runtimes.push_back(readRuntime(item, error));
    if (manifest.runtimes.empty()) fields.fail("it names no runtime");

    std::unordered_set<std::string_view> names;
    for (const Runtime& runtime : manifest.runtimes) {
        if (!names.insert(runtime.name).second)
            fields.fail("the runtime name \"" + runtime.name + "\" appears twice");
        for (const Alias& alias : runtime.aliases)
            if (!names.insert(alias.name).second)
                fields.fail("the runtime name \"" + alias.name + "\" appears twice");
    }
    if (!error.empty()) return wrong(std::move(error));
    return manifest;
}

bool isId(std::string_view text, bool dashes) {
    if (text.empty() || text.size() > 64 || text[0] < 'a' || text[0] > 'z') return false;
    for (const char c : text)
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || (dashes && c == '-')))
            return false;
    return true;
}

bool isSourceName(std::string_view path) {
    if (path.empty() || path.size() > 255) return false;
    for (size_t at = 0; at <= path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        const std::string_view part = path.substr(at, end - at);
        if (part.empty() || part == "." || part == "..") return false;
        for (const char c : part)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\') return false;
        at = end + 1;
    }
    return true;
}

}  // namespace cf::executors
