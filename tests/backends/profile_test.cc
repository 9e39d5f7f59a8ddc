// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/profile.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/core/error.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::backends {
namespace {

const ProfileSearch& shipped() {
  static const ProfileSearch search{{std::string(FACSIM_SOURCE_DIR) + "/configs/profiles"}};
  return search;
}

bool has_rule(const std::vector<LintFinding>& findings, const std::string& rule,
              const std::string& pointer) {
  return std::any_of(findings.begin(), findings.end(), [&](const LintFinding& finding) {
    return finding.rule == rule && finding.pointer == pointer;
  });
}

TEST_CASE("profile: every shipped profile loads and lints without errors") {
  const std::vector<std::string> names = list_profiles(shipped());
  for (const char* name :
       {"cmsis-nn", "example-chip", "onnxruntime-cpu", "tensorrt", "tflite-micro",
        "tflite-reference", "tflite-single-rounding", "vitis-ai", "xnnpack-x86"}) {
    CHECK(std::find(names.begin(), names.end(), name) != names.end());
  }
  for (const std::string& name : names) {
    CAPTURE(name);
    const Profile profile = load_profile(name, shipped());
    CHECK(profile.name == name);
    CHECK(!profile.title.empty());
    CHECK(!profile.evidence.sources.empty());
    CHECK(profile.fingerprint.size() == 16);
    CHECK(!profile.ops.empty());
    for (const LintFinding& finding : lint_profile(name, shipped())) {
      CAPTURE(finding.message);
      CHECK(!finding.is_error);
      CHECK(finding.place.find(".json:") != std::string::npos);
    }
  }
}

TEST_CASE("profile: rules say what the platforms do") {
  const Profile vitis = load_profile("vitis-ai", shipped());
  CHECK(vitis.rules("conv2d").bias.bits == 8);
  CHECK(vitis.rules("conv2d").bias.scale == BiasSpec::Scale::own_power_of_two);
  CHECK(vitis.rules("conv2d").weight.scale == quant::TensorSpec::Scale::power_of_two);
  CHECK(vitis.rules("conv2d").max_shift == 16);
  CHECK(vitis.rules("relu").max_shift == 31);

  const Profile tensorrt = load_profile("tensorrt", shipped());
  CHECK(!tensorrt.bit_exact);
  CHECK(tensorrt.tolerance_lsb == 1);
  CHECK(tensorrt.rules("linear").bias.kind == BiasSpec::Kind::float32);
  CHECK(tensorrt.rules("linear").padding == OpRules::PaddingValue::zero);

  const Profile chip = load_profile("example-chip", shipped());
  const OpRules& conv = chip.rules("conv2d");
  CHECK(conv.weight.type == sim::IntType{4, true});
  CHECK(conv.weight.quant_min() == -7);
  CHECK(conv.accumulator.bits == 20);
  CHECK(conv.accumulator.overflow == sim::Overflow::saturate);
  CHECK(conv.accumulator.order == sim::Accumulator::Order::sequential);
  CHECK(conv.multiplier.bits == 16);
  CHECK(chip.rules("avg_pool2d").algorithm_rounding == sim::Rounding::half_even);

  const Profile micro = load_profile("tflite-micro", shipped());
  CHECK(micro.rules("add").algorithm == "scaled_add");
  CHECK(micro.rules("add").algorithm_params.at("left_shift") == 20);
  CHECK(micro.rules("relu").multiplier.scale_product ==
        quant::MultiplierSpec::ScaleProduct::float32);
  CHECK(micro.rules("conv2d").weight_types == std::vector<sim::IntType>{{8, true}, {4, true}});
}

TEST_CASE("profile: an absent op is unsupported, by name") {
  const Profile profile = load_profile("tflite-micro", shipped(), {{"/ops/lut", "null"}});
  try {
    profile.rules("lut");
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::unsupported);
    CHECK(e.infos().front().place == "profile tflite-micro");
  }
}

