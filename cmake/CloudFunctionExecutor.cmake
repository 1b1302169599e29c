# How an executor is built, ours and everybody else's; installed with the SDK.
#   cloudfunction_add_executor(lua SOURCES executor.cpp [LINK lib...] [WORKER file...])
# gives the module lua.so that exports cf_executor_entry and nothing else. WORKER files (the shim that runs inside
# the sandbox) are copied to <executors folder>/lua/; the executor asks the host for that folder: property "home".
set(CLOUDFUNCTION_EXECUTOR_EXPORTS "${CMAKE_CURRENT_LIST_DIR}/executor-exports.map")
if(NOT DEFINED CLOUDFUNCTION_EXECUTORS_OUTPUT)
  set(CLOUDFUNCTION_EXECUTORS_OUTPUT "${CMAKE_BINARY_DIR}/executors")
endif()

function(cloudfunction_add_executor id)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK;WORKER" ${ARGN})
  add_library(executor_${id} MODULE ${ARG_SOURCES})
  set_target_properties(executor_${id} PROPERTIES
    PREFIX "" OUTPUT_NAME ${id} LIBRARY_OUTPUT_DIRECTORY "${CLOUDFUNCTION_EXECUTORS_OUTPUT}"
    CXX_VISIBILITY_PRESET hidden C_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LINK_DEPENDS "${CLOUDFUNCTION_EXECUTOR_EXPORTS}")
  if(TARGET cloudfunction::sdk)
    target_link_libraries(executor_${id} PRIVATE cloudfunction::sdk)
  endif()
  target_link_libraries(executor_${id} PRIVATE ${ARG_LINK})
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  if(CXX IN_LIST languages)
    target_compile_features(executor_${id} PRIVATE cxx_std_20)
  endif()
  target_link_options(executor_${id} PRIVATE "-Wl,--version-script=${CLOUDFUNCTION_EXECUTOR_EXPORTS}" "-Wl,-z,defs")
  foreach(file IN LISTS ARG_WORKER)
    get_filename_component(source "${file}" ABSOLUTE)
    get_filename_component(name "${file}" NAME)
    set(copy "${CLOUDFUNCTION_EXECUTORS_OUTPUT}/${id}/${name}")
    add_custom_command(OUTPUT "${copy}" DEPENDS "${source}"
      COMMAND ${CMAKE_COMMAND} -E make_directory "${CLOUDFUNCTION_EXECUTORS_OUTPUT}/${id}"
      COMMAND ${CMAKE_COMMAND} -E copy "${source}" "${copy}" VERBATIM)
    list(APPEND copies "${copy}")
  endforeach()
  if(copies)
    add_custom_target(executor_${id}_worker ALL DEPENDS ${copies})
    add_dependencies(executor_${id} executor_${id}_worker)
  endif()
endfunction()
