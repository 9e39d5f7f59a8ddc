// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "sim/core/parallel.h"
#include "sim/core/tensor.h"
#include "sim/ops/conv2d.h"

namespace facsim::fused::kernels {

/// float32 convolution over NHWC with weights OHWI (I = IC / groups), any window, zero padding.
/// The same bits for any number of threads and any vector width: a fixed order of fused
/// multiply-adds per output.
///
/// x [N, IH, IW, IC], w [OC, KH, KW, IC/groups], y [N, OH, OW, OC].
struct Conv2dShape {
  int64_t n = 1, ih = 1, iw = 1, ic = 1, oc = 1, groups = 1;
  sim::Window2d window{};
};

void conv2d_forward(const Conv2dShape& shape, const float* x, const float* w, float* y,
                    sim::ThreadPool* pool);

/// The transposed convolution, the map of the input gradient: dy [N, OH, OW, OC] to dx
/// [N, IH, IW, IC], overwritten.
void conv2d_transposed(const Conv2dShape& shape, const float* dy, const float* w, float* dx,
                       sim::ThreadPool* pool);

/// The product y [N, O] = x [N, I] w[O, I]^T is a 1x1 convolution of 1x1 images.
Conv2dShape linear_shape(int64_t n, int64_t in, int64_t out);

}  // namespace facsim::fused::kernels
