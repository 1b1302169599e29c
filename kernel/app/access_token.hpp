// The token that callers from elsewhere need: given in the properties, or made once, printed once, and kept as a hash.
#pragma once

#include <string>

#include "app/data_directory.hpp"
#include "app/settings.hpp"
#include "base/failure.hpp"
#include "http/guards.hpp"

namespace cf::app {

struct AccessToken {
    bool required = false;
    http::Sha256 sha256{};   // of the token that is accepted
    std::string generated{}; // the token itself, only in the run that made it
};

// Whether every address is loopback decides in mode "auto".
base::Result<AccessToken> prepareAccessToken(const Settings& settings, const DataDirectory& data);

}  // namespace cf::app
