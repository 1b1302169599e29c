// Reads single fields of JSON that a user sent, and keeps what is wrong with them: what readPatch
// is made of.
#pragma once

#include <string_view>
#include <vector>

#include "functions/document.hpp"

namespace cf::functions {

// What a value is, for a message: "an array", "a number".
const char* kindOf(simdjson::dom::element value);

// The first 80 bytes of a user's text, for a message.
std::string inQuotes(std::string_view text);

// Every function that reads takes the field's JSON pointer (RFC 6901), names what is wrong under
// it, and leaves the field without a value then. Of one thread.
class FieldReader {
protected:
    using element = simdjson::dom::element;

    // Notes one error, of which the first `mostErrors` are kept. `limit` and `observed` are texts
    // with a unit.
    void refuse(std::string pointer, std::string detail, std::string limit = {},
                std::string observed = {});
    uint64_t refused() const { return patch_.errors.size() + patch_.moreErrors; }

    // `known`: the fields that `parent` has. Says which of them was meant, or which there are.
    void unknownField(const char* parent, std::string_view key,
                      const std::vector<std::string_view>& known);
    void tooLarge(const char* pointer, uint64_t bytes, uint64_t maxBytes);

    // Marks the field as present; true when a value of the wanted kind is to be read.
    template <typename T>
    bool wants(Field<T>& field, const char* pointer, element value, bool rightKind,
               const char* wanted) {
        field.present = true;
        if (value.is_null()) return false;
        if (!rightKind)
            refuse(pointer, std::string("must be ") + wanted + ", not " + kindOf(value));
        return rightKind;
    }

    void text(Field<std::string>& field, const char* pointer, element value, uint64_t maxBytes);
    void integer(Field<uint32_t>& field, const char* pointer, element value, uint32_t low,
                 uint32_t high, const char* unit = "");
    // A number of seconds, with fractions.
    void seconds(Field<std::chrono::milliseconds>& field, const char* pointer, element value,
                 std::chrono::milliseconds low, std::chrono::milliseconds high);
    // Leaves `out` as it is for null.
    void flag(const std::string& pointer, element value, bool& out);

    Patch patch_{};

private:
    std::string_view listed_{"-"};  // parent whose fields were listed last: once is enough

    void outOfRange(const char* pointer, element value, const std::string& low,
                    const std::string& high, const char* unit);
};

}  // namespace cf::functions
