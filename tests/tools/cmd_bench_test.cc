// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/command_runner.h"

namespace facsim::test {

namespace {

nlohmann::json bench_json(const std::vector<std::string>& words) {
  std::vector<std::string> command = {"bench"};
  command.insert(command.end(), words.begin(), words.end());
  command.insert(command.end(), {"--rounds", "2", "--sample-ms", "0", "--format", "json"});
  const CommandResult result = run_command(command);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out);
}

}  // namespace

TEST_CASE("facsim bench: layers are timed under two profiles and equal the norm") {
  const nlohmann::json json = bench_json({"layers", "--only", "depthwise3x3_960_7"});
  REQUIRE(json["layers"].size() == 2);
  for (const nlohmann::json& one : json["layers"]) {
    CHECK(one["mismatches"] == 0);
    CHECK(one["samples_ns"].size() == 2);
    CHECK(one["minimum_ns"] <= one["median_ns"]);
    CHECK(one["macs"] == 7 * 7 * 960 * 9);
  }
  CHECK(json["layers"][0]["contender"] == "facsim:onednn");
  CHECK(json["layers"][1]["contender"] == "facsim:tflite-micro");
}

TEST_CASE("facsim bench: requantization by program, each equal to the norm") {
  const nlohmann::json json = bench_json({"requantize"});
  CHECK(json["requantize"].size() >= 8);
  bool block = false;
  for (const nlohmann::json& one : json["requantize"]) {
    CHECK(one["mismatches"] == 0);
    block = block || one["form"] == "block";
  }
  CHECK(block);
}

TEST_CASE("facsim bench: what it cannot do") {
  const CommandResult peer = run_command({"bench", "layers", "--peers", "nosuch"});
  CHECK(peer.exit_code == 4);
  CHECK(contains(peer.err, "nosuch"));
  CHECK(run_command({"bench"}).exit_code == 2);
  CHECK(run_command({"bench", "layers", "--rounds", "0"}).exit_code == 2);
}

}  // namespace facsim::test
