// SPDX-License-Identifier: Apache-2.0
// Operators of one activation whose codes change: RELU and its kin, LEAKY_RELU, HARD_SWISH,
// LOGISTIC, TANH, SOFTMAX, QUANTIZE, DEQUANTIZE.
#include "backends/tflite/tflite_node-internal.h"

namespace facsim::backends::detail {

namespace {

void read_unary(TfliteNode& node, const char* op, NodeAttributes attributes = {}) {
  node.require_counts(1, 1);
  node.emit(op, {node.operand(0)}, std::move(attributes));
}

}  // namespace

void read_tflite_relu(TfliteNode& node) { read_unary(node, "relu"); }
void read_tflite_relu6(TfliteNode& node) { read_unary(node, "relu6"); }
void read_tflite_relu_n1_to_1(TfliteNode& node) {
  NodeAttributes attributes;
  attributes.activation = Activation::relu_n1_to_1;
  read_unary(node, "clamp", std::move(attributes));
}
void read_tflite_hard_swish(TfliteNode& node) { read_unary(node, "hard_swish"); }
void read_tflite_logistic(TfliteNode& node) { read_unary(node, "sigmoid"); }
void read_tflite_tanh(TfliteNode& node) { read_unary(node, "tanh"); }

void read_tflite_leaky_relu(TfliteNode& node) {
  NodeAttributes attributes;
  attributes.alpha = node.options<tflite::LeakyReluOptions>().alpha();
  read_unary(node, "leaky_relu", std::move(attributes));
}

void read_tflite_softmax(TfliteNode& node) {
  NodeAttributes attributes;
  attributes.beta = node.options<tflite::SoftmaxOptions>().beta();
  read_unary(node, "softmax", std::move(attributes));
}

/// From real numbers, or from other codes.
void read_tflite_quantize(TfliteNode& node) {
  node.require_counts(1, 1);
  const bool is_real = node.int_input(0).dtype == DType::float32;
  node.emit(is_real ? "quantize" : "requantize", {node.operand(0)});
}

void read_tflite_dequantize(TfliteNode& node) { read_unary(node, "dequantize"); }

}  // namespace facsim::backends::detail
