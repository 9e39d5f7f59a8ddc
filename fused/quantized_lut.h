// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/int_graph_builder.h"
#include "fused/quantized_output.h"

namespace facsim::fused {

/// An activation by table: each code of a quantized input maps to a code of the output,
///   table[q - type.min] = quantize(float32(value(scale * (q - zero_point)))),
/// the real result rounded by the profile's activation rule. The gradient is that of the function
/// at the dequantized input. Inputs of up to 16 bits.
class QuantizedLut {
 public:
  QuantizedLut(const QConfig& qconfig, LutForm form)
      : output_(qconfig, "lut", {}), profile_(qconfig.profile), form_(std::move(form)) {}

  Value forward(const Value& x, const Context& context);
  Tensor backward(const Tensor& dy, const Context& context);
  int emit(IntGraphBuilder& builder, std::string name, int x) const;
  QuantizedOutput& output() { return output_; }
  const QuantizedOutput& output() const { return output_; }

 private:
  QuantizedOutput output_;
  std::shared_ptr<const backends::Profile> profile_;
  LutForm form_;
  Value x_;
};

}  // namespace facsim::fused
