// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_f32.h"

namespace facsim::fused::kernels {

namespace {

/// A linear layer is a 1x1 convolution of 1x1 images.
Conv2dShape as_conv2d(int64_t n, int64_t in, int64_t out) {
  Conv2dShape shape;
  shape.n = n;
  shape.ic = in;
  shape.oc = out;
  return shape;
}

}  // namespace

void linear_forward(int64_t n, int64_t in, int64_t out, const float* x, const float* w, float* y,
                    sim::ThreadPool* pool) {
  conv2d_forward(as_conv2d(n, in, out), x, w, y, pool);
}

void linear_input_gradient(int64_t n, int64_t in, int64_t out, const float* dy, const float* w,
                           float* dx, sim::ThreadPool* pool) {
  conv2d_input_gradient(as_conv2d(n, in, out), dy, w, dx, pool);
}

void linear_weight_gradient(int64_t n, int64_t in, int64_t out, const float* x, const float* dy,
                            float* dw, sim::ThreadPool* pool) {
  conv2d_weight_gradient(as_conv2d(n, in, out), x, dy, dw, pool);
}

}  // namespace facsim::fused::kernels
