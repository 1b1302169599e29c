# Warnings and sanitizers for the project's own targets.
function(cloudfunction_compile_options target)
  # g++ 12 sees overlapping copies in std::string's operator+ where there are none (GCC bug 105651).
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  endif()
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion>
    $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion>)
  if(CLOUDFUNCTION_SANITIZE)
    # What a sanitizer finds ends the process, so that no test can pass over it.
    target_compile_options(${target} PRIVATE -fsanitize=${CLOUDFUNCTION_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${CLOUDFUNCTION_SANITIZE})
  endif()
  if(CLOUDFUNCTION_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# One folder of kernel/: a static library cf_<folder> that sees kernel/ as its include root.
#   cloudfunction_kernel_library(workers SOURCES a.cpp b.cpp LINK cf_base cf_protocol)
function(cloudfunction_kernel_library folder)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;LINK_PRIVATE" ${ARGN})
  add_library(cf_${folder} STATIC ${ARG_SOURCES})
  target_include_directories(cf_${folder} PUBLIC "${PROJECT_SOURCE_DIR}/kernel" "${PROJECT_SOURCE_DIR}/kernel/include")
  target_link_libraries(cf_${folder} PUBLIC ${ARG_LINK} PRIVATE ${ARG_LINK_PRIVATE})
  cloudfunction_compile_options(cf_${folder})
endfunction()
