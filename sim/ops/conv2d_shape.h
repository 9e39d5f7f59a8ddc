// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// All extents of one run of a convolution, in the letters the loops use. Group g owns the input
/// channels [g * group_ic, (g + 1) * group_ic) and the output channels [g * group_oc, …).
struct Conv2dShape {
  int64_t n = 0, ih = 0, iw = 0, ic = 0;
  int64_t oh = 0, ow = 0, oc = 0;
  int64_t kh = 1, kw = 1;
  int64_t groups = 1, group_ic = 0, group_oc = 0;
  Window2d window;

  /// Products in one accumulator.
  int64_t taps() const { return kh * kw * group_ic; }
  Shape output() const { return {n, oh, ow, oc}; }
  bool is_depthwise() const { return group_ic == 1 && groups > 1; }

  /// Error shape_mismatch: input not (N, H, W, IC), or smaller than the window.
  static Conv2dShape of(const Conv2dParams& params, const Shape& input);
};

}  // namespace facsim::sim
