# What `cmake --install` puts where.
install(TARGETS cloudfunction RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT platform)
