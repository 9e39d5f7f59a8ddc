# SPDX-License-Identifier: Apache-2.0
# Options every facsim target shares, and the functions that make targets and tests.

# Contraction of a*b+c changes bits between targets (DECISIONS.md 2), so the flag is PUBLIC: code that
# includes our headers needs it too. -ffast-math is refused.
if("${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_RELEASE} $ENV{CXXFLAGS}" MATCHES "-ffast-math|-Ofast|-funsafe-math")
  message(FATAL_ERROR "facsim: -ffast-math breaks bit-exactness; remove it from the flags")
endif()
add_library(facsim_options INTERFACE)
target_compile_features(facsim_options INTERFACE cxx_std_20)
target_compile_options(facsim_options INTERFACE -ffp-contract=off)
set_target_properties(facsim_options PROPERTIES EXPORT_NAME options)
add_library(facsim::options ALIAS facsim_options)

add_library(facsim_warnings INTERFACE)
# -Wno-restrict: GCC 12 warns about its own std::string (GCC bug 105329).
target_compile_options(facsim_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${FACSIM_WARNINGS_AS_ERRORS}>:-Werror>)

# facsim_library(sim DEPENDS …): static library facsim_sim, alias facsim::sim. Sources are added by
# target_sources in the folder and its subfolders.
function(facsim_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_library(facsim_${name} STATIC)
  add_library(facsim::${name} ALIAS facsim_${name})
  set_target_properties(facsim_${name} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON
    VERIFY_INTERFACE_HEADER_SETS ON)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
  list(FILTER headers EXCLUDE REGEX "(-inl|-internal)\\.h$")
  target_sources(facsim_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
  target_link_libraries(facsim_${name} PUBLIC facsim::options ${ARG_DEPENDS}
    PRIVATE $<BUILD_INTERFACE:facsim_warnings>)
endfunction()

# facsim_test(NAME LABELS unit SOURCES a_test.cc … LIBRARIES facsim::sim): one doctest binary, one ctest entry.
function(facsim_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "LABELS;SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES} ${PROJECT_SOURCE_DIR}/tests/main.cc)
  target_link_libraries(${name} PRIVATE ${ARG_LIBRARIES} facsim_warnings)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE FACSIM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    SKIP_REGULAR_EXPRESSION "(^|\n)SKIPPED:")
endfunction()
