// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/unary_codes.h"

namespace facsim::sim {

/// v = code - zero_point; out = positive(v) for v >= 0, negative(v) for v < 0: two step programs
/// to the output, one with input_scale / output_scale and one with that times alpha.
/// Source: TFLite reference/leaky_relu.h QuantizeLeakyRelu.
struct LeakyReluParams {
  IntType input_type = kInt8;  ///< of at most 16 bits
  int64_t zero_point = 0;
  Requantizer positive, negative;  ///< to one type, one channel each
};
class LeakyRelu final : public UnaryCodes {
 public:
  /// Error bad_value for programs over or to float32, per channel, or to different types;
  /// unsupported for wider types.
  explicit LeakyRelu(LeakyReluParams params);
  std::string_view kind() const override { return "leaky_relu"; }
  const LeakyReluParams& params() const { return params_; }

 private:
  int64_t evaluate(int64_t code, Events& events, std::vector<TracedStep>* steps) const override;

  LeakyReluParams params_;
};

}  // namespace facsim::sim
