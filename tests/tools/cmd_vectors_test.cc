// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fstream>
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
  const CommandResult empty =
      run_command({"vectors", "gen", "--profile", "nvdla", "--op", "conv2d", "--out", ""});
  CHECK(empty.exit_code == 2);
  CHECK(has(empty.err, "--out"));
  const CommandResult set = run_command({"vectors", "gen", "--profile", "nvdla", "--op", "conv2d",
                                         "--set", "/requantize/rounding=floor", "--out", out});
  CHECK(set.exit_code == 2);
  CHECK(has(set.err, "extends nvdla"));
  const CommandResult by_name = run_command(
      {"vectors", "gen", "--profile", "gemmlowp", "--op", "gemm legacy uint8", "--out", out});
  CHECK(by_name.exit_code == 4);
  CHECK(has(by_name.err, "gemm legacy uint8"));
  CHECK_FALSE(std::filesystem::exists(out));
  CHECK(has(run_command({"vectors", "gen", "--help"}).out, "--no-separate  "));
}

TEST_CASE("facsim vectors check: a profile of one's own is found by its path") {
  const TempFolder folder;
  const std::string chip = (folder / "my-chip.json").string();
  const auto write_chip = [&](std::string_view rounding) {
    std::ofstream(chip) << R"({"schema_version": 1, "name": "my-chip", "title": "chip", )"
                        << R"("extends": "tflite-reference", "requantize": {"rounding": ")"
                        << rounding << R"("}})";
  };
  write_chip("half_even");
  const std::string out = (folder / "suite").string();
  const std::vector<std::string> gen = {
      "vectors", "gen",   "--profile", chip,         "--op",      "conv2d",       "--count",
      "1",       "--out", out,         "--strategy", "ties,ties", "--no-separate"};
  const CommandResult written = run_command(gen);
  REQUIRE(written.exit_code == 0);
  CHECK(has(written.out, "1 cases"));
  const CommandResult again = run_command(gen);
  CHECK(again.exit_code == 3);
  CHECK(has(again.err, "empty or new folder"));

  const CommandResult unknown = run_command({"vectors", "check", out});
  CHECK(unknown.exit_code == 4);
  CHECK(has(unknown.out, "--profile PATH"));
  const CommandResult known = run_command({"vectors", "check", out, "--profile", chip});
  CHECK(known.exit_code == 0);
  CHECK_FALSE(has(known.err, "fingerprint"));
  write_chip("floor");
  const CommandResult changed = run_command({"vectors", "check", out, "--profile", chip});
  CHECK(changed.exit_code == 1);
  CHECK(has(changed.err, "generated under my-chip with fingerprint"));
}

TEST_CASE("facsim vectors check: a broken attribute is invalid input, named on stderr, exit 3") {
  const TempFolder folder;
  const std::string out = (folder / "suite").string();
  REQUIRE(run_command({"vectors", "gen", "--profile", "tflite-reference", "--op", "requantize",
                       "--count", "2", "--strategy", "ties", "--no-separate", "--out", out})
              .exit_code == 0);
  const std::filesystem::path manifest = folder / "suite" / "manifest.json";
  auto json = nlohmann::json::parse(contents(manifest));
  const size_t cases = json.at("cases").size();
  REQUIRE(cases == 2);
  json.at("cases").at(1).at("attrs")["output_shape"] = {1, 2, 3};
  std::ofstream(manifest) << json.dump(2);

  const CommandResult table = run_command({"vectors", "check", out});
  CHECK(table.exit_code == 3);
  CHECK(has(table.out, "1 passed, 0 failed, 0 unsupported, 1 invalid"));
  CHECK(has(table.err, "manifest.json:"));
  CHECK(has(table.err, "/cases/1/attrs/output_shape: (1, 2, 3); expected ("));
  const CommandResult report = run_command({"vectors", "check", out, "--format", "json"});
  CHECK(report.exit_code == 3);
  const auto result = nlohmann::json::parse(report.out);
  CHECK(result.at("invalid") == 1);
  CHECK(result.at("cases").at(1).at("status") == "invalid");
  CHECK(result.at("cases").at(1).at("errors").at(0).at("code") == "bad_value");
  CHECK(result.at("cases").at(1).at("errors").at(0).at("found") == "(1, 2, 3)");
}

TEST_CASE("facsim vectors check: attributes of a case that contradict its network are invalid") {
  const TempFolder folder;
  const std::string out = (folder / "suite").string();
  REQUIRE(run_command({"vectors", "gen", "--profile", "tflite-reference", "--op", "conv2d",
                       "--count", "2", "--strategy", "random", "--no-separate", "--out", out})
              .exit_code == 0);
  const std::filesystem::path manifest = folder / "suite" / "manifest.json";
  const auto written = nlohmann::json::parse(contents(manifest));
  const auto check_with = [&](const char* attribute, const nlohmann::json& value) {
    auto json = written;
    json.at("cases").at(0).at("attrs")[attribute] = value;
    std::ofstream(manifest) << json.dump(2);
    return run_command({"vectors", "check", out});
  };
  CHECK(check_with("note", "an attribute of another maker").exit_code == 0);
  for (const char* attribute : {"strides", "pad_top", "activation", "input_scale", "groups"}) {
    CAPTURE(attribute);
    const CommandResult result = check_with(attribute, "nonsense");
    CHECK(result.exit_code == 3);
    CHECK(has(result.out, "1 passed, 0 failed, 0 unsupported, 1 invalid"));
    CHECK(
        has(result.err, std::string("/cases/0/attrs/") + attribute + ": \"nonsense\"; expected "));
  }
}

}  // namespace facsim::test
