// SPDX-License-Identifier: Apache-2.0
// batch_matmul: two computed operands, the second of which holds what a layer has as weights.
#include <algorithm>
#include <cmath>

#include "backends/parity/vectors_gen_build-internal.h"
#include "sim/ops/batch_matmul.h"

namespace facsim::backends::detail {

namespace {

constexpr int64_t kRows = 24, kDepth = 8, kColumns = 3;

/// Columns of a first code 1 and large ones, as offsets from the zero point.
void choose_columns(const quant::QParams& rhs, VectorDice& dice, Tensor& b) {
  const int64_t zero_point = rhs.zero_point.front();
  const int64_t room = rhs.type.max() - zero_point;
  for (int64_t k = 0; k < kDepth; ++k) {
    for (int64_t n = 0; n < kColumns; ++n) {
      const int64_t large = std::max<int64_t>(room - dice.between(0, 2), 1);
      b.set_int(k * kColumns + n, std::min(zero_point + (k == 0 ? 1 : large), rhs.type.max()));
    }
  }
}

/// Row m of the first operand makes one of the accumulators that the strategy wants in column
/// m % kColumns.
void steer_rows(const sim::BatchMatmulParams& params, const quant::QParams& lhs,
                VectorStrategy strategy, VectorDice& dice, const Tensor& b, Tensor& a) {
  const sim::IntType acc = params.accumulator.type();
  const std::vector<int64_t> wanted =
      steered_accumulators(params.requantize, 0, strategy, std::max<int64_t>(acc.min(), INT32_MIN),
                           std::min<int64_t>(acc.max(), INT32_MAX), dice);
  if (wanted.empty()) return;
  TapSolver solver(lhs, a);
  for (int64_t m = 0; m < kRows; ++m) {
    std::vector<int64_t> places, weights;
    for (int64_t k = 0; k < kDepth; ++k) {
      places.push_back(m * kDepth + k);
      weights.push_back(b.int_at(k * kColumns + m % kColumns) - params.rhs_zero_point);
    }
    const auto last = static_cast<int64_t>(wanted.size()) - 1;
    solver.solve(places, weights, wanted[static_cast<size_t>(dice.between(0, last))]);
  }
}

/// s_a * s_b / s_y as try_weighted's: few-bit numbers for ties, above 1 for overflows.
float product_scale(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  switch (strategy) {
    case VectorStrategy::ties:
      return std::ldexp(static_cast<float>(dice.pick({1, 1, 3, 5, 7})),
                        static_cast<int>(dice.between(-10, -3)));
    case VectorStrategy::edges:
      return dice.magnitude(-14, 2);
    case VectorStrategy::overflow:
      return dice.magnitude(0, 12);
    default:
      return dice.magnitude(-12, -5) * std::exp2(static_cast<float>(target.output.bits - 8));
  }
}

}  // namespace

VectorLayer try_matmul(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  const bool steered = strategy != VectorStrategy::random;
  float sa = dice.magnitude(-8, -2), sb = dice.magnitude(-8, -4);
  if (strategy == VectorStrategy::ties) {
    sa = std::ldexp(1.0f, std::ilogb(sa));
    sb = std::ldexp(1.0f, std::ilogb(sb));
  }
  const quant::QParams lhs = activation_qparams(target, dice, target.input, sa, strategy);
  quant::QParams rhs = activation_qparams(target, dice, target.input, sb, strategy);
  if (steered && rhs.zero_point.front() == rhs.type.max()) --rhs.zero_point.front();
  const float product = lhs.scale.front() * rhs.scale.front();
  const quant::QParams output = activation_qparams(
      target, dice, target.output, product / product_scale(target, dice, strategy), strategy);
  Tensor a, b;
  NodeAttributes attributes;
  if (dice.one_in(3)) attributes.activation = Activation::relu;
  if (steered) {
    a = codes_of(dice, target.input, {1, kRows, kDepth}, VectorStrategy::random);
    b = Tensor(target.input.storage(), {1, kDepth, kColumns});
    choose_columns(rhs, dice, b);
  } else {
    const int64_t batch = dice.between(1, 3), m = dice.between(1, 6), k = dice.between(1, 24),
                  n = dice.between(1, 6);
    attributes.transpose_lhs = dice.one_in(2);
    attributes.transpose_rhs = dice.one_in(2);
    a = codes_of(dice, target.input,
                 attributes.transpose_lhs ? Shape{batch, k, m} : Shape{batch, m, k}, strategy);
    b = codes_of(dice, target.input,
                 attributes.transpose_rhs ? Shape{batch, n, k} : Shape{batch, k, n}, strategy);
  }
  const auto build = [&] {
    VectorLayer layer = empty_layer(target);
    layer.graph.nodes.front().attributes = attributes;
    add_input(layer, "lhs", a, lhs);
    add_input(layer, "rhs", b, rhs);
    add_output(layer, output.type.storage(), output);
    return layer;
  };
  VectorLayer layer = build();
  if (!steered) return layer;
  const auto op = lower_layer(layer, target.profile);
  if (const auto* matmul = dynamic_cast<const sim::BatchMatmul*>(op.get())) {
    steer_rows(matmul->params(), lhs, strategy, dice, b, a);
    layer = build();
  }
  return layer;
}

}  // namespace facsim::backends::detail
