#include "app/access_token.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <Poco/Net/IPAddress.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fstream>

#include "base/log.hpp"
#include "base/ulid.hpp"
#include "base/unique_fd.hpp"

namespace cf::app {

namespace {

bool allLoopback(const std::vector<std::string>& addresses) {
    return std::all_of(addresses.begin(), addresses.end(), [](const std::string& text) {
        Poco::Net::IPAddress address;
        return text == "localhost" || (Poco::Net::IPAddress::tryParse(text, address) && address.isLoopback());
    });
}

std::string hexOf(const http::Sha256& hash) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out;
    for (const uint8_t byte : hash) (out += digits[byte >> 4]) += digits[byte & 15];
    return out;
}

std::optional<http::Sha256> fromHex(const std::string& text) {
    http::Sha256 hash{};
    if (text.size() != 2 * hash.size()) return std::nullopt;
    for (size_t i = 0; i < hash.size(); ++i)
        if (std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, hash[i], 16).ec != std::errc{}) return std::nullopt;
    return hash;
}

}  // namespace

bool areOnMachinesNetwork(const std::vector<sandbox::Layer>& layers, const Settings& settings) {
    for (const auto& layer : layers)
        if (layer.name == "outbound_network") return !layer.active && settings.networkUnprivileged == "host";
    return false;
}

base::Result<AccessToken> prepareAccessToken(const Settings& settings, const std::vector<sandbox::Layer>& layers, const DataDirectory& data) {
    AccessToken token;
    const bool functionsCall = areOnMachinesNetwork(layers, settings);
    token.required = settings.authMode == "token" || (settings.authMode == "auto" && (functionsCall || !allLoopback(settings.addresses)));
    if (!token.required) {
        if (functionsCall)
            base::logWarning("app", "functions use the machine's network and nobody is asked for a token (auth.mode = none): every function can read, "
                                    "change and delete all others");
        if (settings.buildNetwork.mode == sandbox::Network::host)
            base::logWarning("app", "build tools use the machine's network (build.network = host) and nobody is asked for a token: code that a package "
                                    "runs while it is installed can change functions; auth.mode = token keeps it from that");
        return token;
    }
    if (!settings.authToken.empty()) {
        token.sha256 = http::sha256(settings.authToken);
        return token;
    }
    const std::string file = data.own("token.sha256");
    std::string kept;
    std::ifstream(file) >> kept;
    if (const auto hash = fromHex(kept)) return token.sha256 = *hash, token;
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    token.generated = "cf_";
    for (int i = 0; i < 40; ++i) token.generated += alphabet[base::randomBits() & 63];
    token.sha256 = http::sha256(token.generated);
    const base::UniqueFd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const std::string line = hexOf(token.sha256) + "\n";
    if (!out || ::write(out.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) || ::fsync(out.get()) != 0)
        return base::Failure{.reason = "start_failed", .detail = "cannot write " + file + ": " + std::strerror(errno)};
    return token;
}

}  // namespace cf::app
