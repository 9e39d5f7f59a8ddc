// SPDX-License-Identifier: Apache-2.0
#include "fused/quantized_lut.h"

#include "fused/elementwise.h"
#include "fused/integer_forward.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

/// The real values of all codes of the type, lowest first.
Tensor all_reals(const quant::QParams& qparams) {
  if (qparams.type.bits > 16) {
    throw Error({ErrorCode::unsupported, "lut", std::to_string(qparams.type.bits) + "-bit codes",
                 "at most 16 bits", ""});
  }
  const int64_t count = int64_t{1} << qparams.type.bits;
  Tensor codes(qparams.type.storage(), {count});
  for (int64_t i = 0; i < count; ++i) codes.set_int(i, qparams.type.min() + i);
  return quant::dequantize(codes, qparams);
}

}  // namespace

Value QuantizedLut::forward(const Value& x, const Context& context) {
  x_ = x;
  if (context.mode == ForwardMode::fake_quantize) {
    return output_.take_real(apply(form_.value, x.real(), context.pool), context);
  }
  if (context.observe) output_.observe(apply(form_.value, x.real(), context.pool));
  IntGraphBuilder builder;
  Shape shape = x.shape();
  shape[0] = 1;
  const int input = builder.add_input("x", x.qparams(), shape);
  const int result = emit(builder, "lut", input);
  return output_.take_codes(run_nodes(builder.graph(), {x.codes()}, result, *profile_, context));
}

Tensor QuantizedLut::backward(const Tensor& dy, const Context& context) {
  if (output_.learns()) output_.learn(dy, apply(form_.value, x_.real(), context.pool));
  return multiply_by(form_.gradient, x_.real(), output_.masked(dy, context.pool), context.pool);
}

int QuantizedLut::emit(IntGraphBuilder& builder, std::string name, int x) const {
  const quant::QParams& input = *builder.tensor(x).qparams;
  const quant::QParams output = output_.quantizer().qparams();
  const Tensor codes = quant::quantize(apply(form_.value, all_reals(input), nullptr), output,
                                       output_.quantizer().spec());
  backends::IntNode node;
  node.op = "lut";
  node.attributes.table.clear();
  for (int64_t i = 0; i < codes.numel(); ++i) node.attributes.table.push_back(codes.int_at(i));
  return builder.add_node(std::move(node), std::move(name), {x}, output, builder.tensor(x).shape);
}

}  // namespace facsim::fused
