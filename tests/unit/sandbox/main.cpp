// Runs the sandbox tests, or one of them by name. spawnLauncher starts this executable again as the launcher.
#include <cppunit/CompilerOutputter.h>
#include <cppunit/TestResult.h>
#include <cppunit/TestResultCollector.h>
#include <cppunit/TextTestProgressListener.h>
#include <cppunit/extensions/TestFactoryRegistry.h>
#include <cppunit/ui/text/TestRunner.h>

#include <iostream>
#include <string>

#include "sandbox/launcher_client.hpp"

namespace {

class NameListener : public CppUnit::TestListener {
public:
    void startTest(CppUnit::Test* test) override { std::cerr << test->getName() << std::endl; }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string(argv[1]) == "launcher") return cf::sandbox::launcherMain(3);
    CppUnit::TextUi::TestRunner runner;
    runner.addTest(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
    runner.setOutputter(new CppUnit::CompilerOutputter(&runner.result(), std::cerr));
    NameListener names;
    runner.eventManager().addListener(&names);
    return runner.run(argc > 1 ? argv[1] : "", false, true, false) ? 0 : 1;
}
