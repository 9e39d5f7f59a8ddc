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

# GCC's AddressSanitizer doubles the compile time of SIMD kernels and adds a quarter to that of tests by what it
# looks at: both have options against that.
set(FACSIM_ASAN_TEST_OPTIONS "")
set(FACSIM_ASAN_KERNEL_OPTIONS "")
if(CMAKE_CXX_FLAGS MATCHES "sanitize=address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(FACSIM_ASAN_TEST_OPTIONS -fno-sanitize-address-use-after-scope)
  set(FACSIM_ASAN_KERNEL_OPTIONS ${FACSIM_ASAN_TEST_OPTIONS} --param=asan-instrumentation-with-call-threshold=0)
endif()

add_library(facsim_warnings INTERFACE)
# -Wno-restrict: GCC 12 warns about its own std::string (GCC bug 105329).
target_compile_options(facsim_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  $<$<BOOL:${FACSIM_WARNINGS_AS_ERRORS}>:-Werror>)

# With FACSIM_UNITY_BUILD a target's sources are compiled in groups: less than half of the time from scratch.
# Files that Highway compiles once per SIMD target stay alone, as do those with options of their own.
# Called when all subfolders have added their sources.
function(facsim_unity target)
  if(NOT FACSIM_UNITY_BUILD)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 10)
  get_target_property(sources ${target} SOURCES)
  get_target_property(folder ${target} SOURCE_DIR)
  foreach(source IN LISTS sources)
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${folder} OUTPUT_VARIABLE file)
    if(file MATCHES "\\.cc$" AND EXISTS ${file})
      file(STRINGS ${file} alone REGEX "foreach_target|DOCTEST_CONFIG_IMPLEMENT" LIMIT_COUNT 1)
      get_source_file_property(options ${file} TARGET_DIRECTORY ${target} COMPILE_OPTIONS)
      if(alone OR options)
        set_source_files_properties(${file} TARGET_DIRECTORY ${target} PROPERTIES
          SKIP_UNITY_BUILD_INCLUSION ON)
      endif()
    endif()
  endforeach()
endfunction()

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
  cmake_language(EVAL CODE
    "cmake_language(DEFER DIRECTORY [[${PROJECT_SOURCE_DIR}]] CALL facsim_unity facsim_${name})")
endfunction()

# facsim_test(NAME LABELS unit SOURCES a_test.cc … LIBRARIES facsim::sim [UNITY]): one doctest binary, one ctest
# entry. UNITY: its sources may be compiled in groups, no two have a name of their own in common.
function(facsim_test name)
  cmake_parse_arguments(ARG "UNITY" "TIMEOUT" "LABELS;SOURCES;LIBRARIES" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE facsim_test_main ${ARG_LIBRARIES} facsim_warnings)
  # A test's code runs once: not worth the optimiser's time.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  target_compile_options(${name} PRIVATE ${FACSIM_ASAN_TEST_OPTIONS})
  if(ARG_UNITY)
    facsim_unity(${name})
  endif()
  if(unit IN_LIST ARG_LABELS)
    add_dependencies(facsim_unit_tests ${name})
  endif()
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_compile_definitions(${name} PRIVATE FACSIM_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 300)
  endif()
  # Those that may take longest begin first, beside all others.
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT} COST ${ARG_TIMEOUT}
    SKIP_REGULAR_EXPRESSION "(^|\n)SKIPPED:")
endfunction()
