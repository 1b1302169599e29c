# How the project's own targets are compiled.
function(cloudfunction_warnings_and_sanitizers target)
  # g++ 12 sees copies in std::string's operator+ that overlap or lead outside (GCC bug 105651) and members of a
  # std::optional that were not set (80635) where there are none.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE
      "$<$<COMPILE_LANGUAGE:CXX>:-Wno-maybe-uninitialized;-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>")
  endif()
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion>
    $<$<COMPILE_LANGUAGE:C>:-Wall -Wextra -Wpedantic -Wshadow -Wconversion>)
  # Of unnamed namespaces in files that are compiled as one (CMAKE_UNITY_BUILD), for which they look like headers.
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-subobject-linkage>)
  endif()
  # What tests test is optimised as it is for users; the tests themselves need not be.
  get_target_property(type ${target} TYPE)
  if(type STREQUAL EXECUTABLE AND NOT target MATCHES "^cloudfunction")
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O0>)
  endif()
  if(CLOUDFUNCTION_SANITIZE)
    # What a sanitizer finds ends the process, so that no test can pass over it.
    target_compile_options(${target} PRIVATE -fsanitize=${CLOUDFUNCTION_SANITIZE} -fno-omit-frame-pointer
      -fno-sanitize-recover=all)
    if(NOT CLOUDFUNCTION_SANITIZE_POINTERS)
      target_compile_options(${target} PRIVATE -fno-sanitize=null,alignment,vptr)
    endif()
    target_link_options(${target} PUBLIC -fsanitize=${CLOUDFUNCTION_SANITIZE})
  endif()
  if(CLOUDFUNCTION_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

function(cloudfunction_compile_options target)
  cloudfunction_warnings_and_sanitizers(${target})
  cloudfunction_precompiled(${target})
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
