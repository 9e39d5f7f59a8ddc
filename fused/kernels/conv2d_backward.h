// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/kernels/channel_pass.h"
#include "fused/kernels/conv2d_f32.h"

namespace facsim::fused::kernels {

/// Both gradients of conv2d_f32.h in one pass over the images: x is made real and dz is made in the
/// cache, image by image, right where the two convolutions read them.
///
/// dw: the images are cut into chunks whose number depends on the shape alone; each chunk sums its
/// images in order, then the chunks are added in order. dx: one chain of multiply-adds per element.
struct BackwardPass {
  Conv2dShape shape{};
  Activations x{};           ///< [N, IH, IW, IC]
  GradientRows dz{};         ///< rows N * OH * OW, channels OC
  const float* w = nullptr;  ///< as the forward pass had them; used for dx
  float* dw = nullptr;       ///< overwritten
  float* dx = nullptr;       ///< overwritten; null: not wanted
};
void conv2d_backward(const BackwardPass& pass, sim::ThreadPool* pool);

}  // namespace facsim::fused::kernels
