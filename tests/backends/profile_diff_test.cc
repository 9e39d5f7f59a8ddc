// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <string>

#include "backends/lower/given_arguments.h"
#include "backends/parity/profile_diff.h"
#include "sim/core/error.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::backends {
namespace {

using Verdict = OpDifference::Verdict;

const ProfileSearch& search() {
  static const ProfileSearch standard = ProfileSearch::standard();
  return standard;
}

std::map<std::string, SettingDifference> settings(const ProfileChoice& a, const ProfileChoice& b) {
  std::map<std::string, SettingDifference> by_pointer;
  for (const SettingDifference& d : setting_differences(a, b, search())) {
    CHECK_MESSAGE(by_pointer.emplace(d.pointer, d).second, d.pointer);
    CHECK_MESSAGE(d.a != d.b, d.pointer);
  }
  return by_pointer;
}

std::vector<OpDifference> numbers(const ProfileChoice& a, const ProfileChoice& b,
                                  const std::string& op = "") {
  ProfileDiffOptions options;
  options.search = search();
  options.a = a;
  options.b = b;
  options.op = op;
  return numeric_differences(options);
}

OpDifference one(const ProfileChoice& a, const ProfileChoice& b, const std::string& op) {
  const std::vector<OpDifference> all = numbers(a, b, op);
  REQUIRE(all.size() == 1);
  return all.front();
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

TEST_CASE("profile diff: settings that differ, with who set them and what they mean") {
  const auto all = settings({"tflite-reference", {}}, {"tflite-single-rounding", {}});
  const SettingDifference& rounding = all.at("/requantize/rounding");
  CHECK(rounding.b == "\"half_up\"");
  CHECK(rounding.a.find("half_away_from_zero") != std::string::npos);
  CHECK(rounding.a_place.find("tflite-reference.json:") != std::string::npos);
  CHECK(rounding.b_place.find("tflite-single-rounding.json:") != std::string::npos);
  CHECK(rounding.b_place.find(" /") == std::string::npos);
  CHECK(rounding.meaning.find("half_up: nearest, ties towards +infinity") != std::string::npos);
  const SettingDifference& svdf = all.at("/ops/svdf");
  CHECK(svdf.a.empty());
  CHECK(svdf.meaning == "an op that is absent is unsupported");
  // Only where an op says otherwise.
  CHECK_FALSE(all.contains("/ops/conv2d/requantize/rounding"));
  CHECK_FALSE(all.contains("/evidence/level"));
}

TEST_CASE("profile diff: an override is a difference, what is only written otherwise is none") {
  const ProfileOverride floor{"/requantize/rounding", "floor"};
  const auto all = settings({"ruy", {}}, {"ruy", {floor}});
  REQUIRE(all.size() == 1);
  CHECK(all.begin()->second.b_place == "--set /requantize/rounding=floor");
  CHECK(settings({"ruy", {}}, {"ruy", {}}).empty());
  // ruy's rounding, repeated for one op.
  const ProfileOverride same{"/ops/linear/requantize/rounding", "half_up"};
  CHECK(settings({"ruy", {}}, {"ruy", {same}}).empty());
  const auto op = settings({"ruy", {}}, {"ruy", {{"/ops/linear/requantize/rounding", "floor"}}});
  REQUIRE(op.size() == 1);
  CHECK(op.begin()->first == "/ops/linear/requantize/rounding");
  CHECK(op.begin()->second.a == "\"half_up\"");
}

TEST_CASE("profile diff --numeric: double and single rounding part at accumulator 1") {
  // acc 1 * 2^-2: (1 * 2^30 + 2^30) >> 31 = 1, then 1 / 2 = 0.5 away from zero = 1; in one shift
  // 0.25 = 0. Smaller scales give the same; 0 gives 0 everywhere; 1/2 is 1 on both sides.
  const OpDifference conv = one({"tflite-reference", {}}, {"tflite-single-rounding", {}}, "conv2d");
  CHECK(conv.verdict == Verdict::separated);
  REQUIRE(conv.smallest);
  REQUIRE(conv.smallest->scales);
  CHECK(*conv.smallest->a.accumulator == 1);
  CHECK(conv.smallest->scales->input == 0.25f);
  CHECK(conv.smallest->scales->zero_point == 0);
  CHECK(*conv.smallest->a.multiplier == int64_t{1} << 30);
  CHECK(*conv.smallest->b.shift == 32);
  CHECK(conv.smallest->a.output == "1");
  CHECK(conv.smallest->b.output == "0");
  CHECK(conv.smallest->a.steps.back().ends_with("-> 1"));
}

TEST_CASE("profile diff --numeric: what is reported is what facsim requantize computes") {
  for (const char* name : {"ruy", "xnnpack-x86", "onnxruntime-cpu", "gemmlowp", "tosa"}) {
    CAPTURE(name);
    const OpDifference linear = one({"tflite-reference", {}}, {name, {}}, "linear");
    if (linear.verdict != Verdict::separated || !linear.smallest->scales) continue;
    const auto output = [&](const char* profile) {
      GivenArguments given;
      given.scale = {linear.smallest->scales->input};
      given.zero_point = {linear.smallest->scales->zero_point};
      given.output = linear.smallest->scales->type;
      const sim::Requantizer requantize =
          make_requantizer(load_profile(profile, search()).rules("linear"), given);
      sim::Events events;
      return std::to_string(requantize.apply(*linear.smallest->a.accumulator, 0, events));
    };
    CHECK(output("tflite-reference") == linear.smallest->a.output);
    CHECK(output(name) == linear.smallest->b.output);
    CHECK(linear.smallest->a.output != linear.smallest->b.output);
  }
}

TEST_CASE("profile diff --numeric: the same profile is proved equal, op by op") {
  for (const char* name : {"tflite-micro", "xnnpack-x86", "nvdla", "hls4ml"}) {
    CAPTURE(name);
    const std::vector<OpDifference> all = numbers({name, {}}, {name, {}});
    CHECK(all.size() == load_profile(name, search()).ops.size());
    for (const OpDifference& op : all) {
      CHECK_MESSAGE(op.verdict == Verdict::equal, op.op);
      CHECK(!op.proof.empty());
      CHECK(op.compared == 0);
    }
  }
}

TEST_CASE("profile diff --numeric: another spelling of the same steps is proved equal") {
  const TemporaryFolder folder;
  const auto spelled = [&](const std::string& name, const std::string& narrowing) {
    const auto file = folder / (name + ".json");
    write(file, R"({"schema_version": 1, "name": ")" + name + R"(", "extends": "ruy",
  "requantize": {"steps": [
    {"op": "mul", "arg": "multiplier"}, {"op": "shr", "arg": "shift", "rounding": "half_up"},)" +
                    narrowing + R"(
    {"op": "add", "arg": "zero_point"}, {"op": "resize", "bits": "output", "overflow": "saturate"},
    {"op": "clamp", "min": "clamp_min", "max": "clamp_max"}]}})");
    return one({"ruy", {}}, {file.string(), {}}, "linear");
  };
  const OpDifference same = spelled("same", R"({"op": "resize", "bits": 32, "overflow": "wrap"},)");
  CHECK(same.verdict == Verdict::equal);
  CHECK(same.proof.find("written in other fields") != std::string::npos);
  // Without ruy's cast to 32 bits: (-2^31 + 1) * 2 = -2^32 + 2, which wraps to 2 there.
  const OpDifference wide = spelled("wide", "");
  CHECK(wide.verdict == Verdict::separated);
  CHECK(*wide.smallest->a.accumulator == -2147483647);
  CHECK(wide.smallest->scales->input == 2.0f);
  CHECK(wide.smallest->a.output == "2");
  CHECK(wide.smallest->b.output == "-128");
}

