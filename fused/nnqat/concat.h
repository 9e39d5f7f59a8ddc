// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/named_quantizer.h"
#include "fused/nn/concat.h"
#include "fused/quantized_output.h"

namespace facsim::fused::nnqat {

/// The platform's concatenation with an output quantizer (PyTorch's FloatFunctional.cat in QAT):
/// inputs with other parameters are requantized to it. The gradient passes to each input where the
/// code lies strictly inside the range.
class Concat final : public Module {
 public:
  static std::unique_ptr<Concat> from_float(const nn::Concat& module, const QConfig& qconfig);
  std::string type_name() const override { return "nnqat.Concat"; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  std::vector<Parameter*> parameters() override { return names_.parameters(); }
  std::vector<Buffer*> buffers() override { return names_.buffers(); }
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 private:
  explicit Concat(const QConfig& qconfig);

  QuantizedOutput output_;
  std::shared_ptr<const backends::Profile> profile_;
  NamedQuantizer names_;
  std::vector<Value> inputs_;
};

}  // namespace facsim::fused::nnqat
