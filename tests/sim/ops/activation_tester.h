// SPDX-License-Identifier: Apache-2.0
// Requantizers as TFLite's kernels are given them.
#pragma once

#include <algorithm>
#include <vector>

#include "sim/requantize/programs.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim::test {

/// TFLite's multiplier and shift (positive to the left), double rounding.
inline Requantizer tflite_double(int64_t multiplier, int64_t shift, int64_t zero_point,
                                 IntType output) {
  Arguments arguments;
  arguments.integers = {{"multiplier", {multiplier}},
                        {"left_shift", {std::max<int64_t>(shift, 0)}},
                        {"shift", {std::max<int64_t>(-shift, 0)}},
                        {"zero_point", {zero_point}},
                        {"clamp_min", {output.min()}},
                        {"clamp_max", {output.max()}}};
  return Requantizer(programs::fixed_point_double(output), arguments, output);
}

inline Requantizer per_channel(IntType output) {
  Arguments arguments;
  arguments.integers = {{"multiplier", {1, 2}}, {"left_shift", {0}}, {"shift", {0}},
                        {"zero_point", {0}},    {"clamp_min", {0}},  {"clamp_max", {1}}};
  return Requantizer(programs::fixed_point_double(output), arguments, output);
}

/// All codes of a type, [1, 2^bits].
inline Tensor all_codes(IntType type) {
  Tensor codes(type.storage(), Shape{1, int64_t{1} << type.bits});
  for (int64_t i = 0; i < codes.numel(); ++i) codes.set_int(i, type.min() + i);
  return codes;
}

}  // namespace facsim::sim::test
