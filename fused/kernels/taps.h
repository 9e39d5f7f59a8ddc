// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

namespace facsim::fused::kernels {

/// Outputs of one axis that share their taps: output first + i * output_step, i in [0, count),
/// reads inputs i * input_step + offset[t] with kernel element kernel[t]. Offsets ascend; an input
/// outside the axis is 0.
struct Phase {
  std::vector<int64_t> kernel{};
  std::vector<int64_t> offset{};
  int64_t first = 0;
  int64_t count = 0;
};

/// One axis of a convolution pass, and how far its taps reach outside the input.
struct Axis {
  int64_t input = 1, output = 1;
  int64_t input_step = 1, output_step = 1;
  std::vector<Phase> phases{};
  int64_t before = 0, after = 0;

  int64_t padded() const { return before + input + after; }
};

/// y[o] = sum over k of x[o * stride - padding + k * dilation] w[k]: a single phase.
Axis forward_axis(int64_t input, int64_t output, int64_t kernel, int64_t stride, int64_t dilation,
                  int64_t padding);
/// dx[i] = sum over k with (i + padding - k * dilation) divisible by stride of
/// dy[(i + padding - k * dilation) / stride] w[k]: `stride` phases, the one of i mod stride.
Axis backward_axis(int64_t input, int64_t output, int64_t kernel, int64_t stride, int64_t dilation,
                   int64_t padding);

}  // namespace facsim::fused::kernels
