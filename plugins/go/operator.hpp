// How the operator of the platform has Go fetch modules: what is set in the environment, with `go env -w`, and in
// ~/.netrc of the user who starts the platform. The probe reads it; only tools that fetch see it.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cloudfunction/executor.hpp"

namespace go_executor {

struct OperatorSettings {
    std::vector<std::pair<std::string, std::string>> environment;  // GOPROXY, HTTPS_PROXY, SSL_CERT_FILE, ...
    std::string netrc;                                             // content; holds passwords
    bool operator==(const OperatorSettings&) const = default;

    // A JSON object: {"environment":{...},"netrc":"..."}.
    std::string toJson() const;
    // `document`: what the probe found as a whole, with the object as its member "operator".
    static OperatorSettings fromJson(std::string_view document);

    // Lets tools of this job see the certificates and file proxies that settings name.
    void mount(const cloudfunction::Job& job) const;
};

// Reads the environment of this process and `goEnv`, the output of `go env -json`. For the throw-away probe alone.
OperatorSettings readOperatorSettings(std::string_view goEnv);

// What to ask `go env -json` for.
const std::vector<std::string>& goSettings();

}  // namespace go_executor
