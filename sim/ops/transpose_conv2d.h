// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "sim/ops/conv2d.h"

namespace facsim::sim {

/// layer.window: kernel, stride and dilation as of the convolution this op transposes, padding the
/// rows and columns cut off its result. padding_value is not used: no tap lies outside the image.
struct TransposeConv2dParams {
  Conv2dParams layer;                           ///< weights OHWI, I = IC / groups
  std::array<int64_t, 2> output_padding{0, 0};  ///< rows, columns added at the bottom, right
};

/// acc[n, oh, ow, oc] = sum over all (ih, iw, kh, kw, ic) with
///   oh = ih * stride_h + kh * dilation_h - top, ow = iw * stride_w + kw * dilation_w - left
/// of (x[n, ih, iw, ic] - zx) * (w[oc, kh, kw, ic] - zw) + bias[oc]; then requantize. Sequential
/// accumulators take the taps in the order ih, iw, ic.
/// OH = (IH - 1) * stride_h + (KH - 1) * dilation_h + 1 - top - bottom + output_padding_h.
///
/// Without dilation and events it runs as stride_h * stride_w convolutions of stride 1, one for
/// each phase of the output, each by the kernel that Conv2d chooses. Source: TFLite
/// integer_ops/transpose_conv.h, CMSIS-NN arm_transpose_conv_s8.
class TransposeConv2d final : public Op {
 public:
  /// Errors as Conv2d; bad_value for an output padding outside 0..2^24.
  explicit TransposeConv2d(TransposeConv2dParams params);
  ~TransposeConv2d() override;
  std::string_view kind() const override { return "transpose_conv2d"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.layer.input_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  int64_t macs(std::span<const Shape> inputs) const override;
  const TransposeConv2dParams& params() const { return params_; }

 private:
  struct Phase;
  struct Taps;
  Events run_norm(const Tensor& input, Tensor& output, const RunContext& context) const;
  /// Input rows and columns that a phase reads; its output rows and columns.
  static std::array<int64_t, 2> used_extent(const Phase& phase, const Shape& input);
  static std::array<int64_t, 2> phase_extent(const Phase& phase, const Shape& input);
  void run_phase(const Phase& phase, const Tensor& input, Tensor& output,
                 const RunContext& context) const;
  void make_phases();
  template <bool CountEvents>
  int64_t accumulator(const Taps& taps, const Tensor& input, int64_t n, int64_t oc,
                      Events& events) const;

  TransposeConv2dParams params_;
  std::vector<Phase> phases_;  ///< empty: only the norm is exact
};

}  // namespace facsim::sim
