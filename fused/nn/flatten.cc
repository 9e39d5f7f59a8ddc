// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/flatten.h"

#include "fused/int_graph_builder.h"

namespace facsim::fused::nn {

namespace {

/// A permutation only where there is more than one pixel.
Tensor flattened(const Tensor& x, sim::ThreadPool* pool) {
  const Shape& s = x.shape();
  const bool one_pixel = s.rank() != 4 || s[1] * s[2] == 1;
  return (one_pixel ? x : nchw_from_nhwc(x, pool)).reshaped({s[0], x.numel() / s[0]});
}

}  // namespace

Value Flatten::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{1});
  x_shape_ = inputs[0].shape();
  if (inputs[0].quantized())
    return {flattened(inputs[0].codes(), context.pool), inputs[0].qparams()};
  return Value(flattened(inputs[0].real(), context.pool));
}

std::vector<Tensor> Flatten::backward(const Tensor& dy, const Context& context,
                                      bool needs_input_gradient) {
  if (!needs_input_gradient) return {Tensor()};
  const Shape& s = x_shape_;
  if (s.rank() != 4 || s[1] * s[2] == 1) return {dy.reshaped(s)};
  return {nhwc_from_nchw(dy.reshaped({s[0], s[3], s[1], s[2]}), context.pool)};
}

int Flatten::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  const backends::IntTensor& x = builder.tensor(inputs[0]);
  backends::IntNode node;
  node.op = "flatten";
  node.attributes.order = sim::ReshapeParams::Order::nchw;
  return builder.add_node(std::move(node), builder.name(), {inputs[0]}, *x.qparams,
                          {1, x.shape.numel()});
}

}  // namespace facsim::fused::nn
