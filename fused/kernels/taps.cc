// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/taps.h"

#include <algorithm>

namespace facsim::fused::kernels {

namespace {

void measure_reach(Axis& axis) {
  for (const Phase& phase : axis.phases) {
    if (phase.offset.empty() || phase.count == 0) continue;
    const int64_t last = (phase.count - 1) * axis.input_step + phase.offset.back();
    axis.before = std::max(axis.before, -phase.offset.front());
    axis.after = std::max(axis.after, last - (axis.input - 1));
  }
}

}  // namespace

Axis forward_axis(int64_t input, int64_t output, int64_t kernel, int64_t stride, int64_t dilation,
                  int64_t padding) {
  Axis axis{.input = input, .output = output, .input_step = stride, .output_step = 1};
  Phase phase{.first = 0, .count = output};
  for (int64_t k = 0; k < kernel; ++k) {
    phase.kernel.push_back(k);
    phase.offset.push_back(k * dilation - padding);
  }
  axis.phases.push_back(std::move(phase));
  measure_reach(axis);
  return axis;
}

Axis backward_axis(int64_t input, int64_t output, int64_t kernel, int64_t stride, int64_t dilation,
                   int64_t padding) {
  Axis axis{.input = output, .output = input, .input_step = 1, .output_step = stride};
  for (int64_t first = 0; first < std::min(stride, input); ++first) {
    Phase phase{.first = first, .count = (input - first + stride - 1) / stride};
    for (int64_t k = kernel - 1; k >= 0; --k) {
      const int64_t distance = first + padding - k * dilation;
      if (distance % stride != 0) continue;
      phase.kernel.push_back(k);
      phase.offset.push_back(distance / stride);
    }
    axis.phases.push_back(std::move(phase));
  }
  measure_reach(axis);
  return axis;
}

}  // namespace facsim::fused::kernels
