// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "backends/profile/profile.h"
#include "sim/requantize/programs.h"

namespace facsim::backends {
namespace {

using sim::kInt8;
using sim::kUint8;
using sim::Rounding;

sim::StepProgram program_of(std::string_view profile, std::vector<ProfileOverride> overrides = {}) {
  return load_profile(profile, ProfileSearch::standard(), overrides).rules("conv2d").requantize;
}

TEST_CASE("profile program: flat fields lower to the platform's steps") {
  using namespace sim::programs;
  const sim::StepProgram half_even_after =
      float_zero_point_after(kInt8, Rounding::half_even, FloatBias::none, FloatScale::multiply);
  CHECK(program_of("tflite-reference") == fixed_point_double(kInt8));
  CHECK(program_of("tflite-micro") == fixed_point_double(kInt8));
  CHECK(program_of("cmsis-nn") == fixed_point_double(kInt8));
  CHECK(program_of("tflite-single-rounding") == fixed_point_single(kInt8));
  CHECK(program_of("xnnpack-x86") == half_even_after);
  CHECK(program_of("onnxruntime-cpu") ==
        float_zero_point_after(kUint8, Rounding::half_even, FloatBias::none, FloatScale::multiply));
  CHECK(program_of("vitis-ai") == rounding_shift(kInt8, Rounding::half_up));
  CHECK(program_of("example-chip") == fixed_point_rounded(kInt8, Rounding::half_even));
  CHECK(to_string(program_of("tensorrt")) ==
        "to_f32\nfmul accumulator_scale\nfadd bias\nfdiv output_scale\n"
        "fclamp clamp_min_minus_zero_point clamp_max_minus_zero_point\nround half_even\n"
        "add zero_point\nresize int8 saturate\n");
}

TEST_CASE("profile program: one changed field changes one step") {
  using namespace sim::programs;
  sim::StepProgram saturating = fixed_point_double(kInt8);
  saturating.steps[1].overflow = sim::Overflow::saturate;
  CHECK(program_of("tflite-micro", {{"/requantize/left_shift/overflow", "saturate"}}) ==
        saturating);
  CHECK(program_of("xnnpack-x86", {{"/zero_point_add", "before_rounding"}}) ==
        float_zero_point_before(kInt8, Rounding::half_even, FloatBias::none, FloatScale::multiply));
  CHECK(program_of("xnnpack-x86", {{"/tensors/bias/kind", "float32"},
                                   {"/requantize/float/bias_add", "before_scale"}}) ==
        float_zero_point_after(kInt8, Rounding::half_even, FloatBias::before_scale,
                               FloatScale::multiply));
  sim::StepProgram wrapping = fixed_point_double(kInt8);
  wrapping.steps[7].overflow = sim::Overflow::wrap;
  CHECK(program_of("tflite-micro", {{"/output/overflow", "wrap"}}) == wrapping);
}

TEST_CASE("profile program: steps written by hand are the same language") {
  const char* steps = R"([{"op": "shl", "arg": "left_shift"},
    {"op": "resize", "bits": 32, "overflow": "wrap"}, {"op": "mul", "arg": "multiplier"},
    {"op": "shr", "arg": 31, "rounding": "half_up"},
    {"op": "resize", "bits": 32, "overflow": "saturate"},
    {"op": "shr", "arg": "shift", "rounding": "half_away_from_zero"},
    {"op": "add", "arg": "zero_point"}, {"op": "resize", "bits": "output"},
    {"op": "clamp", "min": "clamp_min", "max": "clamp_max"}])";
  CHECK(program_of("example-chip", {{"/requantize/steps", steps}}) ==
        sim::programs::fixed_point_double(kInt8));
  CHECK(load_profile("example-chip", ProfileSearch::standard(), {{"/requantize/steps", steps}})
            .rules("conv2d")
            .output_steps == std::vector<size_t>{7});
  // An op goes back to the fields with null.
  CHECK(load_profile("example-chip", ProfileSearch::standard(),
                     {{"/requantize/steps", steps}, {"/ops/linear/requantize/steps", "null"}})
            .rules("linear")
            .requantize == sim::programs::fixed_point_rounded(kInt8, Rounding::half_even));
}

}  // namespace
}  // namespace facsim::backends
