// Step 7: a second fence around files (landlock(7)). Mounts and users decide what a program sees;
// this decides once more, in another part of the Linux kernel, what it may do there, so that one
// mistake is not enough. Without mount namespaces it is the only thing between a worker and files
// that everybody may read.
#pragma once

namespace cf::sandbox {

// The version of Landlock that this machine's Linux has and allows; 0: none.
int landlockVersion();

// With less than this version files could not be renamed into another folder, so it is not used.
constexpr int firstUsefulLandlock = 2;

}  // namespace cf::sandbox
