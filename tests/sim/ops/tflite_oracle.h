// SPDX-License-Identifier: Apache-2.0
// TFLite's reference arithmetic in 64-bit integers, written from its documentation: a second
// opinion that shares no code with the step programs.
#pragma once

#include <algorithm>
#include <cstdint>

namespace facsim::sim::test {

/// a * b / 2^31, half up, doubling high multiply.
inline int64_t high_mul(int64_t a, int64_t b) {
  const int64_t product = a * b + (int64_t{1} << 30);
  return product >= 0 ? product / (int64_t{1} << 31)
                      : -((-product + (int64_t{1} << 31) - 1) / (int64_t{1} << 31));
}

/// x / 2^n, half away from zero.
inline int64_t divide_by_power_of_two(int64_t x, int n) {
  if (n == 0) return x;
  const int64_t half = int64_t{1} << (n - 1);
  return x >= 0 ? (x + half) / (int64_t{1} << n) : -((-x + half) / (int64_t{1} << n));
}

struct TfliteAdd {
  int64_t lhs_zero_point, rhs_zero_point, output_zero_point;
  int64_t lhs_multiplier, rhs_multiplier, output_multiplier;
  int lhs_shift, rhs_shift, output_shift;  ///< right
  int64_t clamp_min, clamp_max;

  int64_t operator()(int64_t a, int64_t b) const {
    const int64_t x = (a - lhs_zero_point) * (1 << 20);
    const int64_t y = (b - rhs_zero_point) * (1 << 20);
    const int64_t scaled_x = divide_by_power_of_two(high_mul(x, lhs_multiplier), lhs_shift);
    const int64_t scaled_y = divide_by_power_of_two(high_mul(y, rhs_multiplier), rhs_shift);
    const int64_t raw =
        divide_by_power_of_two(high_mul(scaled_x + scaled_y, output_multiplier), output_shift) +
        output_zero_point;
    return std::min(std::max(raw, clamp_min), clamp_max);
  }
};

}  // namespace facsim::sim::test
