// Checksums as npm writes them into a lock (Subresource Integrity).
#pragma once

#include <string_view>

namespace node_executor {

// Whether `integrity` is one or more checksums that npm compares: "sha512-<base64> ...". A text that
// it does not understand counts for npm like none at all, and then everything passes.
bool isChecksum(std::string_view integrity);

}  // namespace node_executor
