// SPDX-License-Identifier: Apache-2.0
// A network and images on which settings differ that can differ at all.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/backends/layer_builder.h"

namespace facsim::test {

/// The kinds of layers of TenLayers and more of them, in parts whose inputs hold all that matters
/// to them, so that settings which no image tells apart can be proved equal:
///   additions, products and activations see all pairs of codes;
///   pools and a mean all sums of their windows, at the borders too;
///   layers with weights every sum that these allow, at many multipliers and at ties, or few sums,
///     padded, after one another; one sums as far as weights go.
class SeparatingNetwork : public LayerBuilder {
 public:
  explicit SeparatingNetwork(const backends::Profile& profile)
      : LayerBuilder(profile, "separating") {
    add_elements();
    add_sums();
    add_pools();
    add_trunk();
  }

  /// With 256 images of 8-bit codes all that the class promises.
  std::vector<Tensor> images(int64_t count) {
    std::vector<Tensor> out;
    for (const int t : graph_.inputs) {
      const backends::IntTensor& x = tensor(t);
      Shape shape = x.shape;
      shape[0] = count;
      Tensor codes = Tensor::uninitialized(x.dtype, shape);
      const int64_t per_image = x.shape.numel();
      for (int64_t n = 0; n < count; ++n) {
        for (int64_t i = 0; i < per_image; ++i) {
          codes.set_int(n * per_image + i, code(x, n, i, count));
        }
      }
      out.push_back(std::move(codes));
    }
    return out;
  }

 private:
  void add_elements() {
    const int a = input("a", {1, 16, 16, 1}, 0.05f, -7);
    const int b = input("b", {1, 16, 16, 1}, 0.083f, 21);
    add_output(elementwise("add", "add", {a, b}, 0.09f));
    add_output(elementwise("mul", "mul", {a, b}, 0.27f));
    const int single = input("single", {1, 1, 1, 1}, 0.05f, -7);
    add_output(elementwise("leaky", "leaky_relu", {single}, 0.07f));
    add_output(elementwise("sigmoid", "sigmoid", {single}, 1.0f / 256));
    add_output(conv({.name = "line", .channels = 24, .weights = Weights::line}, single));
    add_output(linear({.name = "linear", .channels = 10, .weights = Weights::line}, single));
  }

  void add_sums() {
    const int pairs = input("pairs", {1, 8, 8, 2}, 0.05f, -7);
    add_output(conv({.name = "steps",
                     .channels = 4,
                     .weights = Weights::steps,
                     .scales = Scales::just_below_powers},
                    pairs));
    add_output(linear({.name = "rows", .channels = 2, .weights = Weights::steps}, pairs));
    const int columns = input("columns", {1, 8, 16, 2}, 0.05f, -7);
    add_output(depthwise({.name = "columnwise",
                          .kernel = {1, 2},
                          .stride = {1, 2},
                          .weights = Weights::steps,
                          .scales = Scales::just_below_powers},
                         columns));
  }

  void add_pools() {
    const int planes = input("planes", {1, 4, 4, kLevels + kMixed}, 0.05f, -7);
    add_output(pool("average", planes));
    add_output(global("mean", planes));
  }

  void add_trunk() {
    using backends::Activation;
    const int first = input("x", {1, 6, 6, 3}, 0.05f, -7);
    const int small =
        conv({"conv1", 4, {3, 3}, {1, 1}, 1, Activation::relu6, Weights::small}, first);
    add_output(
        conv({.name = "conv2", .channels = 4, .weights = Weights::small, .scales = Scales::powers},
             small));
    const int each =
        depthwise({"depthwise", 3, {3, 3}, {1, 1}, 1, Activation::none, Weights::small}, first);
    add_output(conv({"conv3", 2, {2, 2}, {1, 1}, 1, Activation::relu, Weights::small}, each));
    const Layer steep{.name = "steep", .channels = 4, .kernel = {5, 5}, .weights = Weights::signs};
    add_output(profile_.ops.contains("conv2d") ? conv(steep, first) : linear(steep, first));
  }

