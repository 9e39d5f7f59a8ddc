// SPDX-License-Identifier: Apache-2.0
// Small random and adversarial layers.
#pragma once

#include "backends/parity/vector_dice-internal.h"
#include "tests/peers/layer.h"

namespace facsim::test {

using Dice = backends::detail::VectorDice;

/// What a peer accepts.
struct LayerDomain {
  sim::IntType input = sim::kInt8, weight = sim::kInt8, output = sim::kInt8;
  bool weight_zero_point = false;
  bool per_channel = false;
  bool float_bias = false;
  bool dilation = true;
  bool depthwise = false;
  bool linear = false;
  bool symmetric_padding = false;
  int bias_bits = 30;  ///< of biases that are not steered
  enum class Clamps { any, relu };
  Clamps clamps = Clamps::any;
  /// log2 of the real multiplier s_x * s_w / s_y.
  float smallest_multiplier = -20, largest_multiplier = 4;
};

/// A convolution, depthwise convolution or linear layer. One layer in three has scales that are
/// few-bit multiples of powers of two and a bias that puts one accumulator of every channel on a
/// tie of the rounding; others have zero points and codes at the ends of their range, multipliers
/// at the ends of the domain, accumulators above 2^24, clamps of one code.
Layer random_linear_layer(Dice& dice, const LayerDomain& domain);

/// Per-tensor parameters with a random or extreme zero point.
quant::QParams random_activation(Dice& dice, sim::IntType type, float scale);
/// Codes of a type: random, constant, or at the ends.
Tensor random_codes(Dice& dice, sim::IntType type, const Shape& shape);
/// A fused activation, or a random clamp around the zero point.
void random_clamp(Dice& dice, Layer& layer, LayerDomain::Clamps clamps = LayerDomain::Clamps::any);
/// A window of at most `kernel` taps a side that fits `shape` (NHWC).
sim::Window2d random_window(Dice& dice, const Shape& shape, int64_t kernel, bool dilation);

}  // namespace facsim::test
