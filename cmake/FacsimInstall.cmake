# SPDX-License-Identifier: Apache-2.0
# Install rules: libraries, headers, configs, the package files of find_package(facsim).
include(CMakePackageConfigHelpers)

set(facsim_package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/facsim)
install(TARGETS facsim_options facsim_sim facsim_quant facsim_backends facsim_fused
  EXPORT facsimTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/facsim)
foreach(folder sim quant backends fused)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/facsim
    FILES_MATCHING PATTERN "*.def")
endforeach()
install(DIRECTORY ${PROJECT_SOURCE_DIR}/configs DESTINATION ${CMAKE_INSTALL_DATADIR}/facsim)
install(EXPORT facsimTargets NAMESPACE facsim:: DESTINATION ${facsim_package_dir})
set(facsim_command ${CMAKE_INSTALL_BINDIR}/facsim)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/facsimConfig.cmake.in
  ${PROJECT_BINARY_DIR}/facsimConfig.cmake INSTALL_DESTINATION ${facsim_package_dir} PATH_VARS facsim_command)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/facsimConfigVersion.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/facsimConfig.cmake
  ${PROJECT_BINARY_DIR}/facsimConfigVersion.cmake ${PROJECT_SOURCE_DIR}/cmake/FacsimParityTest.cmake
  DESTINATION ${facsim_package_dir})
