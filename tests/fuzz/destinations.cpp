// Where functions may connect to, as people write it.
#include <string>

#include "base/destination.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace cf;
    std::string why;
    const auto read = base::parseDestination(fuzz::textOf(data, size), why);
    if (!read) {
        fuzz::require(!why.empty(), "a refusal says why");
        return 0;
    }
    fuzz::require(read->prefix <= 32, "a prefix is one of IPv4");
    fuzz::require((read->address & ~base::maskOf(read->prefix)) == 0, "no bits stand behind it");
    std::string text = read->name.empty() ? base::rangeText(read->address, read->prefix) : read->name;
    if (read->port != 0) text += ":" + std::to_string(read->port);
    fuzz::require(base::parseDestination(text, why) == read, "what is shown is read as the same");
    return 0;
}
