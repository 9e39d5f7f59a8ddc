// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "sim/kernels/isa.h"
#include "tests/tools/command_runner.h"

namespace facsim::test {

TEST_CASE("facsim doctor: every instruction set of this CPU runs every layer and equals the norm") {
  const CommandResult result = run_command({"doctor", "--quick", "--format", "json"});
  CHECK_MESSAGE(result.exit_code == 0, result.out << result.err);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["healthy"] == true);
  CHECK(json["trouble"].empty());
  const std::vector<sim::Isa> isas = sim::available_isas();
  REQUIRE(json["isas"].size() == isas.size());
  for (size_t i = 0; i < isas.size(); ++i) {
    CHECK(json["isas"][i]["isa"] == std::string(sim::to_string(isas[i])));
    CHECK(json["isas"][i]["layers"] >= 3 * 3 * 12);  // 3 ways, 3 profiles, the weighted layers
    CHECK(json["isas"][i]["values"] > 500000);
    CHECK(json["isas"][i]["different"] == 0);
  }
  CHECK(json["profiles"] > 50);
  CHECK(json["rounding_to_nearest"] == true);
  CHECK(json["keeps_subnormals"] == true);
  CHECK(json["libraries"].contains("fmt"));
  const CommandResult table = run_command({"doctor", "--quick", "--seed", "5"});
  CHECK(table.exit_code == 0);
  CHECK(contains(table.out, "scalar"));
  CHECK(table.out.ends_with("HEALTHY\n"));
  CHECK(!contains(table.out, "NOT HEALTHY"));
}

TEST_CASE("facsim doctor: an installation without its profiles is not healthy, and says why") {
  const TempFolder folder;
  const auto doctor = [&] {
    return run_command(
        {"doctor", "--quick", "--format", "json", "--profile-path", folder.path().string()});
  };
  folder.write("example-chip.json", "{");  // shadows the shipped one
  const CommandResult broken = doctor();
  CHECK_MESSAGE(broken.exit_code == 1, broken.err);
  const auto json = nlohmann::json::parse(broken.out);
  CHECK(json["healthy"] == false);
  REQUIRE(json["trouble"].size() == 1);
  const std::string said = json["trouble"][0].get<std::string>();
  CHECK(contains(said, "profile example-chip: "));
  CHECK(contains(said, "example-chip.json"));
  CHECK(json["isas"][0]["layers"] >= 3 * 2 * 12);  // the other profiles are checked

  folder.write("example-chip.json", R"({"schema_version": 1, "name": "example-chip"})");
  CHECK(doctor().exit_code == 0);
}

TEST_CASE("facsim doctor: each of its layers is run under some profile") {
  const auto json = nlohmann::json::parse(run_command({"doctor", "--format", "json"}).out);
  CHECK(json["healthy"] == true);
  CHECK(json["layers_never_done"].empty());
}

}  // namespace facsim::test
