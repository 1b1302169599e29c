// Where a text stops being JSON, for people who wrote it by hand: simdjson says that it does, and
// not where.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace node_executor {

struct JsonMistake {
    uint32_t line = 1, column = 1;
    std::string words;  // "a comma with nothing behind it"
};

// Nothing: no mistake of form was found. What stands in strings and numbers is not looked at
// closely.
std::optional<JsonMistake> findJsonMistake(std::string_view text);

}  // namespace node_executor
