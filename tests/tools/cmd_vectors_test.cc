// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/command_runner.h"

namespace facsim::test {

namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("facsim vectors gen: writes a suite that facsim vectors check passes") {
  const TempFolder folder;
  const std::string out = (folder / "suite").string();
  const CommandResult gen =
      run_command({"vectors", "gen", "--profile", "tflite-reference", "--op", "linear", "--count",
                   "2", "--seed", "7", "--out", out, "--emit", "npz,hex,c"});
  CHECK(gen.exit_code == 0);
  CHECK(has(gen.out, "of linear under tflite-reference, seed 7"));
  CHECK(has(gen.out, "branches reached"));
  CHECK(has(gen.out, "separated from"));
  CHECK(std::filesystem::exists(folder / "suite" / "vectors.h"));
  CHECK(std::filesystem::exists(folder / "suite" / "tflite_reference_linear_ties_0_golden.hex"));

  const CommandResult check = run_command({"vectors", "check", out});
  CHECK(check.exit_code == 0);
  CHECK(has(check.out, " passed, 0 failed, 0 unsupported"));
  const CommandResult other =
      run_command({"vectors", "check", out, "--profile", "tflite-single-rounding"});
  CHECK(other.exit_code == 1);
}

TEST_CASE("facsim vectors gen: JSON says what was reached and who is told apart") {
  const TempFolder folder;
  const CommandResult gen = run_command(
      {"vectors", "gen", "--format", "json", "--profile", "onnxruntime-cpu", "--op", "requantize",
       "--strategy", "ties,edges", "--count", "2", "--out", (folder / "s").string()});
  REQUIRE(gen.exit_code == 0);
  const auto json = nlohmann::json::parse(gen.out);
  CHECK(json.at("profile") == "onnxruntime-cpu");
  CHECK(json.at("values") > 100);
  CHECK(json.at("coverage").at("reached") > 5);
  bool separated = false;
  for (const auto& neighbour : json.at("neighbours")) {
    if (neighbour.at("profile") == "tflite-reference") {
      separated = neighbour.at("verdict") == "separated";
    }
  }
  CHECK(separated);
}

TEST_CASE("facsim vectors gen: usage errors exit 2, what no generator makes exits 4") {
  const TempFolder folder;
  const std::string out = (folder / "s").string();
  CHECK(run_command({"vectors", "gen", "--op", "conv2d", "--out", out}).exit_code == 2);
  CHECK(run_command({"vectors", "gen", "--profile", "nvdla", "--op", "conv2d", "--strategy", "tie",
                     "--out", out})
            .exit_code == 2);
  const CommandResult no_op =
      run_command({"vectors", "gen", "--profile", "gemmlowp", "--op", "conv2d", "--out", out});
  CHECK(no_op.exit_code == 4);
  CHECK(has(no_op.err, "conv2d"));
  CHECK_FALSE(std::filesystem::exists(out));
}

}  // namespace facsim::test
