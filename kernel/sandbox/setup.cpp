#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "sandbox/recipe.hpp"

namespace cf::sandbox {

void Setup::fail(std::string_view what, int error) const {
    std::string text(what);
    if (error != 0) text += std::string(": ") + std::strerror(error);
    [[maybe_unused]] const ssize_t put = ::write(pipe_, text.data(), text.size());
    ::_exit(127);
}

void Setup::check(bool ok, std::string_view what) const {
    if (!ok) fail(what, errno);
}

}  // namespace cf::sandbox
