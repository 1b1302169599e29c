// Rules for what may be the source of a function, and base64 for files that are no text. Pure
// functions.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace cf::functions {

constexpr size_t mostNameParts = 64;  // folders of a file name, and the file

// Why `name` cannot be the name of a source file, one sentence; empty when it can. A safe name is
// relative, has no "." or ".." part, no empty part, no NUL or control character, no more parts than
// mostNameParts, and each part fits a Linux file name (255 bytes).
std::string whyUnsafeFileName(std::string_view name, size_t maxBytes);

bool isValidUtf8(std::string_view text);

// RFC 4648 section 4, strict: with padding, nothing but the alphabet.
std::optional<std::string> decodeBase64(std::string_view text);
std::string encodeBase64(std::string_view bytes);

}  // namespace cf::functions
