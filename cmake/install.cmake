# SPDX-License-Identifier: MIT
# Installs the headers and a package for find_package(annals).
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/annals")
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/annalsConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/annalsConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/annalsConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)

install(DIRECTORY include/annals DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
    FILES_MATCHING PATTERN "*.hpp")
install(TARGETS annals EXPORT annalsTargets INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT annalsTargets NAMESPACE annals:: DESTINATION "${package_dir}")
install(FILES
    "${CMAKE_CURRENT_LIST_DIR}/compiled.cmake"
    "${PROJECT_BINARY_DIR}/annalsConfig.cmake"
    "${PROJECT_BINARY_DIR}/annalsConfigVersion.cmake"
    DESTINATION "${package_dir}")