  int64_t code(const backends::IntTensor& x, int64_t image, int64_t i, int64_t count) {
    const sim::IntType type = x.qparams->type;
    const int64_t codes = type.max() - type.min() + 1;
    const auto part = [&](int64_t of, int64_t n, int64_t all) {  // 0 .. of - 1
      return all > 1 ? (of - 1) * n / (all - 1) : of / 2;
    };
    if (x.name == "a" || x.name == "single") return type.min() + part(codes, image, count);
    if (x.name == "b") return type.min() + part(codes, i, x.shape.numel());
    if (x.name == "pairs") {
      return pair_code(type, part(codes, image, count), i % 2, i / 2);
    }
    if (x.name == "columns") {
      const int64_t column = i / x.shape[3];  // of all rows
      return pair_code(type, part(codes, image, count), column % 2, column / 2);
    }
    if (x.name == "planes") return plane_code(type, image, i, count);
    return trunk_code(x, image, i);
  }

  /// 32 * the first + the second of a pair: all numbers from the least to the greatest, if the 64
  /// seconds of each first follow one another.
  static int64_t pair_code(sim::IntType type, int64_t first, int64_t which, int64_t second) {
    const int64_t codes = type.max() - type.min() + 1;
    if (which == 0) return type.min() + first;
    return type.min() + first * (codes - 64) / (codes - 1) + second;
  }

  /// Channels in which the 16 pixels of each image sum to the next number, of codes next to each
  /// other; and channels at random.
  int64_t plane_code(sim::IntType type, int64_t image, int64_t i, int64_t count) {
    const int64_t channel = i % (kLevels + kMixed), pixel = i / (kLevels + kMixed);
    if (channel >= kLevels) return dice_.between(type.min(), type.max());
    const int64_t planes = count * kLevels, plane = image * kLevels + channel;
    const int64_t sums = 16 * (type.max() - type.min());
    const int64_t sum = planes > sums ? std::min(plane, sums) : plane * sums / (planes - 1);
    return type.min() + sum / 16 + ((pixel * 7 + image) % 16 < sum % 16 ? 1 : 0);
  }

  /// At random, of the whole range or near one code; and images that take sums as far as they go.
  int64_t trunk_code(const backends::IntTensor& x, int64_t image, int64_t i) {
    const sim::IntType type = x.qparams->type;
    const Shape& shape = x.shape;
    const int64_t width = (type.max() - type.min()) / 8;
    switch (image % 4) {
      case 0:
        return dice_.between(type.min(), type.max());
      case 1: {
        const int64_t middle = type.min() + (image / 4 * 37 + i % shape[3] * 11) % (8 * width);
        return std::min(type.max(), middle + dice_.between(0, width));
      }
      case 2:
        if (image % 8 == 2) {  // few codes that are not zero
          return x.qparams->zero_point[0] + (dice_.between(0, 9) < 9 ? 0 : dice_.between(-1, 1));
        }
        return directed(image / 8 % 16, i, shape) ? type.max() : type.min();
      default:  // more and more of it
        return dice_.between(0, 15) <= image / 4 % 16
                   ? (directed(image / 64 * 4 + image / 4 % 2 * 2, i, shape) ? type.max()
                                                                             : type.min())
                   : dice_.between(type.min(), type.max());
    }
  }

  /// Of even kinds, by the sign of the weights of channel kind / 4 of the last layer that reads the
  /// input, in windows that begin at a multiple of their extent: to the greatest sum where 4
  /// divides the kind, else to the least. Of odd ones stripes and chessboards.
  bool directed(int64_t kind, int64_t i, const Shape& shape) const {
    const int64_t c = i % shape[3], w = i / shape[3] % shape[2], h = i / shape[3] / shape[2];
    const backends::IntNode& steep = graph_.nodes.back();
    if (kind % 2 != 0 || steep.name != "steep") {
      return ((h >> kind % 3) + (w >> kind / 3 % 3)) % 2 == 0;
    }
    const backends::IntTensor& weights = tensor(steep.inputs[1]);
    const Shape& s = weights.data->shape();
    const int64_t channel = kind / 4 % s[0];
    const int64_t at = s.rank() == 4 ? ((channel * s[1] + h % s[1]) * s[2] + w % s[2]) * s[3] + c
                                     : channel * s[1] + i;
    return (weights.data->int_at(at) >= weights.qparams->zero_point[0]) == (kind % 4 == 0);
  }

  static constexpr int64_t kLevels = 16, kMixed = 4;
};

}  // namespace facsim::test
