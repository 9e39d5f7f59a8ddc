// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/int_ops.h"

#include <algorithm>

namespace facsim::backends {

std::span<const IntOp> int_ops() {
  using enum Attribute;
  // name, inputs from..to, first constant input, attributes
  static const std::vector<IntOp> ops = {
      {"conv2d", 2, 3, 1, {window, groups, activation}},
      {"depthwise_conv2d", 2, 3, 1, {window, groups, activation}},
      {"transpose_conv2d", 2, 3, 1, {window, groups, output_padding, activation}},
      {"linear", 2, 3, 1, {activation}},
      {"batch_matmul", 2, 2, 2, {transposed_operands, activation}},
      {"add", 2, 2, 2, {activation}},
      {"sub", 2, 2, 2, {activation}},
      {"mul", 2, 2, 2, {activation}},
      {"minimum", 2, 2, 2, {}},
      {"maximum", 2, 2, 2, {}},
      {"max_pool2d", 1, 1, 1, {window, activation}},
      {"avg_pool2d", 1, 1, 1, {window, activation, count_include_pad}},
      {"global_avg_pool", 1, 1, 1, {activation}},
      {"mean", 1, 1, 1, {axes}},
      {"pad", 1, 1, 1, {pad}},
      {"concat", 1, 64, 64, {axis}},
      {"slice", 1, 1, 1, {slice}},
      {"transpose", 1, 1, 1, {permutation}},
      {"resize", 1, 1, 1, {resize}},
      {"quantize", 1, 1, 1, {}},
      {"dequantize", 1, 1, 1, {}},
      {"requantize", 1, 1, 1, {}},
      {"relu", 1, 1, 1, {}},
      {"relu6", 1, 1, 1, {}},
      {"clamp", 1, 1, 1, {activation}},
      {"lut", 1, 1, 1, {table}},
      {"leaky_relu", 1, 1, 1, {alpha}},
      {"prelu", 2, 2, 1, {}},
      {"hard_swish", 1, 1, 1, {}},
      {"sigmoid", 1, 1, 1, {}},
      {"tanh", 1, 1, 1, {}},
      {"softmax", 1, 1, 1, {beta}},
      {"svdf", 3, 4, 1, {rank, state}},
      {"lstm", 13, 13, 1, {state, cell_clip}},
      {"reshape", 1, 1, 1, {extents, order}},
      {"flatten", 1, 1, 1, {order}},
  };
  return ops;
}

const IntOp* find_int_op(std::string_view name) {
  const auto ops = int_ops();
  const auto found =
      std::find_if(ops.begin(), ops.end(), [&](const IntOp& op) { return op.name == name; });
  return found == ops.end() ? nullptr : &*found;
}

}  // namespace facsim::backends
