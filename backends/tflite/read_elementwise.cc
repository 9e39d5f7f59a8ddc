// SPDX-License-Identifier: Apache-2.0
// Operators of two activations: ADD, SUB, MUL, MINIMUM, MAXIMUM, PRELU.
#include <fmt/format.h>

#include <algorithm>

#include "backends/tflite/tflite_layer-internal.h"

namespace facsim::backends::detail {

namespace {

/// A constant beside a computed operand of shape `other` has no extent where that has its batch.
void require_same_for_images(const TfliteNode& node, const Shape& constant, const Shape& other) {
  if (constant.rank() < other.rank() || (constant.rank() == other.rank() && constant[0] == 1)) {
    return;
  }
  node.unsupported(
      fmt::format("a constant of shape {} with {}", to_string(constant), to_string(other)),
      "one that is the same for every image");
}

template <class Options>
void read_arithmetic(TfliteNode& node, const char* op) {
  NodeAttributes attributes;
  if (const auto* options = node.find_options<Options>()) {
    attributes.activation = node.activation(options->fused_activation_function());
  }
  node.emit(op, tflite_operands(node, /*least_rank=*/1), std::move(attributes));
}

}  // namespace

std::vector<int> tflite_operands(TfliteNode& node, int least_rank) {
  node.require_counts(2, 2);
  std::vector<int> numbers{node.operand(0), node.operand(1)};
  const auto shape = [&](size_t i) { return node.graph().int_tensor(numbers[i]).shape; };
  const auto is_constant = [&](size_t i) {
    return node.graph().int_tensor(numbers[i]).data.has_value();
  };
  if (is_constant(0) && is_constant(1)) {
    node.unsupported("two constants", "at least one computed operand");
  }
  const int rank = std::max({shape(0).rank(), shape(1).rank(), least_rank});
  for (size_t i = 0; i < 2; ++i) {
    const Shape own = shape(i);
    if (is_constant(i) || own.rank() == rank) continue;
    std::vector<int64_t> extents(static_cast<size_t>(rank - own.rank()), 1);
    extents.insert(extents.end(), own.begin(), own.end());
    numbers[i] = node.reshaped(numbers[i], Shape(std::move(extents)));
  }
  for (size_t i = 0; i < 2; ++i) {
    if (is_constant(i)) require_same_for_images(node, shape(i), shape(1 - i));
  }
  return numbers;
}

void read_tflite_add(TfliteNode& node) { read_arithmetic<tflite::AddOptions>(node, "add"); }
void read_tflite_sub(TfliteNode& node) { read_arithmetic<tflite::SubOptions>(node, "sub"); }
void read_tflite_mul(TfliteNode& node) { read_arithmetic<tflite::MulOptions>(node, "mul"); }

void read_tflite_minimum(TfliteNode& node) {
  node.emit("minimum", tflite_operands(node, /*least_rank=*/1));
}
void read_tflite_maximum(TfliteNode& node) {
  node.emit("maximum", tflite_operands(node, /*least_rank=*/1));
}

void read_tflite_prelu(TfliteNode& node) {
  node.require_counts(2, 2);
  const int x = node.operand(0), alpha = node.operand(1);
  if (!node.graph().int_tensor(alpha).data)
    node.unsupported("alpha that is computed", "a constant");
  require_same_for_images(node, node.graph().int_tensor(alpha).shape,
                          node.graph().int_tensor(x).shape);
  node.emit("prelu", {x, alpha});
}

}  // namespace facsim::backends::detail
