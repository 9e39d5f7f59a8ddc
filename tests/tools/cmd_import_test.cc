// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

TEST_CASE("facsim import: a network read again is the same, under the profile it was given") {
  const DeployedFixture f;
  const CommandResult result = run_command(
      {"import", f.file("net.json"), "--profile", "cmsis-nn", "-o", f.file("copy.json")});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  const backends::IntGraph copy = backends::read_int_graph(f.file("copy.json"));
  CHECK(copy.profile == "cmsis-nn");
  CHECK(copy.nodes.size() == f.graph.nodes.size());
  CHECK(same(*copy.tensors[1].data, *f.graph.tensors[1].data));
  CHECK(run_command({"import", f.file("net.json"), "-o", f.file("copy.tflite")}).exit_code == 2);
  CHECK_FALSE(std::filesystem::exists(f.file("copy.tflite")));
}

}  // namespace facsim::test
