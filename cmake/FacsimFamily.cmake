# SPDX-License-Identifier: Apache-2.0
# facsim_family(LIST rounding.def FOLDER sim/rounding SUFFIX .h TESTS tests/sim/rounding RESULT names)
# reads a list of MACRO(name) lines and stops the configuration when FOLDER/<name><SUFFIX> or
# TESTS/<name>_test.cc does not exist: a member without its definition or without its test is an error.
# The names come back in RESULT.
function(facsim_family)
  cmake_parse_arguments(ARG "" "LIST;FOLDER;SUFFIX;TESTS;RESULT" "" ${ARGN})
  set(list ${PROJECT_SOURCE_DIR}/${ARG_FOLDER}/${ARG_LIST})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${list})
  file(STRINGS ${list} lines REGEX "^FACSIM_[A-Z0-9_]+\\(")
  set(names)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^FACSIM_[A-Z0-9_]+\\(([a-z0-9_]+).*" "\\1" name "${line}")
    foreach(file ${ARG_FOLDER}/${name}${ARG_SUFFIX} ${ARG_TESTS}/${name}_test.cc)
      if(NOT EXISTS ${PROJECT_SOURCE_DIR}/${file})
        message(FATAL_ERROR "facsim: ${ARG_FOLDER}/${ARG_LIST} lists ${name}, but ${file} does not exist")
      endif()
    endforeach()
    list(APPEND names ${name})
  endforeach()
  set(${ARG_RESULT} ${names} PARENT_SCOPE)
endfunction()
