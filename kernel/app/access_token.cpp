#include "app/access_token.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <Poco/DigestEngine.h>
#include <Poco/Net/IPAddress.h>
#include <Poco/SHA2Engine.h>

#include <algorithm>
#include <cstring>
#include <fstream>

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

}  // namespace

std::string sha256(const std::string& text) {
    Poco::SHA2Engine engine(Poco::SHA2Engine::SHA_256);
    engine.update(text);
    return Poco::DigestEngine::digestToHex(engine.digest());
}

base::Result<AccessToken> prepareAccessToken(const Settings& settings, const DataDirectory& data) {
    AccessToken token;
    token.required = settings.authMode == "token" || (settings.authMode == "auto" && !allLoopback(settings.addresses));
    if (!token.required) return token;
    if (!settings.authToken.empty()) {
        token.sha256 = sha256(settings.authToken);
        return token;
    }
    const std::string file = data.own("token.sha256");
    std::ifstream(file) >> token.sha256;
    if (token.sha256.size() == 64) return token;
    static constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    token.generated = "cf_";
    for (int i = 0; i < 40; ++i) token.generated += alphabet[base::randomBits() & 63];
    token.sha256 = sha256(token.generated);
    const base::UniqueFd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    const std::string line = token.sha256 + "\n";
    if (!out || ::write(out.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) || ::fsync(out.get()) != 0)
        return base::Failure{.reason = "start_failed", .detail = "cannot write " + file + ": " + std::strerror(errno)};
    return token;
}

}  // namespace cf::app
