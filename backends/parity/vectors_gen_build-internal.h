// SPDX-License-Identifier: Apache-2.0
// What the makers of one-node networks build them from, and the makers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backends/parity/vectors_gen-internal.h"

namespace facsim::backends::detail {

/// A network of one node of the target's op, without tensors.
VectorLayer empty_layer(const VectorTarget& target);
/// The node's next input, computed: `x` is what the case feeds it.
void add_input(VectorLayer& layer, std::string name, Tensor x,
               std::optional<quant::QParams> qparams);
/// The node's next input, with its data in the network.
void add_constant(VectorLayer& layer, std::string name, const Tensor& data,
                  std::optional<quant::QParams> qparams);
/// The node's output, of the shape that its inputs and attributes give. Called last.
void add_output(VectorLayer& layer, DType dtype, std::optional<quant::QParams> qparams);

/// `scale`, or the power of two below it where the profile has only those.
float legal_scale(const VectorTarget& target, float scale);
/// Parameters of an activation by the profile's zero point rule.
quant::QParams activation_qparams(const VectorTarget& target, VectorDice& dice, sim::IntType type,
                                  float scale, VectorStrategy strategy);
/// Random codes of a type; those of `edges` and `overflow` are mostly its ends.
Tensor codes_of(VectorDice& dice, sim::IntType type, const Shape& shape, VectorStrategy strategy);

/// Input codes that make a sum of codes times weights; what does not fit is left over.
class TapSolver {
 public:
  TapSolver(const quant::QParams& input, Tensor& x) : input_(input), x_(x) {}
  /// Sets the codes at `places` so that sum (x - zero_point) * weights is near `sum`. The first
  /// weight should be 1: it adds what the others leave.
  void solve(const std::vector<int64_t>& places, const std::vector<int64_t>& weights, int64_t sum);

 private:
  const quant::QParams& input_;
  Tensor& x_;
};

/// One try at a layer of the target's op, steered as the strategy says. The profile may refuse it:
/// errors as lower().
using VectorLayerMaker = VectorLayer (*)(const VectorTarget& target, VectorDice& dice,
                                         VectorStrategy strategy);
/// conv2d, depthwise_conv2d, transpose_conv2d, linear: accumulators steered through the input codes
/// and the bias.
VectorLayer try_weighted(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy);
/// batch_matmul: the second operand takes the place of weights.
VectorLayer try_matmul(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy);
/// Two operands of one shape: add, mul, minimum, …
VectorLayer try_binary(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy);
/// One operand, code by code: quantize, relu, sigmoid, lut, …
VectorLayer try_unary(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy);
VectorLayer try_pool(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy);
/// Ops that move codes or reduce axes: pad, concat, transpose, mean, …
VectorLayer try_moving(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy);

}  // namespace facsim::backends::detail
