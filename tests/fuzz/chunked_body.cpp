// Chunked bodies and what follows them, behind a head that is always the same.
#include "http_stream.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    std::string stream = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.append(cf::fuzz::textOf(data, size));
    cf::fuzz::checkStream(stream);
    return 0;
}
