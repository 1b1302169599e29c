// The token that callers from elsewhere need: given in the properties, or made once, printed once, and kept as a hash.
#pragma once

#include <string>
#include <vector>

#include "app/data_directory.hpp"
#include "app/settings.hpp"
#include "base/failure.hpp"
#include "http/guards.hpp"
#include "sandbox/launch_spec.hpp"

namespace cf::app {

struct AccessToken {
    bool required = false;
    http::Sha256 sha256{};   // of the token that is accepted
    std::string generated{}; // the token itself, only in the run that made it
};

// Whether functions use the machine's network, loopback too: where sandboxes have no way out of their own and the operator gave
// them the machine's.
bool areOnMachinesNetwork(const std::vector<sandbox::Layer>& layers, const Settings& settings);

// In mode "auto" whoever comes from loopback is trusted, unless functions may come from there.
base::Result<AccessToken> prepareAccessToken(const Settings& settings, const std::vector<sandbox::Layer>& layers, const DataDirectory& data);

}  // namespace cf::app
