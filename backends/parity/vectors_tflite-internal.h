// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "backends/parity/vectors_case-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

/// TFLite's shift counts to the left of a Q31 multiplier; ours is the whole right shift.
/// Error bad_value for a shift no 64-bit arithmetic has.
int64_t whole_right_shift(int64_t tflite_shift);

GivenMultiplier given_multiplier(std::vector<int64_t> multiplier, std::vector<int64_t> tflite_shift,
                                 int64_t zero_point, const ClampBounds& clamp, sim::IntType output);

/// Stride, dilation and padding of a case; bottom and right padding follow from the output [N, OH,
/// OW, C]: what the last window reaches beyond the image. A "padding" of TFLite's words ("same",
/// "valid", in capitals too) must agree with them.
sim::Window2d read_window(const CaseData& data, Pair kernel, const Shape& input,
                          const Shape& output);

/// "fused_activation" (TFLite's code); none when absent.
Activation read_activation(const CaseData& data);

/// One scale and zero point of the type; `act_min`, `act_max` become quant_min, quant_max where
/// they are asked for.
quant::QParams tensor_qparams(float scale, int64_t zero_point, sim::IntType type);
ClampBounds read_clamp(const CaseData& data);

/// The case by the multipliers it gives and, where it also gives scales, by the multipliers the
/// profile derives from them. Under a profile whose program takes no multipliers only the second is
/// computed.
template <class Given, class Derived>
std::vector<Computed> given_and_derived(bool has_scales, Given given, Derived derived) {
  std::vector<Computed> results;
  try {
    results.push_back({"given multiplier", given()});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::unsupported || !has_scales) throw;
  }
  if (has_scales) results.push_back({"multiplier derived from scales", derived()});
  return results;
}

}  // namespace facsim::backends::detail
