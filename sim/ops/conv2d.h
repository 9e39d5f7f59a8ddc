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

/// Window of a convolution or pool. Output extent: floor((in + pad - dilation*(k-1) - 1)/stride)
/// + 1.
struct Window2d {
  std::array<int64_t, 2> kernel{1, 1};  ///< h, w
  std::array<int64_t, 2> stride{1, 1};
  std::array<int64_t, 2> dilation{1, 1};
  Padding2d padding{};

  /// Error shape_mismatch if the window does not fit once.
  std::array<int64_t, 2> output_extent(int64_t ih, int64_t iw) const;
};

enum class PaddingKind { explicit_, same, same_lower, valid };
/// TFLite/ONNX "same": output = ceil(in/stride), the odd pad goes to bottom/right (`same`,
/// SAME_UPPER) or top/left (`same_lower`).
Padding2d resolve_padding(PaddingKind kind, const Window2d& window, int64_t ih, int64_t iw);

struct Conv2dParams {
  Window2d window;
  int64_t groups = 1;
  IntType input_type = kInt8, weight_type = kInt8;
  int64_t input_zero_point = 0;
  std::vector<int64_t> weight_zero_point{0};  ///< 1 or OC
  int64_t padding_value = 0;  ///< code that padded taps hold (the input zero point: contributes 0)
  Accumulator accumulator;
  Tensor weights;          ///< OHWI, I = IC / groups; int8/uint8/int16
  Tensor bias;             ///< [OC] int32/int64 in accumulator units, or empty
  Requantizer requantize;  ///< per tensor or OC channels
};

/// Convolution over NHWC with weights OHWI: depthwise is groups == IC with OC = IC * multiplier
/// (output channel = ic * multiplier + m). Output [N, OH, OW, OC].
///
/// Runs the fastest kernel whose result provably equals the norm: the range of every accumulator is
/// computed from the actual weights, and order and width are ignored only where it shows that they
/// cannot matter.
class Conv2d final : public Op {
 public:
  /// Errors, the place names the field. shape_mismatch: weights not OHWI or empty; kernel other
  /// than the weights'; weight_zero_point, bias or requantize of another number of channels.
  /// bad_value: stride or dilation < 1, negative padding, groups that do not divide OC, weights of
  /// another dtype or with codes outside weight_type, a zero point or padding value that is no code
  /// of its type, bias not int32 or int64, accumulator bits outside 8..64. unsupported: input or
  /// weight type above 16 bits, a requantization to real values, an accumulator of order `any` that
  /// could leave its width with an overflow policy other than wrap (its result would depend on the
  /// order).
  explicit Conv2d(Conv2dParams params);
  ~Conv2d() override;

  std::string_view kind() const override { return "conv2d"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int /*index*/) const override {
    return params_.input_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  int64_t macs(std::span<const Shape> inputs) const override;

  const Conv2dParams& params() const { return params_; }
  /// Largest |accumulator| any input can cause in channel oc, bias included, in any order of taps
  /// (INT64_MAX if larger).
  int64_t accumulator_bound(int64_t oc) const;
  /// True if no input can take any partial sum outside the accumulator's width.
  bool accumulator_is_exact() const;

 private:
  Conv2dParams params_;
  struct Prepared;
  std::unique_ptr<const Prepared> prepared_;
};

/// int32, or int64 when the accumulator has more than 32 bits.
DType accumulator_dtype(const Accumulator& accumulator);

/// The accumulators themselves (after the bias if params.bias is set): fills [N, OH, OW, OC] of
/// accumulator_dtype. params.requantize is not used. For training, whose weights change in every
/// step (the set-up costs O(weights)), and for traces. Errors as Conv2d's constructor and run.
Events conv2d_accumulate(const Conv2dParams& params, const Tensor& input, Tensor& accumulators,
                         const RunContext& context);

/// Exact statistics of accumulators per output channel, over N, OH and OW: integers, so the same
/// for any order and number of threads. What batch normalization over integers needs.
struct AccumulatorStatistics {
  std::vector<int64_t> sum;
  std::vector<int128> sum_of_squares;
  std::vector<int64_t> min, max;  ///< of an empty batch: INT64_MAX, INT64_MIN
};

/// As above, and the statistics in the same pass.
Events conv2d_accumulate(const Conv2dParams& params, const Tensor& input, Tensor& accumulators,
                         AccumulatorStatistics& statistics, const RunContext& context);

}  // namespace facsim::sim
