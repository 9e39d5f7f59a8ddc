// SPDX-License-Identifier: Apache-2.0
// What identify answers: the shipped profiles by name, profiles it writes, rows within limits.
#include <doctest/doctest.h>

#include <fstream>

#include "backends/io/npy.h"
#include "tests/tools/identify_issue.h"
#include "tests/tools/printed_schema.h"

namespace facsim::test {

TEST_CASE(
    "facsim identify: every shipped profile that fits is named, the others by what excludes") {
  const std::string printed = identify_issue({"--out", "-120", "--format", "json"}).out;
  CHECK(schema_findings("identify", printed) == "");
  const auto json = nlohmann::json::parse(printed);
  for (const char* profile : {"xnnpack-x86", "onnxruntime-cpu", "onednn"}) {
    CAPTURE(profile);
    CHECK(fits_as_shipped(json, profile));
    CHECK(exclusion_of(json, profile).is_null());
  }
  const auto tflite = exclusion_of(json, "tflite-micro");
  CHECK(tflite.at("row") == 0);
  CHECK(tflite.at("expected") == -120);
  CHECK(tflite.at("computed") == -119);
  CHECK(tflite.at("evidence") == "executed");
  CHECK_FALSE(fits_as_shipped(json, "tflite-micro"));
  // By the rules of most of its ops, not by those of one odd op.
  const auto once = exclusion_of(json, "tflite-single-rounding");
  CHECK(once.at("computed") == -119);
  const auto& shipped = json.at("shipped");
  CHECK(shipped.at("tried") >= shipped.at("fitting").size() + shipped.at("excluded").size());
  // In the table each has its name: those that fit are no longer hidden in a count.
  const std::string table = identify_issue({"--out", "-120"}).out;
  const size_t fit = table.find("tried as shipped; these fit:");
  const size_t excluded = table.find("excluded: ");
  REQUIRE(fit != std::string::npos);
  REQUIRE(excluded != std::string::npos);
  for (const char* profile : {"xnnpack-x86", "onnxruntime-cpu", "onednn"}) {
    const size_t at = table.find(profile, fit);
    CHECK(at < excluded);
  }
  CHECK(table.find("row 0, device -120: -119 by", excluded) != std::string::npos);
  CHECK(table.find("tflite-micro", excluded) != std::string::npos);
}

TEST_CASE("facsim identify: a profile is excluded by the first row that it does not reproduce") {
  // 7 / 16 rounded twice is 1; 100 / 16 is 6.25, where the device, which rounds up, gives 7.
  const std::vector<std::string> words = {
      "identify",     "--acc", "7,100", "--multiplier", "1073774592", "--shift", "34",
      "--zero-point", "0",     "--out", "1,7",          "--format",   "json"};
  const std::string printed = run_command(words).out;
  CHECK(schema_findings("identify", printed) == "");
  const auto json = nlohmann::json::parse(printed);
  const auto twice = exclusion_of(json, "tflite-micro");
  CHECK(twice.at("row") == 1);
  CHECK(twice.at("expected") == 7);
  CHECK(twice.at("computed") == 6);
  const auto once = exclusion_of(json, "tflite-single-rounding");
  CHECK(once.at("row") == 0);
  CHECK(once.at("expected") == 1);
  CHECK(once.at("computed") == 0);
}

TEST_CASE("facsim identify: --emit of an undecided answer writes nothing and says so; --any does") {
  const TempFolder folder;
  const std::string file = (folder / "x.json").string();
  const CommandResult undecided = identify_issue({"--out", "-120", "--emit", file});
  CHECK(undecided.exit_code == 0);
  CHECK(undecided.out.find("undecided:") != std::string::npos);
  CHECK(undecided.err.find("not written: ") != std::string::npos);
  CHECK(undecided.err.find("classes are left") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(file));
  const CommandResult any =
      identify_issue({"--out", "-120", "--emit", file, "--any", "--format", "json"});
  CAPTURE(any.err);
  CHECK(any.exit_code == 0);
  CHECK(schema_findings("identify", any.out) == "");
  const auto json = nlohmann::json::parse(any.out);
  CHECK(json.at("emitted").at("file") == file);
  CHECK(json.at("emitted").at("other_classes") == json.at("classes").size() - 1);
  REQUIRE(std::filesystem::exists(file));
  const auto written = nlohmann::json::parse(std::ifstream(file));
  CHECK(written.at("extends") == json.at("classes")[0].at("best").at("profile"));
  CHECK(run_command({"profile", "lint", file}).exit_code == 0);
  // What cannot be written is said before the search.
  CHECK(identify_issue({"--out", "-120", "--emit", file, "--any"}).exit_code == 3);  // exists
  CHECK(identify_issue({"--out", "-120", "--any"}).exit_code == 2);
}

TEST_CASE(
    "facsim identify: suggested rows keep to accumulators and scales that the device can do") {
  const TempFolder folder;
  const std::filesystem::path next = folder / "next";
  const CommandResult result =
      identify_issue({"--out", "-120", "--suggest-vectors", "6", "-o", next.string(), "--acc-range",
                      "-2000:2000", "--keep-scales", "--format", "json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(schema_findings("identify", result.out) == "");
  auto json = nlohmann::json::parse(result.out);
  const auto& limits = json.at("limits");
  CHECK(limits.at("acc_range") == nlohmann::json({-2000, 2000}));
  CHECK(limits.at("keep_scales") == true);
  // Four thousand rows of one scale decide much, but not what other scales would show.
  CHECK(limits.at("separable_classes") > 20);
  CHECK(limits.at("separable_classes") < json.at("classes").size());
  const Tensor acc = backends::read_npy(next / "acc.npy");
  REQUIRE(acc.numel() == 6);
  for (int64_t i = 0; i < acc.numel(); ++i) {
    CHECK(acc.int_at(i) >= -2000);
    CHECK(acc.int_at(i) <= 2000);
    CHECK(backends::read_npy(next / "input_scale.npy").data<float>()[i] == 0.05296124517917633f);
    CHECK(backends::read_npy(next / "weight_scale.npy").data<float>()[i] == 0.024093778803944588f);
    CHECK(backends::read_npy(next / "output_scale.npy").data<float>()[i] == 0.11484327912330627f);
    CHECK(backends::read_npy(next / "zero_point.npy").int_at(i) == -126);
  }
  // The dialogue remembers the limits.
  const auto state = nlohmann::json::parse(std::ifstream(next / "state.json"));
  CHECK(state.at("acc_range") == nlohmann::json({-2000, 2000}));
  CHECK(state.at("keep_scales") == true);
  // The schema refuses numbers as texts, and an answer without its classes.
  json["rows"] = "1";
  CHECK(schema_findings("identify", json.dump()).find("rows") != std::string::npos);
  json["rows"] = 1;
  json.erase("classes");
  CHECK(schema_findings("identify", json.dump()) != "");
}

TEST_CASE("facsim identify: limits within which nothing separates are said, with what stays") {
  const TempFolder folder;
  const std::string next = (folder / "next").string();
  const std::vector<std::string> words = {"--out",       "-120",    "--suggest-vectors",
                                          "6",           "-o",      next,
                                          "--acc-range", "585:585", "--keep-scales"};
  const CommandResult table = identify_issue(words);
  CHECK(table.exit_code == 0);
  CHECK(table.out.find("nothing to suggest: no rows with accumulators 585 to 585 and the recorded "
                       "scales") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(next));
  std::vector<std::string> as_json = words;
  as_json.insert(as_json.end(), {"--format", "json"});
  const auto json = nlohmann::json::parse(identify_issue(as_json).out);
  CHECK(json.at("limits").at("separable_classes") == 1);
  CHECK(json.at("classes").size() > 10);
  CHECK_FALSE(json.contains("suggested"));
  for (const char* range : {"5", "3:1", "a:4", "1:2x", ":"}) {
    CAPTURE(range);
    CHECK(identify_issue({"--out", "-120", "--acc-range", range}).exit_code == 2);
  }
  CHECK(run_command({"identify", "--suite", next, "--keep-scales"}).exit_code == 2);
}

}  // namespace facsim::test
