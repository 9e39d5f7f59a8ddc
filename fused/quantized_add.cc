// SPDX-License-Identifier: Apache-2.0
#include "fused/quantized_add.h"

#include "backends/lower/lower.h"
#include "fused/elementwise.h"
#include "fused/integer_forward.h"
#include "fused/linear_op.h"
#include "sim/core/error.h"

namespace facsim::fused {

Value QuantizedAdd::forward(const Value& a, const Value& b, const Context& context) {
  if (!(a.shape() == b.shape())) {
    throw Error({ErrorCode::shape_mismatch, "add", to_string(b.shape()), to_string(a.shape()), ""});
  }
  a_ = a;
  b_ = b;
  if (context.mode == ForwardMode::fake_quantize) {
    return output_.take_real(sum(a.real(), b.real(), context.pool), context);
  }
  if (context.observe) {
    const kernels::SumRange range = kernels::range_of_sum(activations_of(a), activations_of(b),
                                                          a.codes().numel(), context.pool);
    output_.observe(range.min, range.max);
  }
  IntGraphBuilder builder;
  Shape shape = a.shape();
  shape[0] = 1;
  const int lhs = builder.add_input("a", a.qparams(), shape);
  const int rhs = builder.add_input("b", b.qparams(), shape);
  const int result = emit(builder, "add", lhs, rhs);
  return output_.take_codes(
      run_nodes(builder.graph(), {a.codes(), b.codes()}, result, *profile_, context));
}

Tensor QuantizedAdd::backward(const Tensor& dy, const Context& context) {
  if (output_.learns()) output_.learn(dy, sum(a_.real(), b_.real(), context.pool));
  return output_.masked(dy, context.pool);
}

int QuantizedAdd::emit(IntGraphBuilder& builder, std::string name, int a, int b) const {
  backends::IntNode node;
  node.op = "add";
  node.attributes.activation = output_.clamp().activation;
  return builder.add_node(std::move(node), std::move(name), {a, b}, output_.quantizer().qparams(),
                          builder.tensor(a).shape);
}

}  // namespace facsim::fused
