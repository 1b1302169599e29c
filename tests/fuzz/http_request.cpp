// The HTTP parser: whole requests, one behind the other.
#include "http_stream.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    cf::fuzz::checkStream(cf::fuzz::textOf(data, size));
    return 0;
}
