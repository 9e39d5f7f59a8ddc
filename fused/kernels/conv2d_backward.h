// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>

#include "fused/kernels/channel_pass.h"
#include "fused/kernels/conv2d_f32.h"

namespace facsim::fused::kernels {

/// The codes w was made of: w = float(code - zero_point) * scale.
struct IntegerWeights {
  const void* codes = nullptr;  ///< as w
  DType type = DType::int8;
  std::span<const int64_t> zero_point{};  ///< 1 or OC
  std::span<const float> scale{};         ///< 1 or OC
};

/// Both gradients of conv2d_f32.h in one pass over the images: x is made real and dz is made in the
/// cache, image by image, right where the two convolutions read them.
///
/// dw: the images are cut into chunks whose number depends on the shape alone; each chunk sums its
/// images in order, then the chunks are added in order. dx: one chain of multiply-adds per element.
///
/// With `weights` given and fit for it (see can_run_in_bf16) the products are bf16.h's: dz is
/// multiplied by the weights' scale and rounded to bfloat16, once for both gradients; codes minus
/// zero points are exact there. Scales are applied to the float32 sums.
///   d = bf16(dz * weight scale)   dx = sum code_w * d   dw = (x scale / weight scale) * sum code_x
///   * d
/// The chains are those of float32, over pairs: of output channels for dx, of neighbouring pixels
/// in a row for dw.
struct BackwardPass {
  Conv2dShape shape{};
  Activations x{};                          ///< [N, IH, IW, IC]
  GradientRows dz{};                        ///< rows N * OH * OW, channels OC
  const float* w = nullptr;                 ///< as the forward pass had them; used for dx
  std::optional<IntegerWeights> weights{};  ///< given: run in bf16
  float* dw = nullptr;                      ///< overwritten
  float* dx = nullptr;                      ///< overwritten; null: not wanted
};
void conv2d_backward(const BackwardPass& pass, sim::ThreadPool* pool);
/// Codes of at most 8 bits on both sides, one group, and a CPU with AVX-512 BF16.
bool can_run_in_bf16(const Conv2dShape& shape, const Activations& x, const IntegerWeights& weights);

}  // namespace facsim::fused::kernels
