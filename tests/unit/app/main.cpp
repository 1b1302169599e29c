// Runs the tests of app/, or one of them by name. spawnLauncher starts this executable again as the launcher.
#include <cppunit/CompilerOutputter.h>
#include <cppunit/extensions/TestFactoryRegistry.h>
#include <cppunit/ui/text/TestRunner.h>

#include <iostream>
#include <string>

#include "base/log.hpp"
#include "sandbox/launcher_client.hpp"

int main(int argc, char** argv) {
    if (argc > 1 && std::string(argv[1]) == "launcher") return cf::sandbox::launcherMain(3);
    cf::base::setLogLevel(cf::base::LogLevel::error);
    CppUnit::TextUi::TestRunner runner;
    runner.addTest(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
    runner.setOutputter(new CppUnit::CompilerOutputter(&runner.result(), std::cerr));
    return runner.run(argc > 1 ? argv[1] : "", false, true, false) ? 0 : 1;
}