TEST_CASE("profile: a file changes what it extends; evidence is not inherited") {
  const TemporaryFolder folder;
  folder.write("base.json", R"({"schema_version": 1, "name": "base", "title": "Base",
    "extends": "tflite-reference", "evidence": {"level": "executed", "sources": ["s"]},
    "accumulator": {"bits": 24}})");
  folder.write("child.json", R"({"schema_version": 1, "name": "child", "extends": "base.json",
    "accumulator": {"overflow": "saturate"}, "ops": {"lut": null, "add": {"accumulator": {"bits": 40}}}})");
  const Profile child = load_profile((folder / "child.json").string(), shipped());
  CHECK(child.title.empty());
  CHECK(child.evidence.level == Profile::Evidence::Level::assumed);
  CHECK(child.rules("conv2d").accumulator.bits == 24);
  CHECK(child.rules("conv2d").accumulator.overflow == sim::Overflow::saturate);
  CHECK(child.rules("add").accumulator.bits == 40);
  CHECK(child.rules("add").accumulator.overflow == sim::Overflow::saturate);
  CHECK(!child.ops.contains("lut"));
}

TEST_CASE("profile: --set changes one rule, also inside lists and for one op") {
  const auto rounding_of = [](const std::vector<ProfileOverride>& overrides, const char* op) {
    return load_profile("tflite-single-rounding", shipped(), overrides)
        .rules(op)
        .requantize.steps[1]
        .rounding;
  };
  CHECK(rounding_of({}, "conv2d") == sim::Rounding::half_up);
  CHECK(rounding_of({{"/requantize/rounding", "half_even"}}, "conv2d") == sim::Rounding::half_even);
  CHECK(rounding_of({{"/ops/conv2d/requantize/rounding", "floor"}}, "conv2d") ==
        sim::Rounding::floor);
  CHECK(rounding_of({{"/ops/conv2d/requantize/rounding", "floor"}}, "linear") ==
        sim::Rounding::half_up);
  const Profile listed = load_profile(
      "tflite-micro", shipped(),
      {{"/requantize/rounding/1/mode", "half_up"}, {"/accumulator", R"({"bits": 40})"}});
  CHECK(listed.rules("conv2d").requantize.steps[5].rounding == sim::Rounding::half_up);
  CHECK(listed.rules("conv2d").accumulator.bits == 40);
}

TEST_CASE("profile: a wrong --set is an error that shows it") {
  struct Case {
    const char *pointer, *value, *expected;
  };
  for (const Case& c :
       {Case{"/requantize/rounding", "nearest", "is not a rounding mode"},
        Case{"/requantize/roundng", "floor", "did you mean \"rounding\"?"},
        Case{"/requantize/rounding/7/mode", "floor", "not an index of the list"},
        Case{"/accumulator/bits/x", "3", "expected an integer in 8..64"},
        Case{"requantize", "floor", "is not a JSON pointer"},
        Case{"", "floor", "is not a JSON pointer"}, Case{"/extends", "tensorrt", "cannot be set"},
        Case{"/name", "x", "cannot be set"},
        Case{"/accumulator/bits", "{\"a\": ", "expected an integer in 8..64"}}) {
    CAPTURE(c.pointer);
    try {
      load_profile("tflite-micro", shipped(), {{c.pointer, c.value}});
      FAIL("no error");
    } catch (const Error& e) {
      const std::string text = e.what();
      CAPTURE(text);
      CHECK(text.find(c.expected) != std::string::npos);
      CHECK(text.find(std::string("--set ") + c.pointer + "=" + c.value) != std::string::npos);
    }
  }
}

