// SPDX-License-Identifier: Apache-2.0
// Layers of ops whose outputs are codes, or reductions of codes, from elsewhere in the image: pools
// and ops that move codes.
#include "backends/parity/vectors_gen_build-internal.h"

namespace facsim::backends::detail {

VectorLayer try_pool(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  VectorLayer layer = empty_layer(target);
  NodeAttributes& attributes = layer.graph.nodes.front().attributes;
  const Shape shape{1, dice.between(3, 7), dice.between(3, 7), dice.between(1, 8)};
  sim::Window2d& window = attributes.window;
  if (target.op != "global_avg_pool") {
    // Windows of 2 and 4 taps meet ties.
    window.kernel = {dice.pick<int64_t>({1, 2, 2, 3}), dice.pick<int64_t>({2, 2, 1, 3})};
    window.stride = {dice.between(1, 2), dice.between(1, 2)};
    if (strategy == VectorStrategy::random) {
      window.padding = {dice.between(0, window.kernel[0] - 1),
                        dice.between(0, window.kernel[1] - 1), 0, 0};
    }
  }
  const quant::QParams input =
      activation_qparams(target, dice, target.input, dice.magnitude(-6, -2), strategy);
  quant::QParams output = input;
  if (target.op != "max_pool2d" && dice.one_in(2)) {
    const float ratio =
        strategy == VectorStrategy::ties ? dice.pick({0.5f, 2.0f, 1.0f}) : dice.magnitude(-1, 1);
    output = activation_qparams(target, dice, target.output, input.scale.front() * ratio, strategy);
  }
  if (dice.one_in(3)) attributes.activation = Activation::relu;
  attributes.count_include_pad = target.op == "avg_pool2d" && dice.one_in(2);
  add_input(layer, "input", codes_of(dice, target.input, shape, strategy), input);
  add_output(layer, output.type.storage(), output);
  return layer;
}

VectorLayer try_moving(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy) {
  VectorLayer layer = empty_layer(target);
  NodeAttributes& attributes = layer.graph.nodes.front().attributes;
  const Shape shape{1, dice.between(3, 5), dice.between(3, 5), dice.between(2, 4)};
  const quant::QParams input =
      activation_qparams(target, dice, target.input, dice.magnitude(-6, -2), strategy);
  quant::QParams output = input;
  if (dice.one_in(2)) {
    output = activation_qparams(target, dice, target.output,
                                input.scale.front() * dice.magnitude(-1, 1), strategy);
  }
  add_input(layer, "input", codes_of(dice, target.input, shape, strategy), input);
  if (target.op == "concat") {
    attributes.axis = 3;
    const quant::QParams second =
        dice.one_in(2)
            ? input
            : activation_qparams(target, dice, target.input, input.scale.front() * 1.5f, strategy);
    add_input(layer, "input2", codes_of(dice, target.input, shape, strategy), second);
  } else if (target.op == "pad") {
    attributes.pad_before = {0, dice.between(0, 2), dice.between(0, 2), 0};
    attributes.pad_after = {0, dice.between(0, 2), 1, dice.between(0, 1)};
  } else if (target.op == "slice") {
    attributes.begin = {0, 1, 0, 0};
    attributes.end = {1, shape[1], shape[2], shape[3]};
    attributes.strides = {1, 1, dice.between(1, 2), 1};
  } else if (target.op == "transpose") {
    attributes.permutation = {0, 3, 1, 2};
  } else if (target.op == "mean") {
    attributes.axes = {1, 2};
  } else if (target.op == "resize") {
    attributes.resize.size = {dice.between(2, 8), dice.between(2, 8)};
    attributes.resize.mode =
        dice.pick({ResizeAttributes::Mode::nearest, ResizeAttributes::Mode::bilinear});
    attributes.resize.half_pixel_centers = dice.one_in(2);
  } else if (target.op == "reshape") {
    using Order = sim::ReshapeParams::Order;
    output = input;
    attributes.extents = {-1};
    if (dice.one_in(2)) attributes.extents = {shape[1] * shape[2], shape[3]};
    attributes.order = dice.pick({Order::nhwc, Order::nchw});
  } else if (target.op == "prelu") {
    quant::QParams alpha =
        activation_qparams(target, dice, target.input, dice.magnitude(-8, -5), strategy);
    add_constant(layer, "alpha", codes_of(dice, target.input, {shape[3]}, strategy), alpha);
  }
  add_output(layer, output.type.storage(), output);
  return layer;
}

}  // namespace facsim::backends::detail
