// Who is asked for a token.
#include "app/access_token.hpp"

#include <cppunit/extensions/HelperMacros.h>

#include <filesystem>

namespace cf::app::test {

class AccessTokenTest : public CppUnit::TestFixture {
    CPPUNIT_TEST_SUITE(AccessTokenTest);
    CPPUNIT_TEST(whereFunctionsAreOnLoopbackEverybodyIsAsked);
    CPPUNIT_TEST_SUITE_END();

    std::filesystem::path folder_;

public:
    void setUp() override {
        char name[] = "/tmp/cloudfunction-token-XXXXXX";
        folder_ = ::mkdtemp(name);
    }
    void tearDown() override { std::filesystem::remove_all(folder_); }

    void whereFunctionsAreOnLoopbackEverybodyIsAsked() {
        const auto data = DataDirectory::open(folder_ / "data");
        CPPUNIT_ASSERT(bool{data});
        const auto asks = [&](const char* mode, const char* unprivileged, bool hasOwn) {
            Settings settings;
            settings.addresses = {"127.0.0.1", "::1"};
            settings.authMode = mode;
            settings.networkUnprivileged = unprivileged;
            const auto token = prepareAccessToken(
                settings, {{"seccomp", true, ""}, {"outbound_network", hasOwn, ""}}, *data);
            CPPUNIT_ASSERT(bool{token});
            return token->required;
        };
        CPPUNIT_ASSERT(asks("auto", "host", false));
        CPPUNIT_ASSERT(!asks("auto", "host", true));
        CPPUNIT_ASSERT(!asks("auto", "none", false));
        CPPUNIT_ASSERT(!asks("none", "host", false));
        CPPUNIT_ASSERT(asks("token", "none", true));
    }
};

CPPUNIT_TEST_SUITE_REGISTRATION(AccessTokenTest);

}  // namespace cf::app::test
