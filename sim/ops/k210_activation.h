// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "sim/core/types.h"

namespace facsim::sim {

// The KPU's arithmetic behind its products. No profile uses it yet.

/// The KPU's rounding of a right shift ("banker" in nncase): with q = floor(v / 2^n) and the
/// fraction f cut off, q for f < 1/2; q + sign(v) for f > 1/2, and for f = 1/2 if q is odd. For
/// negative v this is not a rounding to the nearest: -1.25 gives -3. n <= 0 shifts left.
/// v and the shifted v fit 63 bits.
/// Source: nncase runtime carry_shift<T, true>.
int64_t k210_carry_shift(int64_t v, int n);

/// One of the up to 16 straight segments of a KPU activation.
struct K210Segment {
  int64_t start_x = 0;  ///< holds for v > start_x
  int64_t mul = 0;
  int shift = 0;
  int64_t add = 0;
};

/// clamp(carry_shift((v - start_x) * mul, shift) + add, 0, 255) of the last segment with v >
/// start_x; of the first if none. Segments ascend by start_x. |v| < 2^37, |mul| < 2^16.
/// Source: nncase k210 kernels kpu_conv2d.
int64_t k210_activate(std::span<const K210Segment> segments, int64_t v);

/// A KPU convolution's value before its batch normalization, from sums over the taps (padded taps
/// hold the padding value): sum(x w) + (arg_x * sum(x) >> shift_x) + (arg_w * sum(w) >> shift_w) +
/// arg_add * input_channels; floor shifts.
struct K210Corrections {
  int64_t arg_x = 0, arg_w = 0, arg_add = 0;
  int shift_x = 0, shift_w = 0;
};
int64_t k210_conv_value(const K210Corrections& c, int64_t sum_xw, int64_t sum_x, int64_t sum_w,
                        int64_t input_channels);

/// Batch normalization: (v * mul >> shift) + add, floor.
int64_t k210_batch_norm(int64_t v, int64_t mul, int shift, int64_t add);

}  // namespace facsim::sim
