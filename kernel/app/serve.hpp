// `cloudfunction serve`: brings the parts up in order, runs until a signal, takes them down in reverse.
#pragma once

#include <signal.h>

#include <string>

namespace cf::app {

extern const char* const platformVersion;

// `signals` are blocked already and waited for here. Returns an exit code; whatever keeps it from starting is printed.
int serve(const std::string& propertiesFile, const sigset_t& signals);

}  // namespace cf::app
