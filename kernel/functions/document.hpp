// The JSON shape of a function: reads what users send into a Patch and writes what they get back.
// Pure functions.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "functions/function.hpp"
#include "functions/limits.hpp"

namespace cf::functions {

// A field of a partial update: absent (stays as it is), null (goes back to its default) or a value.
template <typename T>
struct Field {
    bool present = false;
    std::optional<T> value{};
    bool isNull() const { return present && !value; }
};

struct Patch {
    Field<std::string> name{}, description{}, runtime{}, handler{}, code{};
    Field<std::vector<SourceFile>> files{};
    // A zip or tar file as it came; whoever reads a body makes `files` of it before it is saved.
    Field<std::string> archive{};
    Field<std::vector<std::string>> dependencies{};
    // Names and contents, sorted by name; null: forget them and resolve dependencies anew.
    Field<std::vector<std::pair<std::string, std::string>>> locks{};
    Field<Environment> environment{};
    Field<NetworkRules> network{};
    Field<std::chrono::milliseconds> timeout{}, initTimeout{};
    Field<uint32_t> memoryMb{}, concurrency{}, minWorkers{}, maxWorkers{};
    Field<std::chrono::seconds> keepAlive{};
    Field<HttpSettings> http{};
    Field<std::map<std::string, std::string>> labels{};
    // Fields that the platform sets itself, with their JSON as sent: accepted only when they say
    // what already is, so that a document that was read can be changed and sent back.
    std::vector<std::pair<std::string, std::string>> readOnly{};
    // What is wrong so far; the save is refused with all of it at once. Of a document the first
    // mostErrors, and how many more there are.
    std::vector<base::FieldError> errors{};
    uint64_t moreErrors = 0;
    std::string limit{}, observed{};  // of the first error that has one
};

constexpr size_t mostErrors = 100;

// Reads a body. Failure only when it is no object; everything else goes to Patch::errors.
base::Result<Patch> readPatch(simdjson::dom::element body, const Limits& limits);

// Why `name` cannot be a function's name, one sentence; empty when it can.
std::string whyInvalidName(std::string_view name);

// "ready", "building" or "failed".
const char* stateName(VersionState state);
// The whole document. `version` is the shown version; without its sources the document has no
// `code` and `files`.
std::string functionDocument(const FunctionEntry& entry, const Version& version);
// The same without `code` and `files`, for lists.
std::string functionSummary(const FunctionEntry& entry);
// A version: with `sources` set also `code` and `files`.
std::string versionDocument(const Version& version, bool live);
// A place in the sources and what is wrong there; of the place only what is known.
std::string remarkJson(const base::SourceRemark& remark);
// One of the fields a user cannot set, as JSON, to compare with Patch::readOnly.
std::string readOnlyField(const FunctionEntry& entry, std::string_view field);

}  // namespace cf::functions
