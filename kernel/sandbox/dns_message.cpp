#include "sandbox/dns_message.hpp"

#include <algorithm>

namespace cf::sandbox::dns {

namespace {

constexpr size_t headerSize = 12;
constexpr size_t maxName = 255;
constexpr size_t maxAddresses = 64;
constexpr int maxJumps = 64;
constexpr uint16_t typeAlias = 5;
constexpr uint16_t classInternet = 1;

uint16_t word(std::string_view message, size_t at) {
    return static_cast<uint16_t>(static_cast<uint8_t>(message[at]) << 8 |
                                 static_cast<uint8_t>(message[at + 1]));
}

uint32_t longWord(std::string_view message, size_t at) {
    return static_cast<uint32_t>(word(message, at)) << 16 | word(message, at + 2);
}

char plain(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
    return c > ' ' && c < 0x7f && c != '.' ? c : '?';
}

// Reads a name and moves `at` behind it. Pointers lead backwards only, so it ends.
bool readName(std::string_view message, size_t& at, std::string& name, int jumps = maxJumps) {
    name.clear();
    size_t here = at;
    bool jumped = false;
    for (;;) {
        if (here >= message.size()) return false;
        const uint8_t size = static_cast<uint8_t>(message[here]);
        if (size == 0) {
            if (!jumped) at = here + 1;
            return true;
        }
        if ((size & 0xC0) == 0xC0) {
            if (here + 2 > message.size() || jumps-- == 0) return false;
            const size_t target = word(message, here) & 0x3FFF;
            if (!jumped) at = here + 2;
            jumped = true;
            // What the header holds is no name, and changes with the message's number.
            if (target >= here || target < headerSize) return false;
            here = target;
            continue;
        }
        if ((size & 0xC0) != 0 || here + 1 + size > message.size() ||
            name.size() + size + 1 > maxName)
            return false;
        if (!name.empty()) name += '.';
        for (const char c : message.substr(here + 1, size)) name += plain(c);
        here += 1 + size;
    }
}

}  // namespace

std::optional<Question> readQuery(std::string_view message) {
    if (message.size() < headerSize + 5) return {};
    const uint16_t flags = word(message, 2);
    // No answer, operation 0, one question and no other records than an EDNS one.
    if ((flags & 0xF800) != 0 || word(message, 4) != 1 || word(message, 6) != 0 ||
        word(message, 8) != 0)
        return {};
    Question question;
    question.id = word(message, 0);
    size_t at = headerSize;
    // Nothing stands in front of this name that a pointer could lead to, only into it; what it then
    // reads may lie behind the question, which is all that an answer repeats.
    if (!readName(message, at, question.name, 0) || at + 4 > message.size()) return {};
    question.type = word(message, at);
    if (word(message, at + 2) != classInternet) return {};
    question.end = at + 4;
    return question;
}

bool answers(std::string_view answer, const Question& question, uint16_t id) {
    if (answer.size() < headerSize || word(answer, 0) != id || (word(answer, 2) & 0xF800) != 0x8000)
        return false;
    // Some servers leave the question out when they refuse.
    if (word(answer, 4) == 0) return (word(answer, 2) & 0xF) != 0;
    std::string name;
    size_t at = headerSize;
    return word(answer, 4) == 1 && readName(answer, at, name) && at + 4 <= answer.size() &&
           name == question.name && word(answer, at) == question.type;
}

Addresses addressesIn(std::string_view answer, const Question& question) {
    Addresses found;
    if (answer.size() < headerSize || word(answer, 4) != 1) return found;
    std::string name;
    size_t at = headerSize;
    if (!readName(answer, at, name) || at + 4 > answer.size()) return found;
    at += 4;
    std::vector<std::string> names{question.name};
    uint32_t seconds = ~0u;
    for (uint16_t left = word(answer, 6); left > 0; --left) {
        if (!readName(answer, at, name) || at + 10 > answer.size()) break;
        const uint16_t type = word(answer, at), size = word(answer, at + 8);
        const uint32_t holds = longWord(answer, at + 4);
        at += 10;
        if (at + size > answer.size()) break;
        const bool wanted = std::find(names.begin(), names.end(), name) != names.end();
        if (wanted && type == typeAlias && names.size() < 32) {
            size_t target = at;
            if (readName(answer, target, name)) names.push_back(name);
            seconds = std::min(seconds, holds);
        } else if (wanted && type == typeAddress && size == 4 &&
                   found.list.size() < maxAddresses) {
            found.list.push_back(longWord(answer, at));
            seconds = std::min(seconds, holds);
        }
        at += size;
    }
    found.seconds = found.list.empty() ? 0 : seconds;
    return found;
}

std::string emptyAnswer(std::string_view query, const Question& question, uint8_t code) {
    std::string answer(query.substr(0, question.end));
    answer[2] = static_cast<char>(0x80 | (answer[2] & 0x01));
    answer[3] = static_cast<char>(0x80 | (code & 0x0F));
    for (size_t at = 6; at < headerSize; ++at) answer[at] = 0;
    return answer;
}

void setId(std::string& message, uint16_t id) {
    message[0] = static_cast<char>(id >> 8);
    message[1] = static_cast<char>(id & 0xFF);
}

}  // namespace cf::sandbox::dns
