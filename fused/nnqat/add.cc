// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/add.h"

namespace facsim::fused::nnqat {

Add::Add(const QConfig& qconfig) : add_(qconfig, {}) {
  names_.add("activation_post_process", add_.output().quantizer());
}

std::unique_ptr<Add> Add::from_float(const nn::Add& /*module*/, const QConfig& qconfig) {
  return std::unique_ptr<Add>(new Add(qconfig));
}

Value Add::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{2});
  return add_.forward(inputs[0], inputs[1], context);
}

std::vector<Tensor> Add::backward(const Tensor& dy, const Context& context,
                                  bool needs_input_gradient) {
  const Tensor g = add_.backward(dy, context);
  if (!needs_input_gradient) return {Tensor(), Tensor()};
  return {g, g};
}

std::vector<Parameter*> Add::parameters() { return names_.parameters(); }
std::vector<Buffer*> Add::buffers() { return names_.buffers(); }

int Add::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  return add_.emit(builder, builder.name(), inputs[0], inputs[1]);
}

}  // namespace facsim::fused::nnqat
