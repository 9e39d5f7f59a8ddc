// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/int_graph_builder.h"
#include "fused/quantized_output.h"

namespace facsim::fused {

/// The addition of two quantized values with a clamping activation: the platform's add, its own
/// output quantizer, gradient passed to both sides.
class QuantizedAdd {
 public:
  QuantizedAdd(const QConfig& qconfig, ClampForm clamp)
      : output_(qconfig, "add", clamp), profile_(qconfig.profile) {}

  Value forward(const Value& a, const Value& b, const Context& context);
  /// The gradient of either side.
  Tensor backward(const Tensor& dy, const Context& context);
  /// Adds the node `name`.
  int emit(IntGraphBuilder& builder, std::string name, int a, int b) const;
  QuantizedOutput& output() { return output_; }
  const QuantizedOutput& output() const { return output_; }

 private:
  QuantizedOutput output_;
  std::shared_ptr<const backends::Profile> profile_;
  Value a_, b_;
};

}  // namespace facsim::fused
