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

TEST_CASE("facsim import: never over what it reads") {
  const DeployedFixture f;
  const std::string json = backends::read_file(f.folder / "net.json");
  const std::string npz = backends::read_file(f.folder / "net.npz");
  const CommandResult result = run_command(
      {"import", f.file("net.json"), "--profile", "cmsis-nn", "-o", f.file("net.json")});
  CHECK(result.exit_code == 2);
  CHECK(result.err.find("is read by this command") != std::string::npos);
  // NAME.npz of the copy would be that of the network.
  std::filesystem::create_symlink(f.folder / "net.npz", f.folder / "copy.npz");
  CHECK(run_command({"import", f.file("net.json"), "-o", f.file("copy.json")}).exit_code == 2);
  CHECK_FALSE(std::filesystem::exists(f.folder / "copy.json"));
  CHECK(backends::read_file(f.folder / "net.json") == json);
  CHECK(backends::read_file(f.folder / "net.npz") == npz);
}

}  // namespace facsim::test
