// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/named_quantizer.h"
#include "fused/nn/add.h"
#include "fused/quantized_add.h"

namespace facsim::fused::nnqat {

/// The platform's addition with an output quantizer (PyTorch's FloatFunctional.add in QAT).
class Add final : public Module {
 public:
  static std::unique_ptr<Add> from_float(const nn::Add& module, const QConfig& qconfig);
  std::string type_name() const override { return "nnqat.Add"; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  std::vector<Parameter*> parameters() override;
  std::vector<Buffer*> buffers() override;
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 private:
  explicit Add(const QConfig& qconfig);

  QuantizedAdd add_;
  NamedQuantizer names_;
};

}  // namespace facsim::fused::nnqat
