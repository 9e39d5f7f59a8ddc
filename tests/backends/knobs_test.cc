// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/knobs.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "sim/core/error.h"
#include "tests/backends/temporary_folder.h"

namespace facsim::backends {
namespace {

std::vector<Knob> knobs_of(std::string_view profile, const std::set<std::string>& ops,
                           KnobScope scope = KnobScope::own_values,
                           const std::vector<ProfileOverride>& base = {}) {
  return profile_knobs(profile, ProfileSearch::standard(), base, ops, scope);
}

const Knob* find_knob(const std::vector<Knob>& knobs, std::string_view pointer,
                      std::string_view to) {
  const auto it = std::find_if(knobs.begin(), knobs.end(),
                               [&](const Knob& k) { return k.pointer == pointer && k.to == to; });
  return it == knobs.end() ? nullptr : &*it;
}

TEST_CASE("knobs: every setting loads and changes the rules of the ops") {
  for (const char* name : {"tflite-reference", "tflite-builtin", "onednn", "vitis-ai", "nvdla"}) {
    CAPTURE(name);
    const std::set<std::string> ops = {"conv2d", "depthwise_conv2d", "add", "avg_pool2d"};
    const std::vector<Knob> knobs = knobs_of(name, ops);
    CHECK(knobs.size() > 100);
    const Profile base = load_profile(name, ProfileSearch::standard());
    for (size_t k = 0; k < knobs.size(); k += 7) {
      const Knob& knob = knobs[k];
      CAPTURE(knob.pointer);
      CAPTURE(knob.to);
      const Profile changed = load_profile(name, ProfileSearch::standard(), knob.overrides);
      bool differs = false;
      for (const std::string& op : ops) {
        if (base.ops.contains(op)) differs |= !(base.rules(op) == changed.rules(op));
      }
      CHECK(differs);
      CHECK(knob.from != "");
      CHECK(!knob.sentence.empty());
    }
  }
}

TEST_CASE("knobs: the settings that platforms are known to differ in") {
  const std::vector<Knob> knobs = knobs_of("tflite-reference", {"conv2d", "add", "avg_pool2d"});
  struct Row {
    const char *pointer, *to, *reason;
  };
  const Row rows[] = {
      {"/requantize/rounding", "\"half_up\"", "single rounding (ruy, TFLite with a flag)"},
      {"/requantize/rounding", "\"floor\"", "a shifter without rounding"},
      {"/requantize/domain", "\"float32\"", "ONNX Runtime"},
      {"/requantize/multiplier/bits", "16", "hardware multipliers"},
      {"/requantize/multiplier/scale_product", "\"float32\"", "XNNPACK"},
      {"/accumulator/bits", "20", "hardware"},
      {"/accumulator/overflow", "\"saturate\"", "hardware"},
      {"/accumulator/init", "\"bias\"", "CMSIS-NN"},
      {"/activation_order", "\"integer_before_requant\"", "NVDLA"},
      {"/zero_point_add", "\"folded_before_scale\"", "hardware"},
      {"/padding/value", "\"zero\"", "hardware"},
      {"/output/narrow_range", "true", "ncnn"},
      {"/tensors/bias/bits", "16", "hardware"},
      {"/ops/add/algorithm", "\"xnnpack.add_rational21\"", "XNNPACK"},
      {"/ops/add/params/left_shift", "15", "16-bit rule"},
      {"/ops/avg_pool2d/params/rounding", "\"half_up\"", "average"},
      {"/ops/avg_pool2d/algorithm", "\"onednn.reciprocal_average\"", "oneDNN"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.pointer);
    CAPTURE(row.to);
    CHECK_MESSAGE(find_knob(knobs, row.pointer, row.to) != nullptr, row.reason);
  }
  CHECK(find_knob(knobs, "/tensors/weight/bits", "4") == nullptr);
  CHECK(find_knob(knobs, "/domain/max_shift", "16") == nullptr);
}

TEST_CASE("knobs: sentence, values and what goes along") {
  const std::vector<Knob> knobs = knobs_of("tflite-single-rounding", {"conv2d"});
  const Knob* even = find_knob(knobs, "/requantize/rounding", "\"half_even\"");
  REQUIRE(even != nullptr);
  CHECK(even->sentence == "the device rounds half_even where the profile says half_up");
  REQUIRE(even->overrides.size() == 1);
  CHECK(even->overrides[0].pointer == "/requantize/rounding");
  CHECK(even->overrides[0].value == "half_even");
  // A float domain has one rounding: the list of tflite-reference must go with it.
  const std::vector<Knob> listed = knobs_of("tflite-reference", {"conv2d"});
  const Knob* real = find_knob(listed, "/requantize/domain", "\"float32\"");
  REQUIRE(real != nullptr);
  REQUIRE(real->overrides.size() == 2);
  CHECK(real->overrides[1].pointer == "/requantize/rounding");
}

TEST_CASE("knobs: an op with its own value, and every op when asked") {
  const std::vector<Knob> own = knobs_of("tflite-builtin", {"conv2d", "depthwise_conv2d"});
  const auto in = [](const std::vector<Knob>& knobs, std::string_view prefix) {
    return std::count_if(knobs.begin(), knobs.end(),
                         [&](const Knob& k) { return k.pointer.starts_with(prefix); });
  };
  const std::vector<Knob> every =
      knobs_of("tflite-builtin", {"conv2d", "depthwise_conv2d"}, KnobScope::every_op);
  CHECK(in(own, "/requantize/") > 0);
  CHECK(in(every, "/ops/conv2d/") > in(own, "/ops/conv2d/"));
  CHECK(find_knob(every, "/ops/conv2d/accumulator/bits", "20") != nullptr);
  CHECK(find_knob(own, "/ops/conv2d/accumulator/bits", "20") == nullptr);
  // An op that is the only one to follow the profile's value is not listed twice.
  const std::vector<Knob> alone = knobs_of("tflite-reference", {"conv2d"}, KnobScope::every_op);
  CHECK(find_knob(alone, "/accumulator/bits", "20") != nullptr);
  CHECK(find_knob(alone, "/ops/conv2d/accumulator/bits", "20") == nullptr);
}

TEST_CASE("knobs: on top of other settings, and errors") {
  const std::vector<ProfileOverride> base = {{"/requantize/rounding", "floor"}};
  const std::vector<Knob> knobs =
      knobs_of("tflite-single-rounding", {"conv2d"}, KnobScope::own_values, base);
  CHECK(find_knob(knobs, "/requantize/rounding", "\"floor\"") == nullptr);
  const Knob* up = find_knob(knobs, "/requantize/rounding", "\"half_up\"");
  REQUIRE(up != nullptr);
  CHECK(up->from == "\"floor\"");
  CHECK(knobs_of("tflite-reference", {"no_such_op"}).empty());
  CHECK_THROWS_AS(knobs_of("no-such-profile", {"conv2d"}), Error);
}

TEST_CASE("knobs: roundings and widths of written steps") {
  TemporaryFolder folder;
  folder.write("stepper.json", R"({"schema_version": 1, "name": "stepper",
    "requantize": {"steps": [
      {"op": "mul", "arg": "multiplier"}, {"op": "shr", "arg": "shift", "rounding": "half_up"},
      {"op": "resize", "bits": 16, "overflow": "saturate"},
      {"op": "add", "arg": "zero_point"}, {"op": "resize", "bits": "output"},
      {"op": "clamp", "min": "clamp_min", "max": "clamp_max"}]},
    "ops": {"conv2d": {}}})");
  const std::vector<Knob> knobs = knobs_of((folder / "stepper.json").string(), {"conv2d"});
  CHECK(find_knob(knobs, "/requantize/steps/1/rounding", "\"half_even\"") != nullptr);
  CHECK(find_knob(knobs, "/requantize/steps/2/bits", "17") != nullptr);
  CHECK(find_knob(knobs, "/requantize/steps/2/overflow", "\"wrap\"") != nullptr);
  CHECK(find_knob(knobs, "/requantize/domain", "\"float32\"") == nullptr);
}

}  // namespace
}  // namespace facsim::backends
