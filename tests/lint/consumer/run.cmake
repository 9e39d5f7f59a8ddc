# SPDX-License-Identifier: Apache-2.0
# Installs the build into a fresh prefix and builds, against that prefix alone, the project beside this file.
set(prefix ${BUILD_DIR}/consumer/prefix)
set(work ${BUILD_DIR}/consumer/build)
file(REMOVE_RECURSE ${prefix} ${work})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "failed: ${ARGN}\n${output}")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${prefix})
run(${CMAKE_COMMAND} -S ${SOURCE_DIR}/tests/lint/consumer -B ${work} -G ${GENERATOR}
  -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${CXX} "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}"
  -DCMAKE_BUILD_TYPE=${BUILD_TYPE})
run(${CMAKE_COMMAND} --build ${work})
run(${CMAKE_COMMAND} -E env "FACSIM_PROFILE_PATH=${prefix}/share/facsim/configs/profiles" ${work}/consumer)

# A parity test of the outside project: its suite is made and run by the installed command.
if(NOT EXISTS ${prefix}/bin/facsim)
  return()
endif()
set(ENV{FACSIM_PROFILE_PATH} ${prefix}/share/facsim/configs/profiles)
run(${work}/make_network ${work})
run(${prefix}/bin/facsim suite init ${work}/suite --model ${work}/net.json --inputs ${work}/x.npz)
run(${CMAKE_COMMAND} -S ${SOURCE_DIR}/tests/lint/consumer -B ${work} -DCONSUMER_SUITE=${work}/suite)
run(${CMAKE_CTEST_COMMAND} --test-dir ${work} --no-tests=error --output-on-failure -L parity)
if(NOT EXISTS ${work}/parity.same.junit.xml)
  message(FATAL_ERROR "facsim_add_parity_test wrote no parity.same.junit.xml")
endif()
