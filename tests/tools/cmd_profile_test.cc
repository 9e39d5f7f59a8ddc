// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/command_runner.h"

namespace facsim::test {
namespace {

using Json = nlohmann::json;

const std::string kProfiles = std::string(FACSIM_SOURCE_DIR) + "/configs/profiles";
const std::string kBad = std::string(FACSIM_SOURCE_DIR) + "/tests/profiles/bad";

CommandResult profile(std::vector<std::string> words) {
  std::vector<std::string> arguments = {"--profile-path", kProfiles, "profile"};
  arguments.insert(arguments.end(), words.begin(), words.end());
  return run_command(arguments);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("facsim profile: list shows name, evidence and title") {
  const CommandResult table = profile({"list"});
  CHECK(table.exit_code == 0);
  CHECK(contains(table.out, "tflite-micro            executed"));
  const Json json = Json::parse(profile({"list", "--format", "json"}).out);
  bool found = false;
  for (const Json& entry : json["profiles"]) {
    if (entry["name"] != "tensorrt") continue;
    found = true;
    CHECK(entry["evidence"]["level"] == "documented");
    CHECK(entry["fingerprint"].get<std::string>().size() == 16);
  }
  CHECK(found);
}

TEST_CASE("facsim profile: show prints the resolved profile, with overrides") {
  const Json json = Json::parse(
      profile({"show", "tflite-micro", "--format", "json", "--set", "/accumulator/bits=40"}).out);
  CHECK(json["accumulator"]["bits"] == 40);
  CHECK(json["accumulator"]["overflow"] == "wrap");
  CHECK(!json.contains("extends"));
  const CommandResult table = profile({"show", "tflite-micro"});
  CHECK(table.exit_code == 0);
  CHECK(contains(table.out, "tflite-reference.json:"));
  CHECK(contains(table.err, "fingerprint"));
}

TEST_CASE("facsim profile: lint's exit code follows its findings") {
  CHECK(profile({"lint", "tflite-micro"}).exit_code == 0);
  const CommandResult warned = profile({"lint", "example-chip"});
  CHECK(warned.exit_code == 0);
  CHECK(contains(warned.out, "warning[accumulator-overflow]: 294 taps"));
  CHECK(profile({"lint", "--strict", "example-chip"}).exit_code == 1);
  const CommandResult failed = profile({"lint", "tflite-micro", "--set", "/accumulator/bits=12"});
  CHECK(failed.exit_code == 1);
  CHECK(contains(failed.out, "error[accumulator-narrow]: 12 bits, 16 needed for one product"));
  const Json json = Json::parse(profile({"lint", "example-chip", "--format", "json"}).out);
  CHECK(json["errors"] == 0);
  CHECK(json["findings"][0]["pointer"] == "/accumulator/bits");
}

TEST_CASE("facsim profile: lint --format sarif gives rules, places and relative URIs") {
  const CommandResult warned = profile({"lint", "example-chip", "--format", "sarif"});
  CHECK(warned.exit_code == 0);
  const Json log = Json::parse(warned.out);
  CHECK(log["version"] == "2.1.0");
  const Json& run = log["runs"][0];
  CHECK(run["tool"]["driver"]["name"] == "facsim");
  CHECK(run["columnKind"] == "unicodeCodePoints");
  const Json& result = run["results"][0];
  CHECK(result["ruleId"] == "accumulator-overflow");
  CHECK(result["level"] == "warning");
  const Json& rule = run["tool"]["driver"]["rules"][result["ruleIndex"].get<size_t>()];
  CHECK(rule["id"] == "accumulator-overflow");
  CHECK(rule["shortDescription"]["text"] == "Accumulator overflow");
  CHECK(contains(result["message"]["text"].get<std::string>(), "294 taps"));
  CHECK(result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "/accumulator/bits");
  const Json& physical = result["locations"][0]["physicalLocation"];
  CHECK(physical["region"]["startLine"] > 1);
  CHECK(physical["region"]["startColumn"] > 1);
  const std::string text = profile({"lint", "example-chip"}).out;
  const std::string place = "example-chip.json:" + physical["region"]["startLine"].dump() + ":" +
                            physical["region"]["startColumn"].dump() + " ";
  CHECK(contains(text, place));

  CHECK(profile({"lint", "--strict", "example-chip", "--format", "sarif"}).exit_code == 1);
  const Json plain = Json::parse(profile({"lint", "tflite-micro", "--format", "json"}).out);
  const Json same = Json::parse(profile({"lint", "tflite-micro", "--format", "sarif"}).out);
  CHECK(same["runs"][0]["results"].size() == plain["findings"].size());
  CHECK(run_command({"--format", "sarif", "list", "rounding"}).exit_code == 2);
  CHECK(profile({"lint", "example-chip", "--format", "sarf"}).exit_code == 2);
}

TEST_CASE("facsim profile: in SARIF a file that does not load is a finding in that file") {
  // Below the folder the command runs in, a URI is relative to it; elsewhere it is absolute.
  const auto uri_and_base = [](const std::string& file) {
    const CommandResult result = profile({"lint", file, "--format", "sarif"});
    CHECK(result.exit_code == 3);
    const Json log = Json::parse(result.out);
    Json physical;  // besides it, the name is not the file's
    for (const Json& finding : log["runs"][0]["results"]) {
      CHECK(finding["ruleId"] == "load-bad-value");
      CHECK(finding["level"] == "error");
      const Json& place = finding["locations"][0]["physicalLocation"];
      if (place["region"] == Json({{"startLine", 6}, {"startColumn", 49}})) physical = place;
    }
    REQUIRE(!physical.is_null());
    const Json& artifact = physical["artifactLocation"];
    return std::pair(artifact["uri"].get<std::string>(), artifact.value("uriBaseId", ""));
  };
  const std::string bytes = contents(kBad + "/bad_value__rounding_nearest.json");
  const TempFolder elsewhere;
  elsewhere.write("a b.json", bytes);
  CHECK(uri_and_base((elsewhere / "a b.json").string()) ==
        std::pair("file://" + elsewhere.path().string() + "/a%20b.json", std::string()));
  const std::string here = "facsim-test-sarif-profile.json";
  std::ofstream(here) << bytes;
  CHECK(uri_and_base("./" + here) == std::pair(here, std::string("%SRCROOT%")));
  std::filesystem::remove(here);
}

TEST_CASE("facsim profile: a bad file is invalid input, on one line with its place") {
  const CommandResult result = profile({"lint", kBad + "/bad_value__rounding_nearest.json"});
  CHECK(result.exit_code == 3);
  CHECK(result.out.empty());
  CHECK(contains(result.err,
                 "bad_value__rounding_nearest.json:6:49 "
                 "/ops/conv2d/requantize/rounding: \"nearest\" is not a rounding mode; "
                 "expected one of half_up"));
}

TEST_CASE("facsim profile: explain names value, origin and example") {
  const CommandResult result = profile({"explain", "tflite-micro", "/requantize/rounding"});
  CHECK(result.exit_code == 0);
  CHECK(contains(result.out, "set by"));
  CHECK(contains(result.out, "tflite-reference.json:"));
  CHECK(contains(result.out, "example"));
  const CommandResult unknown = profile({"explain", "tflite-micro", "/requantize/roundin"});
  CHECK(unknown.exit_code == 3);
  CHECK(contains(unknown.err, "did you mean \"/requantize/rounding\"?"));
}

TEST_CASE("facsim profile: explain takes an op's word, and names the ops there are") {
  const CommandResult op = profile({"explain", "tflite-micro", "conv2d"});
  CHECK(op.exit_code == 0);
  CHECK(op.out == profile({"explain", "tflite-micro", "/ops/conv2d"}).out);
  CHECK(profile({"explain", "tflite-micro", "conv2d int16x8"}).out ==
        profile({"explain", "tflite-micro", "/ops/conv2d/variants/int16x8"}).out);
  const CommandResult absent = profile({"explain", "gemmlowp", "svdf"});
  CHECK(absent.exit_code == 4);
  CHECK(contains(absent.err, "profile gemmlowp: no op \"svdf\"; expected one of its ops: "));
  CHECK(contains(absent.err, "linear"));
  const CommandResult unknown = profile({"explain", "tflite-micro", "conv3d"});
  CHECK(unknown.exit_code == 3);
  CHECK(contains(unknown.err, "batch_matmul, concat, conv2d, depthwise_conv2d"));
  CHECK(contains(unknown.err, "did you mean \"conv2d\"?"));
  CHECK(profile({"explain", "tflite-micro", "conv2d int16x9"}).exit_code != 0);
}

TEST_CASE("facsim profile: schema is JSON, usage errors are exit code 2") {
  CHECK(Json::parse(profile({"schema"}).out)["additionalProperties"] == false);
  CHECK(profile({}).exit_code == 2);
  CHECK(profile({"lint"}).exit_code == 2);
}

}  // namespace
TEST_CASE("facsim profile fields: every field with its values, default, meaning") {
  const CommandResult result = run_command({"profile", "fields"});
  CHECK(result.exit_code == 0);
  CHECK(contains(result.out, "| `/accumulator/bits` | an integer in 8..64 | `32` |"));
  CHECK(contains(result.out, "| `half_even` |"));
}

}  // namespace facsim::test
