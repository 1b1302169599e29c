// DNS messages: questions come from hostile functions, answers from anywhere. The first two bytes say
// where the question ends and the answer to it begins.
#include <algorithm>
#include <string>

#include "fuzz.hpp"
#include "sandbox/dns_message.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf::sandbox;
    using cf::fuzz::require;
    if (size < 2) return 0;
    const std::string whole(cf::fuzz::textOf(data + 2, size - 2));
    const size_t cut = std::min<size_t>(data[0] | data[1] << 8, whole.size());
    const std::string query = whole.substr(0, cut), answer = whole.substr(cut);
    dns::Question question;
    if (const auto read = dns::readQuery(query)) {
        question = *read;
        require(question.end <= query.size(), "the question lies in the message");
        require(question.name.size() <= 255, "a name has a greatest length");
        for (const char c : question.name)
            require(c > ' ' && c < 0x7f, "a name is printed as it is");
        const std::string none = dns::emptyAnswer(query, question, dns::noSuchName);
        require(dns::answers(none, question, question.id), "an empty answer is one");
        require(dns::addressesIn(none, question).list.empty(), "an empty answer is empty");
        require(!dns::readQuery(none), "an answer is no question");
    }
    const auto found = dns::addressesIn(answer, question);
    require(found.list.size() <= 64, "addresses are limited");
    require(!found.list.empty() || found.seconds == 0, "nothing holds for no time");
    if (dns::answers(answer, question, question.id)) {
        std::string renumbered = answer;
        dns::setId(renumbered, static_cast<uint16_t>(question.id + 1));
        require(!dns::answers(renumbered, question, question.id), "the number counts");
    }
    return 0;
}
