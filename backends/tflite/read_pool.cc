// SPDX-License-Identifier: Apache-2.0
// AVERAGE_POOL_2D, MAX_POOL_2D, MEAN.
#include <algorithm>

#include "backends/tflite/tflite_layer-internal.h"

namespace facsim::backends::detail {

namespace {

void read_pool(TfliteNode& node, const char* op) {
  node.require_counts(1, 1);
  const auto& options = node.options<tflite::Pool2DOptions>();
  const int input = node.operand(0);
  NodeAttributes attributes;
  attributes.window = tflite_window(node,
                                    {options.padding(),
                                     {options.filter_height(), options.filter_width()},
                                     {options.stride_h(), options.stride_w()},
                                     {1, 1}},
                                    node.graph().int_tensor(input).shape);
  attributes.activation = node.activation(options.fused_activation_function());
  node.emit(op, {input}, std::move(attributes));
}

}  // namespace

void read_tflite_average_pool_2d(TfliteNode& node) { read_pool(node, "avg_pool2d"); }
void read_tflite_max_pool_2d(TfliteNode& node) { read_pool(node, "max_pool2d"); }

void read_tflite_mean(TfliteNode& node) {
  node.require_counts(2, 2);
  const int input = node.operand(0);
  NodeAttributes attributes;
  attributes.keep_dims = node.options<tflite::ReducerOptions>().keep_dims();
  for (const int64_t axis : node.integers(1, "axes")) {
    attributes.axes.push_back(node.inner_axis(node.input(0), axis));
  }
  std::sort(attributes.axes.begin(), attributes.axes.end());
  const auto last = std::unique(attributes.axes.begin(), attributes.axes.end());
  attributes.axes.erase(last, attributes.axes.end());
  node.emit("mean", {input}, std::move(attributes));
}

}  // namespace facsim::backends::detail
