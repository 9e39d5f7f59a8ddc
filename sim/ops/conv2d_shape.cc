// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d_shape.h"

#include <string>

#include "sim/core/error.h"

namespace facsim::sim {

Conv2dShape Conv2dShape::of(const Conv2dParams& params, const Shape& input) {
  const Shape& weights = params.weights.shape();
  Conv2dShape s;
  s.window = params.window;
  s.groups = params.groups;
  s.oc = weights[0];
  s.kh = weights[1];
  s.kw = weights[2];
  s.group_ic = weights[3];
  s.group_oc = s.oc / s.groups;
  s.ic = s.group_ic * s.groups;
  if (input.rank() != 4 || input[3] != s.ic) {
    throw Error({ErrorCode::shape_mismatch, "conv2d input", "shape " + to_string(input),
                 "(N, H, W, " + std::to_string(s.ic) + ")", ""});
  }
  s.n = input[0];
  s.ih = input[1];
  s.iw = input[2];
  const std::array<int64_t, 2> extent = params.window.output_extent(s.ih, s.iw);
  s.oh = extent[0];
  s.ow = extent[1];
  return s;
}

}  // namespace facsim::sim
