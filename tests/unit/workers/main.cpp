// Runs the tests of workers/, or one of them by name.
#include <cppunit/BriefTestProgressListener.h>
#include <cppunit/CompilerOutputter.h>
#include <cppunit/TestResult.h>
#include <cppunit/extensions/TestFactoryRegistry.h>
#include <cppunit/ui/text/TestRunner.h>

#include <csignal>
#include <iostream>

#include "base/log.hpp"

int main(int argc, char** argv) {
    // As the platform does: a test that speaks for a worker that is gone fails, and says which it is.
    std::signal(SIGPIPE, SIG_IGN);
    // Hostile workers are no news here.
    cf::base::setLogLevel(cf::base::LogLevel::error);
    // Names each test before it runs: the last one is where a run ended that a signal ends.
    CppUnit::BriefTestProgressListener progress;
    CppUnit::TextUi::TestRunner runner;
    runner.addTest(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
    runner.eventManager().addListener(&progress);
    runner.setOutputter(new CppUnit::CompilerOutputter(&runner.result(), std::cerr));
    return runner.run(argc > 1 ? argv[1] : "", false, true, false) ? 0 : 1;
}
