// Runs the sandbox tests, or some of them by name: unit_sandbox [--tier user|bare|container] [name]...
// spawnLauncher starts this executable again as the launcher.
#include <cppunit/CompilerOutputter.h>
#include <cppunit/TestResult.h>
#include <cppunit/TestResultCollector.h>
#include <cppunit/TextTestProgressListener.h>
#include <cppunit/extensions/TestFactoryRegistry.h>
#include <cppunit/ui/text/TestRunner.h>

#include <chrono>
#include <iostream>
#include <string>

#include "sandbox/launcher_client.hpp"
#include "tier.hpp"

namespace {

class NameListener : public CppUnit::TestListener {
public:
    void startTest(CppUnit::Test* test) override {
        start_ = std::chrono::steady_clock::now();
        std::cerr << test->getName() << std::endl;
    }
    void endTest(CppUnit::Test*) override {
        const auto took = std::chrono::steady_clock::now() - start_;
        std::cerr << "  " << std::chrono::duration_cast<std::chrono::milliseconds>(took).count()
                  << " ms" << std::endl;
    }

private:
    std::chrono::steady_clock::time_point start_{};
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string(argv[1]) == "launcher") return cf::sandbox::launcherMain(3);
    constexpr int skipped = 77;
    if (argc > 2 && std::string(argv[1]) == "--tier") {
        if (!cf::sandbox::test::enterTier(argv[2])) return skipped;
        argc -= 2;
        argv += 2;
    }
    CppUnit::TextUi::TestRunner runner;
    runner.addTest(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
    runner.setOutputter(new CppUnit::CompilerOutputter(&runner.result(), std::cerr));
    NameListener names;
    runner.eventManager().addListener(&names);
    bool held = argc > 1 || runner.run("", false, true, false);
    for (int i = 1; i < argc; ++i) held = runner.run(argv[i], false, i + 1 == argc, false) && held;
    return held ? 0 : 1;
}
