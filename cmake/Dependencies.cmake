# Every library the platform links, from Debian's packages. What each is for: docs/decisions/dependencies.md.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(Poco 1.11 REQUIRED COMPONENTS Foundation Net JSON Util Data DataSQLite)
find_package(simdjson REQUIRED)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(LIBARCHIVE REQUIRED IMPORTED_TARGET libarchive)
# It brings neither a CMake nor a pkg-config file.
find_path(UNISTRING_INCLUDE unicase.h REQUIRED)
find_library(UNISTRING_LIBRARY unistring REQUIRED)
if(CLOUDFUNCTION_TESTS)
  pkg_check_modules(CPPUNIT REQUIRED IMPORTED_TARGET cppunit)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
  set(CMAKE_C_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()
