// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <variant>
#include <vector>

#include "sim/core/events.h"
#include "sim/ops/conv2d_shape.h"

namespace facsim::sim {

/// The norm of the convolution's accumulators: every faster kernel is compared with it.
///
/// For output element (n, oh, ow, oc) of group g the taps are taken in the order kh, kw, ic:
///   x = input[n, oh*stride_h - top + kh*dilation_h, ow*stride_w - left + kw*dilation_w, g*IC/G +
///   ic],
///       or `padding_value` outside the image,
///   w = weights[oc, kh, kw, ic],
///   acc = the accumulator's sum of (x - input_zero_point) * (w - weight_zero_point[oc]), and
///   bias[oc].
/// What a sum is (width, overflow, order, events): `accumulate` in sim/ops/accumulate.h.
class Conv2dNorm {
 public:
  /// params already checked.
  explicit Conv2dNorm(const Conv2dParams& params);

  /// acc [OW, OC] of row oh of image n.
  template <bool CountEvents>
  void row(const Conv2dShape& shape, const Tensor& input, int64_t n, int64_t oh,
           std::span<int64_t> acc, Events& events) const;
  /// One accumulator; `flat_index` into [N, OH, OW, OC].
  int64_t at(const Conv2dShape& shape, const Tensor& input, int64_t flat_index) const;

 private:
  /// [OC, KH, KW, IC/G] minus the zero points. 16 bits when inputs and weights both fit after
  /// centring: the compiler then turns the sum into 16-bit multiply-add instructions.
  using CentredWeights = std::variant<std::vector<int16_t>, std::vector<int32_t>>;

  /// Made when a sum first needs them: a layer that only ever runs on faster kernels does without.
  const CentredWeights& centred_weights() const;
  int64_t weight_zero_point(int64_t channel) const;

  const Conv2dParams& params_;
  std::vector<int64_t> bias_;  ///< [OC]
  mutable std::once_flag centred_once_;
  mutable CentredWeights centred_weights_;
};

/// Takes the accumulators [OW, OC] of one output row, numbered n * OH + oh. Called from several
/// threads.
using NormRowSink = std::function<Events(int64_t row, std::span<const int64_t> acc)>;

/// The norm of every output row, in parallel over rows.
Events run_conv2d_norm(const Conv2dNorm& norm, const Conv2dShape& shape, const Tensor& input,
                       const RunContext& context, const NormRowSink& sink);

}  // namespace facsim::sim