TEST_CASE("profile diff --numeric: a rule that no step reads is no difference, others are found") {
  const auto changed = [](const char* pointer, const char* value, const char* op) {
    return one({"onnxruntime-cpu", {}}, {"onnxruntime-cpu", {{pointer, value}}}, op);
  };
  const OpDifference bits = changed("/requantize/multiplier/bits", "16", "conv2d");
  CHECK(bits.verdict == Verdict::equal);  // float32: no integer multiplier
  CHECK(bits.proof.find("no step reads") != std::string::npos);
  const OpDifference rounding = changed("/requantize/rounding", "half_up", "conv2d");
  CHECK(rounding.verdict == Verdict::separated);
  CHECK(*rounding.smallest->a.accumulator == 1);  // 0.5: half_even 0, half_up 1
  CHECK(rounding.smallest->scales->input == 0.5f);
  // No requantizer differs: a whole layer does.
  const OpDifference narrow = changed("/accumulator/bits", "17", "conv2d");
  CHECK(narrow.verdict == Verdict::separated);
  CHECK_FALSE(narrow.smallest->scales);
  CHECK(narrow.smallest->layer.starts_with("conv2d: "));
  CHECK(narrow.smallest->index.size() == 4);
  CHECK(narrow.smallest->a.output != narrow.smallest->b.output);
}

