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
  CHECK(program_of("tflite-reference") == sim::programs::fixed_point_double(kInt8));
  CHECK(program_of("tflite-micro") == sim::programs::fixed_point_double(kInt8));
  CHECK(program_of("onnxruntime-cpu") ==
        sim::programs::float_zero_point_after(kUint8, Rounding::half_even,
                                              sim::programs::FloatBias::none,
                                              sim::programs::FloatScale::multiply));
}

}  // namespace
}  // namespace facsim::backends