TEST_CASE("profile: the fingerprint follows the rules, not the words around them") {
  const TemporaryFolder folder;
  folder.write("same.json", R"(// another file with the same rules
    {"title": "Other words", "extends": "tflite-reference", "name": "same", "schema_version": 1,
     "accumulator": {"overflow": "wrap", "bits": 32}})");
  const auto fingerprint_of = [&](std::string_view name,
                                  const std::vector<ProfileOverride>& overrides) {
    return load_profile(name, shipped(), overrides).fingerprint;
  };
  const std::string base = fingerprint_of("tflite-reference", {});
  CHECK(fingerprint_of("tflite-reference", {}) == base);
  CHECK(fingerprint_of((folder / "same.json").string(), {}) == base);
  CHECK(fingerprint_of("tflite-reference", {{"/accumulator/bits", "32"}}) == base);
  CHECK(fingerprint_of("tflite-reference", {{"/accumulator/bits", "31"}}) != base);
  CHECK(fingerprint_of("tflite-single-rounding", {}) != base);
}

TEST_CASE("profile: an unknown name gets a suggestion") {
  try {
    load_profile("tflite-mikro", shipped());
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == ErrorCode::io);
    CHECK(e.infos().front().hint == "did you mean \"tflite-micro\"?");
  }
}

TEST_CASE("profile explain: value, who set it, what it replaces, meaning, example") {
  const std::string text =
      explain_profile("tflite-single-rounding", shipped(), "/requantize/rounding");
  CHECK(text.find("/requantize/rounding = \"half_up\"") == 0);
  CHECK(text.find("set by   " + std::string(FACSIM_SOURCE_DIR) +
                  "/configs/profiles/tflite-single-rounding.json:") != std::string::npos);
  CHECK(text.find("over     " + std::string(FACSIM_SOURCE_DIR) +
                  "/configs/profiles/tflite-reference.json:") != std::string::npos);
  CHECK(text.find("half_away_from_zero -> 1, a single half_up -> 0") != std::string::npos);

  const std::string op = explain_profile("tflite-micro", shipped(), "/ops/conv2d/accumulator/bits");
  CHECK(op.find("/ops/conv2d/accumulator/bits = 32") == 0);
  CHECK(op.find("from     /accumulator/bits of the profile") != std::string::npos);
  CHECK(op.find("allowed  an integer in 8..64") != std::string::npos);

  CHECK(explain_profile("tflite-micro", shipped(), "/output/overflow")
            .find("set by   a default of the format") != std::string::npos);
  CHECK(explain_profile("tflite-micro", shipped(), "/ops/conv2d/accumulator/bits",
                        {{"/accumulator/bits", "24"}})
            .find("set by   --set /accumulator/bits=24") != std::string::npos);
  CHECK_THROWS_AS(explain_profile("tflite-micro", shipped(), "/acumulator/bits"), Error);
}

TEST_CASE("profile settings: every value with who set it") {
  bool found = false;
  for (const ProfileSetting& setting : profile_settings("tflite-micro", shipped())) {
    if (setting.pointer != "/ops/relu/requantize/multiplier/scale_product") continue;
    CHECK(setting.value == "\"float32\"");
    CHECK(setting.place.find("tflite-micro.json:") != std::string::npos);
    found = true;
  }
  CHECK(found);
}

