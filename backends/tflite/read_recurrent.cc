// SPDX-License-Identifier: Apache-2.0
// SVDF and UNIDIRECTIONAL_SEQUENCE_LSTM. Their variable tensors only tell the scales of states.
#include <fmt/format.h>

#include "backends/tflite/tflite_layer-internal.h"

namespace facsim::backends::detail {

namespace {

/// The scale and zero point of variable tensor `input`.
quant::QParams read_state(const TfliteNode& node, size_t input) {
  const TfliteTensor& t = node.input(input);
  if (!t.is_variable) {
    node.unsupported(fmt::format("input {}, a state that is no variable", input),
                     "a variable tensor", "states start as real 0");
  }
  std::optional<quant::QParams> qparams = node.graph().qparams(t);
  if (!qparams || qparams->per_channel()) {
    node.unsupported(fmt::format("input {}, a state without a single scale", input),
                     "a quantized state");
  }
  return *std::move(qparams);
}

/// A bias of any shape with one value per row of input `weights`.
int read_gate_bias(TfliteNode& node, size_t bias, int input, int weights) {
  const int number = tflite_bias(node, bias, input, weights);
  if (number < 0) node.unsupported(fmt::format("no bias (input {})", bias), "one per gate");
  return number;
}

}  // namespace

/// One step of time per run, on states that start as real 0. Inputs: x (N, I), feature weights,
/// time weights, bias?, states.
void read_tflite_svdf(TfliteNode& node) {
  node.require_counts(5, 5);
  const auto& options = node.options<tflite::SVDFOptions>();
  const Activation activation = node.activation(options.fused_activation_function());
  if (activation != Activation::none && activation != Activation::relu) {
    node.unsupported("a fused activation that bounds from above", "NONE or RELU");
  }
  const int x = node.operand(0);
  const Shape shape = node.graph().int_tensor(x).shape;
  if (shape.rank() != 2) {
    node.fail("input of shape " + to_string(shape), "(N, I)", ErrorCode::shape_mismatch);
  }
  const int features = tflite_weights(node, 1, 2, TfliteWeights::output_first);
  const int time = tflite_weights(node, 2, 2, TfliteWeights::output_first);
  NodeAttributes attributes;
  attributes.rank = options.rank();
  attributes.state = read_state(node, 4);
  const int64_t filters = node.graph().int_tensor(features).shape[0];
  if (attributes.rank < 1 || filters % attributes.rank != 0) {
    node.fail(fmt::format("rank {}", attributes.rank),
              fmt::format("a divisor of the {} filters", filters));
  }
  std::vector<int> inputs{node.reshaped(x, {1, 1, shape[1]}), features, time};
  if (node.has_input(3)) {
    const TfliteTensor& bias = node.input(3);
    if (bias.shape != Shape{filters / attributes.rank} || !bias.is_constant ||
        bias.type != tflite::TensorType::INT32) {
      node.fail(
          fmt::format("a bias {} {}", tflite::EnumNameTensorType(bias.type), to_string(bias.shape)),
          fmt::format("INT32 ({},)", filters / attributes.rank), ErrorCode::shape_mismatch);
    }
    inputs.push_back(node.operand(3));
  }
  node.emit("svdf", std::move(inputs), std::move(attributes));
}

/// The LSTM of Keras: four gates, no peepholes, projection or layer normalization. Inputs: x, 4
/// weights of x, 4 of the output (gates input, forget, cell, output), 3 peepholes, 4 biases,
/// projection and its bias, the states of output and cells, 4 normalizations.
void read_tflite_unidirectional_sequence_lstm(TfliteNode& node) {
  constexpr size_t kInputs = 24, kWeights = 1, kBiases = 12, kOutputState = 18, kCellState = 19;
  node.require_counts(20, kInputs);
  const auto& options = node.options<tflite::UnidirectionalSequenceLSTMOptions>();
  if (options.fused_activation_function() != tflite::ActivationFunctionType::TANH ||
      options.diagonal_recurrent_tensors()) {
    node.unsupported("a cell that is not Keras's", "activation TANH, full recurrent weights");
  }
  for (const size_t absent : {9, 10, 11, 16, 17, 20, 21, 22, 23}) {
    if (node.has_input(absent)) {
      node.unsupported(fmt::format("input {}: peepholes, projection or normalization", absent),
                       "an LSTM without");
    }
  }
  int x = node.operand(0);
  const TfliteTensor& file = node.input(0);
  const int batch_axis = options.time_major() ? 1 : 0;
  if (file.shape.rank() != 3) {
    node.fail("input of shape " + to_string(file.shape), "rank 3", ErrorCode::shape_mismatch);
  }
  if (file.shape[batch_axis] != node.graph().batch() ||
      (options.time_major() && node.graph().batch() != 1)) {
    node.unsupported(fmt::format("input of shape {}, time_major {}", to_string(file.shape),
                                 options.time_major()),
                     "the batch, 1 if time_major, on its axis");
  }
  x = node.reshaped(x, {1, file.shape[1 - batch_axis], file.shape[2]});
  NodeAttributes attributes;
  attributes.state = read_state(node, kCellState);
  attributes.cell_clip = options.cell_clip();
  const auto output = node.graph().qparams(node.output());
  const quant::QParams hidden = read_state(node, kOutputState);
  if (!output || output->scale != hidden.scale || output->zero_point != hidden.zero_point) {
    node.unsupported("an output whose scale is not its state's", "the same");
  }
  std::vector<int> inputs{x};
  for (size_t i = 0; i < 8; ++i) {
    inputs.push_back(tflite_weights(node, kWeights + i, 2, TfliteWeights::output_first));
  }
  for (size_t i = 0; i < 4; ++i) {
    inputs.push_back(read_gate_bias(node, kBiases + i, x, inputs[1 + i]));
  }
  node.emit("lstm", std::move(inputs), std::move(attributes));
}

}  // namespace facsim::backends::detail
