// SPDX-License-Identifier: Apache-2.0
// FULLY_CONNECTED and BATCH_MATMUL.
#include <fmt/format.h>

#include "backends/tflite/tflite_layer-internal.h"

namespace facsim::backends::detail {

/// Every row as long as the weights (O, I) gives a row of O. keep_num_dims only says which shape
/// the output has; so does the output.
void read_tflite_fully_connected(TfliteNode& node) {
  node.require_counts(2, 3);
  const auto& options = node.options<tflite::FullyConnectedOptions>();
  if (options.weights_format() != tflite::FullyConnectedOptionsWeightsFormat::DEFAULT) {
    node.unsupported("shuffled weights (weights_format)", "DEFAULT");
  }
  const int input = node.operand(0);
  const int weights = tflite_weights(node, 1, 2, TfliteWeights::output_first);
  const Shape x = node.graph().int_tensor(input).shape;
  const Shape w = node.graph().int_tensor(weights).shape;
  if (w[1] < 1 || x.numel() % w[1] != 0) {
    node.fail(fmt::format("weights {} on input {}", to_string(w), to_string(x)),
              "rows as long as the weights' second axis", ErrorCode::shape_mismatch);
  }
  const int64_t rows = x.numel() / w[1];
  const bool has_rows = rows == 1 || (x.rank() > 2 && x[x.rank() - 1] == w[1]);
  NodeAttributes attributes;
  attributes.activation = node.activation(options.fused_activation_function());
  std::vector<int> inputs{has_rows ? input : node.reshaped(input, {1, rows, w[1]}), weights};
  if (const int bias = tflite_bias(node, 2, input, weights); bias >= 0) inputs.push_back(bias);
  node.emit("linear", std::move(inputs), std::move(attributes));
}

void read_tflite_batch_matmul(TfliteNode& node) {
  node.require_counts(2, 2);
  NodeAttributes attributes;
  if (const auto* options = node.find_options<tflite::BatchMatMulOptions>()) {
    attributes.transpose_lhs = options->adj_x();
    attributes.transpose_rhs = options->adj_y();
  }
  node.emit("batch_matmul", tflite_operands(node, /*least_rank=*/3), std::move(attributes));
}

}  // namespace facsim::backends::detail
