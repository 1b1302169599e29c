#include <cppunit/CompilerOutputter.h>
#include <cppunit/extensions/TestFactoryRegistry.h>
#include <cppunit/ui/text/TestRunner.h>

#include <iostream>
#include <string>

#include "crash_child.hpp"

int main(int argc, char** argv) {
    if (argc == 3 && std::string(argv[1]) == "save-for-ever")
        return cf::functions::test::saveForEver(argv[2]);
    CppUnit::TextUi::TestRunner runner;
    runner.addTest(CppUnit::TestFactoryRegistry::getRegistry().makeTest());
    runner.setOutputter(new CppUnit::CompilerOutputter(&runner.result(), std::cerr));
    return runner.run(argc > 1 ? argv[1] : "") ? 0 : 1;
}
