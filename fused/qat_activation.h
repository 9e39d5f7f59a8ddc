// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/int_graph_builder.h"
#include "fused/named_quantizer.h"
#include "fused/quantized_output.h"

namespace facsim::fused {

/// An activation as the platform's own op (`node`: op word and attributes, hard_swish for one) with
/// an output quantizer: forward through the simulator, gradient of the real function at the
/// dequantized input where the output's code lies strictly inside its range. The nnqat activations
/// derive from it.
class QatActivation : public Module {
 public:
  /// Whose range the output's quantizer takes: that of the real results, or, for a function onto
  /// (0, 1), all of it in steps of a power of two: PyTorch's fixed parameters for a sigmoid, and
  /// what TFLite's kernels demand.
  enum class OutputRange { observed, unit };
  QatActivation(std::string type_name, backends::IntNode node, LutForm form, const QConfig& qconfig,
                OutputRange range);

  std::string type_name() const override { return type_name_; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  std::vector<Parameter*> parameters() override { return names_.parameters(); }
  std::vector<Buffer*> buffers() override { return names_.buffers(); }
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 private:
  std::string type_name_;
  backends::IntNode node_;
  LutForm form_;
  QuantizedOutput output_;
  OutputRange range_;
  std::shared_ptr<const backends::Profile> profile_;
  NamedQuantizer names_;
  Value x_;
};

}  // namespace facsim::fused
