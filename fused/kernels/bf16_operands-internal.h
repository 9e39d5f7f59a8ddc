// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "fused/kernels/backward_plan-internal.h"
#include "fused/kernels/conv2d_backward.h"
#include "sim/core/tensor.h"

namespace facsim::fused::kernels {

/// What bf16 makes of a pass once.
struct Bf16Operands {
  Bf16Operands(const BackwardPass& pass, const Conv2dShape& s);
  DirectPass input_gradient(const Conv2dShape& s) const;

  GradientRows dz;  ///< of dz * weight scale
  int64_t pairs;    ///< of output channels
  std::vector<float> scale, offset, slope;
  std::vector<float> factor;  ///< of the sums of dw, per output channel
  Tensor weights;             ///< words of two output channels [pair][tap][ic]
};

/// Lays an image out in words of neighbouring pixels of an output row: element i of a padded row
/// beside element i + stride.
void lay_out_pairs(const BackwardPlan& plan, const Activations& x, int64_t first, float* to);

/// Rounds an image's dz and lays it out twice: words of output channels for dx (null: not wanted),
/// words of neighbouring pixels for dw.
void lay_out_gradient(const BackwardPlan& plan, const Bf16Operands& operands, int64_t first_pixel,
                      const PaddedImages* channel_pairs, float* for_dx,
                      const PaddedImages& pixel_pairs, float* for_dw);

}  // namespace facsim::fused::kernels
