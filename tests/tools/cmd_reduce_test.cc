// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "tests/tools/deployed_fixture.h"

namespace facsim::test {
namespace {

using Json = nlohmann::json;

CommandResult reduce_command(const DeployedFixture& fixture, std::vector<std::string> more) {
  std::vector<std::string> arguments = {
      "reduce",           "--model",  fixture.file("net.json"), "--profile",
      "tflite-reference", "--inputs", fixture.file("x.npz")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_command(arguments);
}

TEST_CASE("reduce: to one output, one tap and small integers, in a folder that shows it") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 200);
  const std::string folder = fixture.file("repro");
  const CommandResult result = reduce_command(
      fixture, {"--against", "tflite-single-rounding", "-o", folder, "--format", "json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 1);
  const Json json = Json::parse(result.out);
  CHECK(json["outputs"] == 1);
  CHECK(json["taps"] == 1);
  CHECK(std::abs(json["accumulator"].get<int>()) <= 8);
  CHECK(json["a"]["result"] != json["b"]["result"]);

  const auto compare = [&](const std::string& profile, const std::string& golden) {
    return run_command({"compare", "--model", folder + "/net.json", "--profile",
                        folder + "/" + profile, "--inputs", folder + "/inputs.npz", "--golden",
                        folder + "/" + golden})
        .exit_code;
  };
  CHECK(compare("a.json", "expected_a.npz") == 0);
  CHECK(compare("b.json", "expected_b.npz") == 0);
  CHECK(compare("a.json", "expected_b.npz") == 1);
  CHECK(std::filesystem::exists(folder + "/README.md"));
  CHECK(std::filesystem::exists(folder + "/run.sh"));

  const CommandResult again =
      reduce_command(fixture, {"--against", "tflite-single-rounding", "-o", folder});
  CHECK(again.exit_code == 3);
  CHECK(again.err.find("exists already") != std::string::npos);
}

TEST_CASE("reduce: a setting against the profile as it is; errors leave nothing behind") {
  const DeployedFixture fixture(backends::IntGraph::Layout::nhwc, 20);
  const std::string folder = fixture.file("repro");
  const CommandResult table =
      reduce_command(fixture, {"--set", "/requantize/rounding=floor", "-o", folder});
  CHECK(table.exit_code == 1);
  CHECK(table.out.find("accumulator ") != std::string::npos);

  const std::string other = fixture.file("other");
  const CommandResult same =
      reduce_command(fixture, {"--against", "tflite-reference", "-o", other});
  CHECK(same.exit_code == 3);
  CHECK(same.err.find("compute the same") != std::string::npos);
  CHECK(reduce_command(fixture, {"-o", other}).exit_code == 2);
  for (const auto& entry : std::filesystem::directory_iterator(fixture.folder.path())) {
    CHECK(entry.path().filename().string().find("tmp-") == std::string::npos);
  }
  CHECK(!std::filesystem::exists(other));
}

}  // namespace
}  // namespace facsim::test
