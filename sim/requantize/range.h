// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <vector>

#include "sim/requantize/bound_step.h"

namespace facsim::sim {

/// The values a program's running value can take at one place: an interval of integers or of
/// float32.
struct ValueRange {
  bool is_real = false;
  bool bounded = true;      ///< false: nothing is known (a NaN or infinity, or 126 bits passed)
  bool may_throw = false;   ///< some value is refused at run time, here or before
  int128 min = 0, max = 0;  ///< integers
  float real_min = 0, real_max = 0;  ///< float32

  static ValueRange integers(int128 min, int128 max);
  static ValueRange reals(float min, float max);
  static ValueRange any_real();
};

/// Largest magnitude the norm computes with: every intermediate stays below 2^126, so that no
/// primitive overflows 128 bits.
inline constexpr int128 kNormLimit = int128{1} << 126;

/// Interval arithmetic over a program, started with `input`: element i is the range after step i,
/// for all `channels` together. Sound because every step is monotonic or exact in its value:
/// float32 operations by their correct rounding, integer ones by their definition.
std::vector<ValueRange> infer_ranges(std::span<const BoundStep> steps, int64_t channels,
                                     ValueRange input);

/// Whether a resize or clamp gives every value of `range` as it is: all of them lie inside its
/// bounds, of which `saturate_symmetric` has a narrower one. False for other steps.
bool leaves_unchanged(const BoundStep& step, int64_t channel, const ValueRange& range);

}  // namespace facsim::sim
