// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <memory>

#include "sim/ops/accumulator.h"
#include "sim/ops/op.h"

namespace facsim::sim {

/// Explicit padding in taps; `same` and `valid` are resolved to it by `resolve_padding`.
struct Padding2d {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  friend bool operator==(const Padding2d&, const Padding2d&) = default;
};

/// Window of a convolution or pool. Output extent: floor((in + pad - dilation*(k-1) - 1)/stride) + 1.
struct Window2d {
  std::array<int64_t, 2> kernel{1, 1};  ///< h, w
  std::array<int64_t, 2> stride{1, 1};
  std::array<int64_t, 2> dilation{1, 1};
  Padding2d padding{};

  /// Error shape_mismatch if the window does not fit once.
  std::array<int64_t, 2> output_extent(int64_t ih, int64_t iw) const;
};

enum class PaddingKind { explicit_, same, same_lower, valid };
/// TFLite/ONNX "same": output = ceil(in/stride), the odd pad goes to bottom/right (`same`, SAME_UPPER) or
/// top/left (`same_lower`).
Padding2d resolve_padding(PaddingKind kind, const Window2d& window, int64_t ih, int64_t iw);

struct Conv2dParams {
  Window2d window;
  int64_t groups = 1;
  IntType input_type = kInt8, weight_type = kInt8;
  int64_t input_zero_point = 0;
  std::vector<int64_t> weight_zero_point{0};  ///< 1 or OC
  int64_t padding_value = 0;  ///< code that padded taps hold (the input zero point: contributes 0)
  Accumulator accumulator;
  Tensor weights;             ///< OHWI, I = IC / groups; int8/uint8/int16
  Tensor bias;                ///< [OC] int32/int64 in accumulator units, or empty
  Requantizer requantize;     ///< per tensor or OC channels
};

/// Convolution over NHWC with weights OHWI: depthwise is groups == IC with OC = IC * multiplier
/// (output channel = ic * multiplier + m). Output [N, OH, OW, OC].
///
/// Runs the fastest kernel whose result provably equals the norm: the range of every accumulator is
/// computed from the actual weights, and order and width are ignored only where it shows that they
/// cannot matter.
class Conv2d final : public Op {
 public:
  /// Error bad_value / shape_mismatch / unsupported (named field).
  explicit Conv2d(Conv2dParams params);
  ~Conv2d() override;

  std::string_view kind() const override { return "conv2d"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  int64_t macs(std::span<const Shape> inputs) const override;

  const Conv2dParams& params() const { return params_; }
  /// Largest |accumulator| any input can cause in channel oc, bias included, in any order of taps.
  int64_t accumulator_bound(int64_t oc) const;
  /// True if no input can take any partial sum outside the accumulator's width.
  bool accumulator_is_exact() const;

 private:
  Conv2dParams params_;
  struct Prepared;
  std::unique_ptr<const Prepared> prepared_;
};

/// The accumulators themselves (after the bias if params.bias is set): [N, OH, OW, OC] int32, or
/// int64 when the accumulator has more than 32 bits. params.requantize is not used. For training and
/// for traces.
Events conv2d_accumulate(const Conv2dParams& params, const Tensor& input, Tensor& accumulators,
                         const RunContext& context);

}  // namespace facsim::sim
