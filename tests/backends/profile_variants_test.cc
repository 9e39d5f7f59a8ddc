// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>

#include "backends/profile/profile.h"
#include "sim/core/error.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::backends {
namespace {

constexpr const char* kVariantChip = R"({
  "schema_version": 1,
  "name": "chip",
  "ops": {
    "conv2d": {
      "aliases": ["gemm", "matrix product"],
      "padding": {"value": "zero"},
      "variants": {
        "int16x8": {"when": {"activation": "int16"},
                    "tensors": {"activation": {"zero_point": "zero"}},
                    "accumulator": {"bits": 64},
                    "requantize": {"left_shift": {"position": "in_total_shift"},
                                   "multiplier": {"reduce_to_bits": 16}, "rounding": "half_up"}},
        "int16x8 bias32": {"when": {"activation": "int16", "bias": "int32"}},
        "legacy uint8": {"aliases": ["old gemm"], "tensors": {"activation": {"signed": false}}, "output": {"bits": 32, "signed": true}}
      }
    },
    "linear": {"tensors": {"activation": {"also_accepts": ["uint8"]}}}
  }
})";

class VariantChip {
 public:
  explicit VariantChip(const std::string& text = kVariantChip) { folder_.write("chip.json", text); }
  std::string path() const { return (folder_ / "chip.json").string(); }
  Profile load() const { return load_profile(path(), ProfileSearch::standard()); }
  std::vector<LintFinding> lint() const { return lint_profile(path(), ProfileSearch::standard()); }
  std::string explain(const char* pointer) const {
    return explain_profile(path(), ProfileSearch::standard(), pointer);
  }
  std::string error() const {
    try {
      load();
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

 private:
  TemporaryFolder folder_;
};

/// kVariantChip with the first `from` replaced.
std::string chip_with(const std::string& from, const std::string& to) {
  std::string text = kVariantChip;
  const size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

bool mentions(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("profile variants: rules merge profile, op and variant; `when` sets the types") {
  const Profile profile = VariantChip().load();
  const OpRules& own = profile.rules("conv2d");
  const OpRules& wide = profile.rules("conv2d int16x8");
  CHECK(own.activation.type == sim::kInt8);
  CHECK(own.when.count() == 0);
  CHECK(wide.activation.type == sim::IntType{16, true});
  CHECK(wide.output_types == std::vector<sim::IntType>{{16, true}});
  CHECK(wide.accumulator.bits == 64);
  CHECK(wide.padding == OpRules::PaddingValue::zero);  // of the op
  CHECK(wide.multiplier.reduce_to_bits == 16);
  CHECK(wide.when == VariantCondition{sim::IntType{16, true}, std::nullopt, std::nullopt});
  const OpRules& bias32 = profile.rules("conv2d int16x8 bias32");
  CHECK(bias32.bias.bits == 32);
  CHECK(bias32.accumulator.bits == 32);  // variants do not inherit from each other
  CHECK(profile.rules("conv2d legacy uint8").activation.type == sim::kUint8);
  CHECK(profile.rules("conv2d legacy uint8").output_types == std::vector<sim::IntType>{{32, true}});
}

TEST_CASE("profile variants: a phrase with a weight type that the rules do not take is refused") {
  const Profile profile = load_profile("tflite-micro", ProfileSearch::standard());
  CHECK_NOTHROW(profile.choose("conv2d int16x8"));
  CHECK_THROWS_WITH_AS(profile.choose("conv2d int16x9"), doctest::Contains("int9 weights"), Error);
}

TEST_CASE("profile variants: operand types choose the variant with the most conditions") {
  const Profile profile = VariantChip().load();
  const sim::IntType int16{16, true};
  const auto chosen = [&](sim::IntType activation, std::optional<DType> bias) {
    return &profile.rules_for("conv2d", activation, bias);
  };
  CHECK(chosen(sim::kInt8, DType::int32) == &profile.rules("conv2d"));
  CHECK(chosen(sim::kUint8, std::nullopt) == &profile.rules("conv2d"));
  CHECK(chosen(int16, DType::int64) == &profile.rules("conv2d int16x8"));
  CHECK(chosen(int16, std::nullopt) == &profile.rules("conv2d int16x8"));
  CHECK(chosen(int16, DType::int32) == &profile.rules("conv2d int16x8 bias32"));
  CHECK_THROWS_WITH_AS(profile.rules_for("no_such_op", sim::kInt8), doctest::Contains("no_such_op"),
                       Error);
}

TEST_CASE("profile variants: phrases name an op or alias, then a variant or a type") {
  const Profile profile = VariantChip().load();
  struct Case {
    const char* phrase;
    const char* name;
    sim::IntType output;
  };
  for (const Case& c : {
           Case{"conv2d", "conv2d", sim::kInt8},
           Case{"gemm", "conv2d", sim::kInt8},
           Case{"gemm legacy uint8", "conv2d legacy uint8", {32, true}},
           Case{"old gemm", "conv2d legacy uint8", {32, true}},
           Case{"old gemm, in prose", "conv2d legacy uint8", {32, true}},
           Case{"old gemm int16x8", "conv2d int16x8", {16, true}},
           Case{"matrix product int16x8", "conv2d int16x8", {16, true}},
           Case{"conv2d int16", "conv2d int16x8", {16, true}},
           Case{"conv2d int16x8 bias32", "conv2d int16x8 bias32", {16, true}},
           Case{"conv2d int8", "conv2d", sim::kInt8},
           Case{"conv2d int8x8", "conv2d", sim::kInt8},
           Case{"linear uint8", "linear", sim::kUint8},
           Case{"linear uint8, output zero point", "linear", sim::kUint8},
           Case{"linear, with bias", "linear", sim::kInt8},
       }) {
    CAPTURE(c.phrase);
    const Profile::Choice choice = profile.choose(c.phrase);
    CHECK(choice.name == c.name);
    CHECK(choice.output == c.output);
    CHECK(choice.rules == &profile.rules(c.name));
  }
  CHECK_THROWS_WITH_AS(profile.choose("conv2d int16x9 bias32"),
                       doctest::Contains("did you mean \"int16x8 bias32\""), Error);
  CHECK_THROWS_WITH_AS(profile.choose("conv2d uint8"), doctest::Contains("uint8 activations"),
                       Error);
  CHECK_THROWS_WITH_AS(profile.choose("gem"), doctest::Contains("did you mean \"gemm\""), Error);
}

TEST_CASE("profile variants: bad ones are refused where they are written") {
  struct Case {
    std::string from, to, expected;
  };
  const Case cases[] = {
      {R"("activation": "int16"},)", R"("activation": "int61"},)",
       "/ops/conv2d/variants/int16x8/when/activation: \"int61\" is not an integer type"},
      {R"("activation": "int16"},)", R"("activaton": "int16"},)", "did you mean \"activation\""},
      {R"({"activation": "int16"},)", R"({},)", "/when: no condition"},
      {R"({"zero_point": "zero"})", R"({"zero_point": "zero", "bits": 8})",
       "/when/activation: int16 in a variant whose /tensors/activation is int8"},
      {R"("bias": "int32"}})", R"("bias": "int32"}, "tensors": {"bias": {"bits": 40}}})",
       "/when/bias: int32 in a variant with other biases"},
      {R"("accumulator": {"bits": 64})", R"("accumulator": {"bits": 65})",
       "/ops/conv2d/variants/int16x8/accumulator/bits: 65"},
      {R"("rounding": "half_up")", R"("rounding": [{"shift": 3, "mode": "half_up"}])",
       "/ops/conv2d/variants/int16x8/requantize/rounding: 0 stages"},
      {R"("legacy uint8")", R"("Legacy  uint8")", "a name that matches"},
      {R"("matrix product")", R"("linear")", "/ops/conv2d/aliases/1: \"linear\" is an op"},
      {R"("linear": {)", R"("linear": {"aliases": ["gemm"], )", "an alias of conv2d already"},
  };
  for (const Case& c : cases) {
    const std::string error = VariantChip(chip_with(c.from, c.to)).error();
    CAPTURE(error);
    CAPTURE(c.expected);
    CHECK(mentions(error, c.expected));
    CHECK(mentions(error, "chip.json:"));
  }
}

TEST_CASE("profile variants: lint finds two that fit equally well; running them is refused") {
  const auto overlaps = [](const std::vector<LintFinding>& findings) {
    return std::count_if(findings.begin(), findings.end(), [](const LintFinding& finding) {
      return finding.rule == "variant-overlap" && finding.is_error;
    });
  };
  CHECK(overlaps(VariantChip().lint()) == 0);  // bias32 refines int16x8
  const VariantChip chip(
      chip_with(R"("legacy uint8": {)",
                R"("int16x4": {"when": {"activation": "int16", "weight": "int4"}},
                             "legacy uint8": {)"));
  const std::vector<LintFinding> findings = chip.lint();
  REQUIRE(overlaps(findings) == 1);
  CHECK(findings.front().pointer == "/ops/conv2d/variants/int16x4/when");
  CHECK(findings.front().message ==
        "\"int16x4\" and \"int16x8 bias32\" hold for the same layer: activation int16, weight "
        "int4, bias int32");
  const VariantChip unnamed(chip_with(R"("legacy uint8": {)",
                                      R"("other int16": {"when": {"activation": "int16"}},
                             "legacy uint8": {)"));
  REQUIRE(overlaps(unnamed.lint()) == 1);
  CHECK(unnamed.lint().front().message ==
        "\"int16x8\" and \"other int16\" hold for the same layer: activation int16, weight int8");
  const Profile profile = chip.load();
  CHECK_THROWS_WITH_AS(profile.rules_for("conv2d", {16, true}, DType::int32, sim::IntType{4, true}),
                       doctest::Contains("both hold"), Error);
}

TEST_CASE("profile variants: explain follows a pointer from the variant to who set the value") {
  const VariantChip chip;
  CHECK(mentions(chip.explain("/ops/conv2d/variants/int16x8/accumulator/bits"), "= 64"));
  const std::string padding = chip.explain("/ops/conv2d/variants/int16x8/padding/value");
  CHECK(mentions(padding, "= \"zero\""));
  CHECK(mentions(padding, "from     /ops/conv2d/padding/value"));
  const std::string bits = chip.explain("/ops/conv2d/variants/int16x8/tensors/activation/bits");
  CHECK(mentions(bits, "= 16"));
  CHECK(mentions(bits, "/ops/conv2d/variants/int16x8/when"));
  const std::string overflow = chip.explain("/ops/conv2d/variants/int16x8/accumulator/overflow");
  CHECK(mentions(overflow, "from     /accumulator/overflow of the profile"));
}

}  // namespace
}  // namespace facsim::backends
