# SPDX-License-Identifier: Apache-2.0
# facsim_add_parity_test(NAME n SUITE dir [PROFILE p] [ARGS …]): a ctest that runs `facsim suite run dir`
# (configs/SUITES.md) and fails at the first differing bit. dir is relative to the current source folder; PROFILE (a name,
# or a path as dir) runs the suite under another profile, ARGS are further options (--set /pointer=value, -j 4). JUnit goes to NAME.junit.xml in the
# current binary folder; the label is `parity`. Loaded by find_package(facsim); the command is the one installed beside it,
# or FACSIM_COMMAND.
function(facsim_add_parity_test)
  cmake_parse_arguments(ARG "" "NAME;SUITE;PROFILE" "ARGS" ${ARGN})
  if(NOT ARG_NAME OR NOT ARG_SUITE OR ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "facsim_add_parity_test(NAME n SUITE dir [PROFILE p] [ARGS ...]): got ${ARGN}")
  endif()
  cmake_path(ABSOLUTE_PATH ARG_SUITE BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
  if(NOT EXISTS ${ARG_SUITE}/suite.json)
    message(FATAL_ERROR "facsim_add_parity_test: ${ARG_SUITE} has no suite.json; facsim suite init makes one")
  endif()
  if(FACSIM_COMMAND)
    set(command ${FACSIM_COMMAND})
  elseif(TARGET facsim)
    set(command $<TARGET_FILE:facsim>)
  else()
    message(FATAL_ERROR "facsim_add_parity_test: no facsim command; set FACSIM_COMMAND to its path")
  endif()
  set(profile)
  if(ARG_PROFILE)
    if(ARG_PROFILE MATCHES "/|\\.json$")
      cmake_path(ABSOLUTE_PATH ARG_PROFILE BASE_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} NORMALIZE)
    endif()
    set(profile --profile ${ARG_PROFILE})
  endif()
  add_test(NAME ${ARG_NAME} COMMAND ${command} suite run ${ARG_SUITE} ${profile} ${ARG_ARGS}
    --junit ${CMAKE_CURRENT_BINARY_DIR}/${ARG_NAME}.junit.xml)
  set_tests_properties(${ARG_NAME} PROPERTIES LABELS parity)
endfunction()