TEST_CASE("profile lint: each rule finds its example") {
  struct Case {
    const char* rule;
    const char* pointer;
    const char* profile;
    std::vector<ProfileOverride> overrides;
    bool is_error;
  };
  const Case cases[] = {
      {"accumulator-narrow",
       "/accumulator/bits",
       "tflite-micro",
       {{"/accumulator/bits", "12"}},
       true},
      {"accumulator-overflow", "/accumulator/bits", "example-chip", {}, false},
      {"accumulator-order",
       "/accumulator/order",
       "tflite-micro",
       {{"/accumulator/overflow", "saturate"}},
       false},
      {"multiplier-width",
       "/requantize/multiplier/bits",
       "tflite-micro",
       {{"/accumulator/bits", "40"}},
       false},
      {"left-shift-lost",
       "/requantize/left_shift/position",
       "tflite-micro",
       {{"/requantize/left_shift/position", "in_total_shift"}},
       false},
      {"step-overflow", "/requantize", "tosa", {}, false},
      {"step-inexact",
       "/requantize/steps/1",
       "tflite-micro",
       {{"/accumulator/bits", "64"},
        {"/requantize/steps",
         R"([{"op": "shl", "arg": 40}, {"op": "mul", "arg": "multiplier"},
             {"op": "shr", "arg": "shift", "rounding": "half_up"}, {"op": "resize", "bits": "output"}])"}},
       true},
      {"step-outside-output",
       "/requantize/steps/3",
       "tflite-micro",
       {{"/requantize/steps",
         R"([{"op": "mul", "arg": "multiplier"}, {"op": "shr", "arg": "shift", "rounding": "half_up"},
             {"op": "resize", "bits": "output"}, {"op": "add", "arg": "zero_point"}])"}},
       true},
      {"bias-width", "/tensors/bias/bits", "tflite-micro", {{"/tensors/bias/bits", "40"}}, true},
      {"bias-saturates",
       "/tensors/bias/bits",
       "tflite-micro",
       {{"/tensors/bias/bits", "8"}},
       false},
      {"weight-axis",
       "/tensors/weight/channel_axis",
       "tflite-micro",
       {{"/tensors/weight/channel_axis", "3"}},
       true},
      {"symmetric-tie",
       "/tensors/weight/symmetric_divisor",
       "tflite-micro",
       {{"/tensors/weight/narrow_range", "false"}},
       false},
      {"symmetric-clips",
       "/tensors/weight/symmetric_divisor",
       "tensorrt",
       {{"/tensors/weight/symmetric_divisor", "100"}, {"/tensors/weight/bits", "7"}},
       false},
      {"activation-per-channel",
       "/tensors/activation/granularity",
       "tflite-micro",
       {{"/tensors/activation/granularity", "per_channel"}},
       true},
      {"shift-needs-power-of-two",
       "/tensors/activation/scale",
       "vitis-ai",
       {{"/tensors/activation/scale", "any"}},
       true},
      {"unused-setting",
       "/requantize/float",
       "tflite-micro",
       {{"/requantize/float/bias_add", "before_scale"}},
       false},
      {"unused-setting", "/tensors/bias/bits", "tensorrt", {{"/tensors/bias/bits", "8"}}, false},
      {"tolerance-zero", "/tolerance_lsb", "tensorrt", {{"/tolerance_lsb", "0"}}, false},
      {"missing-op", "/ops", "tflite-micro", {{"/ops/quantize", "null"}}, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.rule);
    const std::vector<LintFinding> findings = lint_profile(c.profile, shipped(), c.overrides);
    CHECK(has_rule(findings, c.rule, c.pointer));
    for (const LintFinding& finding : findings) {
      if (finding.rule == c.rule) CHECK(finding.is_error == c.is_error);
    }
  }
}

TEST_CASE("profile lint: the accumulator's message names the smallest number of taps") {
  for (const LintFinding& finding : lint_profile("example-chip", shipped())) {
    if (finding.rule != "accumulator-overflow") continue;
    // 255 * 7 = 1785; 293 * 1785 = 523005 fits 20 bits, 294 * 1785 = 524790 does not.
    CHECK(finding.message == "294 taps can overflow 20 bits: 294 * 255 * 7 > 524287 (saturate)");
  }
}

TEST_CASE("profile lint: the smallest refused accumulator of 64 bits") {
  const std::vector<ProfileOverride> overrides = {
      {"/accumulator/bits", "64"},
      {"/requantize/steps",
       R"([{"op": "resize", "bits": 32, "overflow": "error"}, {"op": "mul", "arg": "multiplier"},
           {"op": "shr", "arg": "shift", "rounding": "half_up"},
           {"op": "resize", "bits": "output"}])"}};
  bool found = false;
  for (const LintFinding& finding : lint_profile("tflite-micro", shipped(), overrides)) {
    if (finding.rule != "step-overflow" || finding.pointer != "/requantize/steps/0") continue;
    CHECK_MESSAGE(finding.message.find("accumulator 2147483648,") != std::string::npos,
                  finding.message);
    found = true;
  }
  CHECK(found);
}

}  // namespace
}  // namespace facsim::backends
