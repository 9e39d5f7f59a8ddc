// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <string>

#include "sim/core/error.h"
#include "sim/ops/conv2d.h"

namespace facsim::sim {
namespace {

int64_t reach(int64_t kernel, int64_t dilation) { return dilation * (kernel - 1) + 1; }

int64_t axis_output(const char* axis, int64_t in, int64_t pad, int64_t kernel, int64_t stride,
                    int64_t dilation) {
  const int64_t room = in + pad - reach(kernel, dilation);
  if (room < 0) {
    throw Error({ErrorCode::shape_mismatch, std::string("window ") + axis,
                 "padded input extent " + std::to_string(in + pad),
                 "at least " + std::to_string(reach(kernel, dilation)) + " for kernel " +
                     std::to_string(kernel) + " with dilation " + std::to_string(dilation),
                 ""});
  }
  return room / stride + 1;
}

}  // namespace

std::array<int64_t, 2> Window2d::output_extent(int64_t ih, int64_t iw) const {
  return {
      axis_output("height", ih, padding.top + padding.bottom, kernel[0], stride[0], dilation[0]),
      axis_output("width", iw, padding.left + padding.right, kernel[1], stride[1], dilation[1])};
}

Padding2d resolve_padding(PaddingKind kind, const Window2d& window, int64_t ih, int64_t iw) {
  if (kind == PaddingKind::valid) return {};
  if (kind == PaddingKind::explicit_) return window.padding;
  const auto total = [&](size_t axis, int64_t in) {
    const int64_t out = (in + window.stride[axis] - 1) / window.stride[axis];
    return std::max<int64_t>(0, (out - 1) * window.stride[axis] +
                                    reach(window.kernel[axis], window.dilation[axis]) - in);
  };
  const int64_t h = total(0, ih);
  const int64_t w = total(1, iw);
  if (kind == PaddingKind::same) return {h / 2, w / 2, h - h / 2, w - w / 2};
  return {h - h / 2, w - w / 2, h / 2, w / 2};
}

}  // namespace facsim::sim
