// SPDX-License-Identifier: Apache-2.0
// The taps of one output in a row, so that single ones can be left out.
#include <optional>
#include <utility>

#include "backends/graph/int_shape.h"
#include "backends/parity/reduce-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using detail::input_of;
using detail::node_of;
using detail::output_tensor;

/// Flat indices into the input and, of weighted layers, into the weights.
struct TapPlaces {
  std::vector<int64_t> inputs, weights;
};

/// In the order of the norm: rows, columns, channels.
TapPlaces window_places(const Reproduction& r) {
  const sim::Window2d& window = node_of(r).attributes.window;
  const Shape& in = input_of(r, 0).shape;
  TapPlaces places;
  for (int64_t kh = 0; kh < window.kernel[0]; ++kh) {
    for (int64_t kw = 0; kw < window.kernel[1]; ++kw) {
      const int64_t ih = kh * window.dilation[0] - window.padding.top;
      const int64_t iw = kw * window.dilation[1] - window.padding.left;
      if (ih < 0 || iw < 0 || ih >= in[1] || iw >= in[2]) continue;
      for (int64_t c = 0; c < in[3]; ++c) {
        places.inputs.push_back((ih * in[2] + iw) * in[3] + c);
        places.weights.push_back((kh * window.kernel[1] + kw) * in[3] + c);
      }
    }
  }
  return places;
}

TapPlaces all_places(const Reproduction& r) {
  TapPlaces places;
  for (int64_t i = 0; i < r.inputs[0].numel(); ++i) places.inputs.push_back(i);
  places.weights = places.inputs;
  return places;
}

Shape shape_of_taps(const IntNode& node, int64_t taps) {
  if (node.op == "linear" || node.op == "softmax") return {1, taps};
  if (node.op == "conv2d") return {1, 1, 1, taps};
  return {1, 1, taps, 1};
}

Tensor chosen(const Tensor& all, const std::vector<int64_t>& places, const Shape& shape) {
  Tensor out = Tensor::uninitialized(all.dtype(), shape);
  for (int64_t i = 0; i < out.numel(); ++i) {
    out.set_int(i, all.int_at(places[static_cast<size_t>(i)]));
  }
  return out;
}

/// The node with these taps alone.
Reproduction with_places(const Reproduction& from, const TapPlaces& places) {
  Reproduction r = from;
  r.recorded.reset();  // of another sum
  IntNode& node = node_of(r);
  const Shape shape = shape_of_taps(node, static_cast<int64_t>(places.inputs.size()));
  node.attributes.window = {};
  if (shape.rank() == 4) node.attributes.window.kernel = {shape[1], shape[2]};
  r.inputs[0] = chosen(from.inputs[0], places.inputs, shape);
  input_of(r, 0).shape = shape;
  if (detail::is_weighted(node)) {
    IntTensor& weights = input_of(r, 1);
    weights.data = chosen(*weights.data, places.weights, shape);
    weights.shape = shape;
  }
  output_tensor(r).shape = int_output_shape(r.graph, node);
  return r;
}

}  // namespace

std::optional<Reproduction> detail::taps_in_row(const Reproduction& from) {
  const IntNode& node = node_of(from);
  const Tensor& input = from.inputs[0];
  const bool window = node.op == "conv2d" || node.op == "depthwise_conv2d" ||
                      node.op == "max_pool2d" || node.op == "avg_pool2d";
  const bool pixels =
      node.op == "global_avg_pool" || (node.op == "mean" && node.attributes.keep_dims &&
                                       node.attributes.axes == std::vector<int64_t>{1, 2});
  const bool whole = node.op == "linear" || node.op == "softmax" || pixels;
  if ((!window && !whole) || from.inputs.size() != 1 || input.dtype() == DType::float32) return {};
  const Shape& out = output_tensor(from).shape;
  const int64_t outputs = node.op == "softmax" ? out.numel() / out[out.rank() - 1] : out.numel();
  if (outputs != 1 || input.shape()[0] != 1) return {};
  const TapPlaces places = window ? window_places(from) : all_places(from);
  if (places.inputs.empty()) return {};
  return with_places(from, places);
}

Reproduction detail::with_taps(const Reproduction& from, const std::vector<size_t>& taps) {
  TapPlaces places;
  for (const size_t tap : taps) places.inputs.push_back(static_cast<int64_t>(tap));
  places.weights = places.inputs;
  return with_places(from, places);
}

}  // namespace facsim::backends
