// Takes rights away from the test process, so that the sandbox has to do with less: the same tests
// run on every tier.
#pragma once

#include <string>

namespace cf::sandbox::test {

// "user": an ordinary user, who may make user namespaces. "bare": one who may not. "container":
// root without the right to make namespaces. False with a printed reason when that is not possible
// here.
bool enterTier(const std::string& tier);

}  // namespace cf::sandbox::test
