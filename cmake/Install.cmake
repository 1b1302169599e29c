# What `cmake --install` puts where. Two components, both relocatable:
#   platform  the executable, its stub, the executors with their workers, configuration, documentation
#   sdk       what somebody needs to build an executor outside of this repository
include(CMakePackageConfigHelpers)

# Fixed below lib/, because the executable looks for them relative to itself.
set(executors_folder lib/cloudfunction/executors)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/cloudfunction)
set(pkgconfig_folder ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(TARGETS cloudfunction RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT platform)
install(DIRECTORY "${CLOUDFUNCTION_EXECUTORS_OUTPUT}/" DESTINATION ${executors_folder} COMPONENT platform
  USE_SOURCE_PERMISSIONS)
# It may hold auth.token: whoever installs it reads it, and a group that they give it to.
install(FILES config/cloudfunction.properties DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/cloudfunction COMPONENT platform
  PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ)
install(FILES docs/http-api.yaml DESTINATION share/cloudfunction COMPONENT platform)
install(DIRECTORY web DESTINATION share/cloudfunction COMPONENT platform)
install(FILES README.md README.zh-CN.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT platform)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT platform FILES_MATCHING PATTERN "*.md" PATTERN "*.svg")

install(DIRECTORY kernel/include/cloudfunction DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT sdk)
set_target_properties(cloudfunction_sdk PROPERTIES EXPORT_NAME sdk)
install(TARGETS cloudfunction_sdk EXPORT cloudfunction COMPONENT sdk)
install(EXPORT cloudfunction NAMESPACE cloudfunction:: FILE cloudfunction-targets.cmake DESTINATION ${package_folder}
  COMPONENT sdk)

# The ABI's version as the headers state it, for those who ask for it.
file(STRINGS kernel/include/cloudfunction/abi.h abi_lines REGEX "^#define CF_ABI_(MAJOR|MINOR) ")
string(REGEX REPLACE ".*CF_ABI_MAJOR ([0-9]+).*CF_ABI_MINOR ([0-9]+).*" "\\1.\\2" CLOUDFUNCTION_ABI_VERSION "${abi_lines}")
configure_package_config_file(cmake/cloudfunction-config.cmake.in "${CMAKE_BINARY_DIR}/sdk/cloudfunction-config.cmake"
  INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${CMAKE_BINARY_DIR}/sdk/cloudfunction-config-version.cmake"
  COMPATIBILITY SameMajorVersion ARCH_INDEPENDENT)
# The .pc file finds the rest from where it lies itself.
file(RELATIVE_PATH CLOUDFUNCTION_PC_TO_PREFIX "/${pkgconfig_folder}" "/")
string(REGEX REPLACE "/$" "" CLOUDFUNCTION_PC_TO_PREFIX "${CLOUDFUNCTION_PC_TO_PREFIX}")
configure_file(cmake/cloudfunction.pc.in "${CMAKE_BINARY_DIR}/sdk/cloudfunction.pc" @ONLY)

install(FILES
  "${CMAKE_BINARY_DIR}/sdk/cloudfunction-config.cmake" "${CMAKE_BINARY_DIR}/sdk/cloudfunction-config-version.cmake"
  cmake/CloudFunctionExecutor.cmake cmake/executor-exports.map
  DESTINATION ${package_folder} COMPONENT sdk)
install(FILES "${CMAKE_BINARY_DIR}/sdk/cloudfunction.pc" DESTINATION ${pkgconfig_folder} COMPONENT sdk)
install(FILES docs/executor-abi.md docs/worker-protocol.md docs/writing-an-executor.md
  DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT sdk)