TEST_CASE("profile diff --numeric: how the scales are multiplied shows with three scales") {
  const OpDifference linear =
      one({"tflite-reference", {}},
          {"tflite-reference", {{"/requantize/multiplier/scale_product", "float32"}}}, "conv2d");
  // Multipliers of Q31 that differ in their last bits part only where a product is next to a tie.
  CHECK((linear.verdict == Verdict::separated || linear.verdict == Verdict::not_separated));
  CHECK(linear.compared > 100'000);
  if (linear.smallest) CHECK(linear.smallest->scales->output != 1.0f);
}

TEST_CASE("profile diff --numeric: ops and variants that a side does not have") {
  CHECK(one({"tflite-reference", {}}, {"tflite-micro", {}}, "svdf").verdict == Verdict::only_in_b);
  CHECK(one({"tflite-micro", {}}, {"tflite-reference", {}}, "svdf").verdict == Verdict::only_in_a);
  CHECK(one({"tflite-micro", {}}, {"gemmlowp", {}}, "conv2d").verdict == Verdict::only_in_a);
  CHECK_THROWS_AS(numbers({"gemmlowp", {}}, {"ruy", {}}, "svdf"), const Error&);
  // A variant that no layer selects and the other side does not have.
  const OpDifference legacy = one({"gemmlowp", {}}, {"ruy", {}}, "linear legacy uint8");
  CHECK(legacy.verdict == Verdict::only_in_a);
  CHECK(legacy.reason.find("without `when`") != std::string::npos);
}

TEST_CASE("profile diff --numeric: ops that move codes are equal, whatever the requantization") {
  const ProfileOverride floor{"/requantize/rounding", "floor"};
  for (const char* op : {"max_pool2d", "pad", "slice", "transpose", "minimum", "maximum", "lut",
                         "quantize", "dequantize", "resize"}) {
    CAPTURE(op);
    const OpDifference found = one({"tflite-micro", {}}, {"tflite-micro", {floor}}, op);
    CHECK(found.verdict == Verdict::equal);
    CHECK(found.proof.find("reads neither") != std::string::npos);
  }
  for (const char* op : {"requantize", "add", "mean", "concat", "mul"}) {
    CAPTURE(op);
    CHECK(one({"tflite-micro", {}}, {"tflite-micro", {floor}}, op).verdict == Verdict::separated);
  }
}

TEST_CASE("profile diff --numeric: the same seed finds the same vectors, progress can stop it") {
  const auto text = [](const std::vector<OpDifference>& all) {
    std::string out;
    for (const OpDifference& op : all) {
      out += op.op + std::string(to_string(op.verdict)) + std::to_string(op.compared);
      if (op.smallest) out += op.smallest->layer + op.smallest->a.output;
    }
    return out;
  };
  CHECK(text(numbers({"qnnpack", {}}, {"xnnpack-x86", {}})) ==
        text(numbers({"qnnpack", {}}, {"xnnpack-x86", {}})));
  ProfileDiffOptions options;
  options.search = search();
  options.a = {"qnnpack", {}};
  options.b = {"xnnpack-x86", {}};
  options.progress = [](int64_t, int64_t) { throw 7; };
  CHECK_THROWS_AS(numeric_differences(options), int);
}

}  // namespace
}  // namespace facsim::backends
