// As much of DNS messages (RFC 1035) as a forwarder needs. Reads hostile bytes: questions come from
// sandboxes, answers from anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace cf::sandbox::dns {

constexpr uint16_t typeAddress = 1;
constexpr uint16_t typeAddress6 = 28;

constexpr uint8_t serverFailure = 2;
constexpr uint8_t noSuchName = 3;

struct Question {
    uint16_t id = 0;
    std::string name{};  // lower case, without the final dot; other bytes than printable ones as '?'
    uint16_t type = 0;
    size_t end = 0;  // where the question section ends
};

// A standard query with one question; nothing when it is anything else.
std::optional<Question> readQuery(std::string_view message);

// True when `answer` answers `question` under the number `id`.
bool answers(std::string_view answer, const Question& question, uint16_t id);

struct Addresses {
    std::vector<uint32_t> list{};  // at most 64
    uint32_t seconds = 0;          // how long they hold
};
// The IPv4 addresses that an answer gives for the name of its question, by way of its aliases.
Addresses addressesIn(std::string_view answer, const Question& question);

// An answer without records: for `code` 0, "there is none of this type".
std::string emptyAnswer(std::string_view query, const Question& question, uint8_t code);
void setId(std::string& message, uint16_t id);

}  // namespace cf::sandbox::dns
