// SPDX-License-Identifier: Apache-2.0
#include "fused/nnqat/concat.h"

#include <algorithm>

#include "fused/concat_channels.h"
#include "fused/integer_forward.h"

namespace facsim::fused::nnqat {

namespace {

int64_t channels_of(const Shape& shape) { return shape[shape.rank() - 1]; }

Tensor real_concat(std::span<const Value> inputs, sim::ThreadPool* pool) {
  std::vector<Tensor> parts;
  for (const Value& input : inputs) parts.push_back(input.real());
  return concat_channels(parts, pool);
}

}  // namespace

Concat::Concat(const QConfig& qconfig) : output_(qconfig, "concat", {}), profile_(qconfig.profile) {
  names_.add("activation_post_process", output_.quantizer());
}

std::unique_ptr<Concat> Concat::from_float(const nn::Concat& /*module*/, const QConfig& qconfig) {
  return std::unique_ptr<Concat>(new Concat(qconfig));
}

Value Concat::forward(std::span<const Value> inputs, const Context& context) {
  inputs_.assign(inputs.begin(), inputs.end());
  if (context.mode == ForwardMode::fake_quantize) {
    return output_.take_real(real_concat(inputs, context.pool), context);
  }
  if (context.observe) {
    quant::Range range = quant::range_of(inputs[0].real(), -1);
    for (const Value& input : inputs.subspan(1)) {
      const quant::Range other = quant::range_of(input.real(), -1);
      range.min[0] = std::min(range.min[0], other.min[0]);
      range.max[0] = std::max(range.max[0], other.max[0]);
    }
    output_.observe(range.min[0], range.max[0]);
  }
  return output_.take_codes(integer_forward(*this, inputs, *profile_, context).codes());
}

std::vector<Tensor> Concat::backward(const Tensor& dy, const Context& context,
                                     bool needs_input_gradient) {
  if (output_.learns()) output_.learn(dy, real_concat(inputs_, context.pool));
  if (!needs_input_gradient) return std::vector<Tensor>(inputs_.size());
  std::vector<int64_t> channels;
  for (const Value& input : inputs_) channels.push_back(channels_of(input.shape()));
  return split_channels(output_.masked(dy, context.pool), channels, context.pool);
}

int Concat::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  backends::IntNode node;
  node.op = "concat";
  Shape shape = builder.tensor(inputs[0]).shape;
  const int axis = shape.rank() - 1;
  node.attributes.axis = axis;
  shape[axis] = 0;
  for (const int input : inputs) shape[axis] += channels_of(builder.tensor(input).shape);
  return builder.add_node(std::move(node), builder.name(), {inputs.begin(), inputs.end()},
                          output_.quantizer().qparams(), shape);
}

}  // namespace facsim::fused::nnqat
