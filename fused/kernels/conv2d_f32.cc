// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_f32.h"

#include <array>

#include "fused/kernels/passes-internal.h"

namespace facsim::fused::kernels {

namespace {

/// What both directions share: the steps through weights [group, oc, kh, kw, ic].
DirectPass pass_of(const Conv2dShape& s) {
  DirectPass pass;
  pass.n = s.n;
  pass.groups = s.groups;
  pass.kernel_columns = s.window.kernel[1];
  pass.tap_step = s.ic / s.groups;
  return pass;
}

}  // namespace

Conv2dShape with_wide_rows(const Conv2dShape& shape) {
  constexpr int64_t kWidest = 32, kNarrowest = 8;
  const sim::Window2d& window = shape.window;
  constexpr std::array<int64_t, 2> kOne{1, 1};
  if (window.kernel != kOne || window.stride != kOne || window.padding != sim::Padding2d{}) {
    return shape;
  }
  const int64_t pixels = shape.n * shape.ih * shape.iw;
  Conv2dShape rows = shape;
  rows.ih = 1;
  rows.iw = pixels;
  for (int64_t width = kWidest; width >= kNarrowest; --width) {
    if (pixels % width == 0) {
      rows.iw = width;
      break;
    }
  }
  rows.n = rows.iw == 0 ? 0 : pixels / rows.iw;
  return rows;
}

DirectPass forward_pass(const Conv2dShape& s) {
  const sim::Window2d& window = s.window;
  const auto [oh, ow] = window.output_extent(s.ih, s.iw);
  DirectPass pass = pass_of(s);
  pass.h = forward_axis(s.ih, oh, window.kernel[0], window.stride[0], window.dilation[0],
                        window.padding.top);
  pass.w = forward_axis(s.iw, ow, window.kernel[1], window.stride[1], window.dilation[1],
                        window.padding.left);
  pass.items = s.ic / s.groups;
  pass.channels = s.oc / s.groups;
  pass.channel_step = window.kernel[0] * window.kernel[1] * pass.tap_step;
  pass.item_step = 1;
  pass.group_step = pass.channels * pass.channel_step;
  return pass;
}

DirectPass input_gradient_pass(const Conv2dShape& s) {
  const sim::Window2d& window = s.window;
  const auto [oh, ow] = window.output_extent(s.ih, s.iw);
  DirectPass pass = pass_of(s);
  pass.h = backward_axis(s.ih, oh, window.kernel[0], window.stride[0], window.dilation[0],
                         window.padding.top);
  pass.w = backward_axis(s.iw, ow, window.kernel[1], window.stride[1], window.dilation[1],
                         window.padding.left);
  pass.items = s.oc / s.groups;
  pass.channels = s.ic / s.groups;
  pass.channel_step = 1;
  pass.item_step = window.kernel[0] * window.kernel[1] * pass.tap_step;
  pass.group_step = pass.items * pass.item_step;
  return pass;
}

void conv2d_forward(const Conv2dShape& shape, const float* x, const float* w, float* y,
                    sim::ThreadPool* pool) {
  run(forward_pass(with_wide_rows(shape)), x, w, y, pool);
}

void conv2d_transposed(const Conv2dShape& shape, const float* dy, const float* w, float* dx,
                       sim::ThreadPool* pool) {
  run(input_gradient_pass(with_wide_rows(shape)), dy, w, dx, pool);
}

Conv2dShape linear_shape(int64_t n, int64_t in, int64_t out) {
  Conv2dShape shape;
  shape.n = n;
  shape.ic = in;
  shape.oc = out;
  return shape;
}

}  // namespace facsim::fused::kernels
