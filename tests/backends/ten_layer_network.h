// SPDX-License-Identifier: Apache-2.0
// A network with a layer of every kind that a profile computes, and images for it.
#pragma once

#include <string>
#include <vector>

#include "tests/backends/layer_builder.h"

namespace facsim::test {

/// Convolutions, a depthwise one, an addition, pools, activations and a linear layer, and beside
/// them one on the input with sums of every size; layers that the profile refuses are left out.
/// Scales are powers of two in one convolution, so that ties occur, and everywhere on a platform
/// that has no others.
class TenLayers : public LayerBuilder {
 public:
  explicit TenLayers(const backends::Profile& profile) : LayerBuilder(profile, "ten_layers") {
    using backends::Activation;
    int x = input("x", {1, 8, 8, 3}, 0.05f, -7);
    x = conv({"conv1", 6, {3, 3}, {1, 1}, 1, Activation::relu6}, x);
    const int trunk = x;
    x = depthwise({"depthwise", 6, {3, 3}, {1, 1}, 1}, x);
    x = conv({.name = "conv2", .channels = 6, .scales = Scales::powers}, x);
    x = elementwise("add", "add", {trunk, x}, 0.09f);
    x = elementwise("mul", "mul", {trunk, x}, 0.1f);
    x = pool("average", x);
    x = elementwise("leaky", "leaky_relu", {x}, 0.07f);
    x = conv({"conv3", 8, {3, 3}, {1, 1}, 1, Activation::relu}, x);
    x = elementwise("sigmoid", "sigmoid", {x}, 1.0f / 256);
    x = conv({"conv4", 8, {2, 2}, {2, 2}}, x);
    x = global("mean", x);
    x = linear({"linear", 10}, x);
    graph_.outputs = {x};
    add_steep();
  }

  /// Codes at random, of the whole range and of parts of it, and images that take the first layer's
  /// sums as far as they go: each channel's weights decide which end of the range a tap is at.
  std::vector<Tensor> images(int64_t count) {
    const backends::IntTensor& x = graph_.tensors[static_cast<size_t>(graph_.inputs[0])];
    const sim::IntType type = x.qparams->type;
    Shape shape = x.shape;
    shape[0] = count;
    Tensor tensor = codes(type, shape);
    const int64_t per_image = x.shape.numel();
    for (int64_t n = 0; n < count; ++n) {
      for (int64_t i = 0; i < per_image && n % 2 == 1; ++i) {
        tensor.set_int(n * per_image + i, directed_code(n / 2, i, x.shape));
      }
    }
    std::vector<Tensor> out;
    out.push_back(std::move(tensor));
    return out;
  }

 private:
  /// A layer beside the others, on the network's input: weights at the ends of their range and a
  /// multiplier near 1, so that sums as large as any layer's, and single steps of them, show.
  void add_steep() {
    const Layer steep{.name = "steep", .channels = 4, .kernel = {5, 5}, .weights = Weights::ends};
    const int x = graph_.inputs[0];
    add_output(profile_.ops.contains("conv2d") ? conv(steep, x) : linear(steep, x));
  }

  /// One of the kinds of directed images: both ends of the range by the sign of a channel's weights
  /// of the last layer that reads the input (in windows that begin at a multiple of their extent),
  /// or stripes and chessboards of both ends that grow from image to image.
  int64_t directed_code(int64_t kind, int64_t i, const Shape& shape) {
    const sim::IntType type = graph_.tensors[static_cast<size_t>(graph_.inputs[0])].qparams->type;
    const int64_t c = i % shape[3], w = i / shape[3] % shape[2], h = i / shape[3] / shape[2];
    bool high = ((h >> kind % 3) + (w >> kind / 3 % 3)) % 2 == 0;
    for (const backends::IntNode& node : graph_.nodes) {
      if (kind % 2 != 0 || node.inputs[0] != graph_.inputs[0] || node.inputs.size() < 2) continue;
      const backends::IntTensor& weights = tensor(node.inputs[1]);
      if (!weights.data) continue;
      const Shape& s = weights.data->shape();
      const int64_t channel = kind / 4 % s[0];
      const int64_t at = s.rank() == 4 ? ((channel * s[1] + h % s[1]) * s[2] + w % s[2]) * s[3] + c
                                       : channel * s[1] + i;
      high = (weights.data->int_at(at) >= weights.qparams->zero_point[0]) == (kind % 4 == 0);
    }
    return high ? type.max() : type.min();
  }
};

}  // namespace facsim::test
