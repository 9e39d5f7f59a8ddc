// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/k210_activation.h"

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/wide.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {
namespace {

int64_t k210_floor_shift(int128 v, int n) {
  return static_cast<int64_t>(round_shift(Rounding::floor, v, n));
}

}  // namespace

int64_t k210_carry_shift(int64_t v, int n) {
  if (n <= 0) return static_cast<int64_t>(int128{v} << -n);
  const int64_t quotient = k210_floor_shift(v, n);
  const int128 twice_fraction = (int128{v} - (int128{quotient} << n)) * 2;
  const int128 one = int128{1} << n;
  const bool steps = twice_fraction > one || (twice_fraction == one && quotient % 2 != 0);
  if (!steps) return quotient;
  return quotient + (v < 0 ? -1 : 1);
}

int64_t k210_activate(std::span<const K210Segment> segments, int64_t v) {
  FACSIM_CHECK(!segments.empty());
  const auto after = std::find_if(segments.rbegin(), segments.rend(),
                                  [&](const K210Segment& s) { return v > s.start_x; });
  const K210Segment& segment = after == segments.rend() ? segments.front() : *after;
  const int64_t value =
      k210_carry_shift((v - segment.start_x) * segment.mul, segment.shift) + segment.add;
  return std::clamp<int64_t>(value, 0, 255);
}

int64_t k210_conv_value(const K210Corrections& c, int64_t sum_xw, int64_t sum_x, int64_t sum_w,
                        int64_t input_channels) {
  return sum_xw + k210_floor_shift(int128{c.arg_x} * sum_x, c.shift_x) +
         k210_floor_shift(int128{c.arg_w} * sum_w, c.shift_w) + c.arg_add * input_channels;
}

int64_t k210_batch_norm(int64_t v, int64_t mul, int shift, int64_t add) {
  return k210_floor_shift(int128{v} * mul, shift) + add;
}

}  // namespace facsim::sim
