// Runs the tests, or, as `<this> probe-executor ...`, is the probe process of their plugins.
#include <cppunit/CompilerOutputter.h>
#include <cppunit/TestResult.h>
#include <cppunit/TestResultCollector.h>
#include <cppunit/TestRunner.h>
#include <cppunit/TextTestProgressListener.h>
#include <cppunit/extensions/TestFactoryRegistry.h>

#include <iostream>
#include <string>

#include "base/log.hpp"
#include "executors/probe.hpp"

// In builds with a sanitizer a plugin's crash is to end its probe like anywhere else.
extern "C" {
const char* __asan_default_options();
const char* __asan_default_options() { return "handle_segv=0"; }
const char* __tsan_default_options();
const char* __tsan_default_options() { return "handle_segv=0"; }
}

int main(int argc, char** argv) {
    if (argc > 1 && std::string(argv[1]) == "probe-executor")
        cf::executors::probeMain({argv + 2, argv + argc});
    cf::base::setLogLevel(cf::base::LogLevel::error);
    CppUnit::TestResult controller;
    CppUnit::TestResultCollector result;
    CppUnit::TextTestProgressListener progress;
    controller.addListener(&result);
    controller.addListener(&progress);
    CppUnit::TestRunner runner;
    runner.addTest(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
    runner.run(controller, argc > 1 ? argv[1] : "");
    CppUnit::CompilerOutputter(&result, std::cerr).write();
    return result.wasSuccessful() ? 0 : 1;
}
