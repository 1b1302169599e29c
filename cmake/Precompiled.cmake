# Headers of others that most files include, compiled once: half of the time of a build from nothing was spent on reading
# them again. No header of the platform is among them, and a build without (CLOUDFUNCTION_PRECOMPILED=OFF, as the preset
# fuzz has it) finds out about a file that leans on them.
option(CLOUDFUNCTION_PRECOMPILED "Compile the headers of others once" ON)

set(precompiled_headers
  <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint> <cstring> <deque> <filesystem> <fstream> <functional>
  <map> <memory> <mutex> <optional> <string> <string_view> <thread> <unordered_map> <utility> <vector> <simdjson.h>)
list(TRANSFORM precompiled_headers REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX>:\\1>")
set(precompiled_test_headers <cppunit/extensions/HelperMacros.h>)
list(TRANSFORM precompiled_test_headers REPLACE "(.+)" "$<$<COMPILE_LANGUAGE:CXX>:\\1>")

# Poco's own targets ask for these; headers that were compiled without them do not fit.
if(CLOUDFUNCTION_PRECOMPILED)
  foreach(definition $<$<CONFIG:Debug>:_DEBUG> _FILE_OFFSET_BITS=64 _LARGEFILE64_SOURCE _REENTRANT _THREAD_SAFE _XOPEN_SOURCE=500)
    add_compile_definitions($<$<COMPILE_LANGUAGE:CXX>:${definition}>)
  endforeach()
endif()

# Gives a target its precompiled headers. The first of each kind makes them, the others share: code of libraries and code
# of executables is compiled with different options.
function(cloudfunction_precompiled target)
  get_target_property(type ${target} TYPE)
  # The kernel's libraries, and tests: the platform's own executables have one file each.
  if(NOT CLOUDFUNCTION_PRECOMPILED OR NOT "${type} ${target}" MATCHES "^(STATIC_LIBRARY cf_|EXECUTABLE ((unit|fuzz)_|.*_tests$))")
    return()
  endif()
  get_property(first GLOBAL PROPERTY CLOUDFUNCTION_PRECOMPILED_${type})
  if(first)
    target_precompile_headers(${target} REUSE_FROM ${first})
    return()
  endif()
  set(source "${CMAKE_BINARY_DIR}/precompiled/${type}.cpp")
  file(CONFIGURE OUTPUT "${source}" CONTENT "int main() {}\n")
  set(headers ${precompiled_headers})
  if(type STREQUAL "EXECUTABLE")
    add_executable(precompiled_${type} "${source}")
    list(APPEND headers ${precompiled_test_headers})
    target_link_libraries(precompiled_${type} PRIVATE PkgConfig::CPPUNIT)
  else()
    add_library(precompiled_${type} STATIC "${source}")
  endif()
  target_link_libraries(precompiled_${type} PRIVATE Threads::Threads simdjson::simdjson)
  target_precompile_headers(precompiled_${type} PRIVATE ${headers})
  set_property(GLOBAL PROPERTY CLOUDFUNCTION_PRECOMPILED_${type} precompiled_${type})
  cloudfunction_warnings_and_sanitizers(precompiled_${type})
  target_precompile_headers(${target} REUSE_FROM precompiled_${type})
endfunction()
