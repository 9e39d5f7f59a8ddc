// SPDX-License-Identifier: Apache-2.0
// Layers by XNNPACK's qs8, qc8 and qu8 operators against the profile xnnpack-x86.
#include <doctest/doctest.h>
#include <xnnpack.h>

#include <cmath>
#include <optional>

#include "sim/core/error.h"
#include "tests/peers/random_layers.h"
#include "tests/peers/tally.h"
#include "tests/peers/xnnpack_operators.h"

namespace facsim::test {

namespace {

/// Ratios of scales beyond XNNPACK's limits occur too: both sides must refuse them.
Layer random_binary(Dice& dice, const std::string& op, sim::IntType type) {
  Layer layer;
  layer.op = op;
  const Shape shape{1, dice.between(1, 5), dice.between(1, 5), dice.between(1, 33)};
  const float sy = dice.magnitude(-6, 3);
  const bool powers = dice.one_in(3);
  for (int i = 0; i < 2; ++i) {
    const Shape own = i == 1 && dice.one_in(4) ? Shape{1, 1, 1, shape[3]} : shape;
    float scale = op == "mul" ? dice.magnitude(-9, 1) : sy * dice.magnitude(-10.2f, 8.2f);
    if (dice.one_in(2)) scale = op == "mul" ? dice.magnitude(-5, -1) : sy * dice.magnitude(-2, 1);
    if (powers) scale = std::ldexp(1.0f, std::ilogb(scale));
    layer.inputs.push_back(random_codes(dice, type, own));
    layer.qparams.push_back(random_activation(dice, type, scale));
  }
  layer.output = random_activation(dice, type, powers ? std::ldexp(1.0f, std::ilogb(sy)) : sy);
  random_clamp(dice, layer);
  return layer;
}

Layer random_pool(Dice& dice, const std::string& op, sim::IntType type) {
  Layer layer;
  layer.op = op;
  const Shape shape{dice.between(1, 2), dice.between(2, 9), dice.between(2, 9),
                    dice.between(1, 40)};
  layer.inputs.push_back(random_codes(dice, type, shape));
  const float sx = dice.magnitude(-5, 2);
  layer.qparams.push_back(random_activation(dice, type, sx));
  layer.output = random_activation(dice, type, dice.one_in(3) ? sx : sx * dice.magnitude(-3, 3));
  if (op == "max_pool2d") layer.output = layer.qparams.front();
  if (op == "avg_pool2d") layer.attributes.count_include_pad = true;
  // XNNPACK's max pool reads the nearest pixel for a tap outside the image (indirection.c
  // xnn_indirection_init_maxpool2d): with a dilation that pixel may lie outside the window. So
  // dilated windows are unpadded here.
  const bool dilated = op == "max_pool2d" && dice.one_in(3);
  if (op != "global_avg_pool") {
    sim::Window2d& window = layer.attributes.window;
    do {
      window = random_window(dice, shape, 4, dilated);
    } while (window.kernel == std::array<int64_t, 2>{1, 1} ||
             (dilated && window.padding != sim::Padding2d{}));
  }
  random_clamp(dice, layer);
  return layer;
}

Layer random_unary(Dice& dice, const std::string& op, sim::IntType type) {
  Layer layer;
  layer.op = op;
  const Shape shape{dice.between(1, 3), dice.between(1, 256)};
  const float sx = dice.magnitude(-7, 1);
  layer.output = random_activation(dice, type, sx * dice.magnitude(-2, 2));
  if (op == "quantize") {
    Tensor x(DType::float32, shape);
    const float sy = layer.output.scale.front();
    for (float& value : x.values<float>()) {
      value = sy * (static_cast<float>(dice.between(-300, 300)) +
                    dice.pick({0.5f, 0.0f, dice.magnitude(-3, 0), -0.5f}));
      if (dice.one_in(50)) value = dice.pick({3e38f, -3e38f, 0.0f, -0.0f, 1e-30f});
    }
    layer.inputs.push_back(x);
    layer.qparams.emplace_back();
    return layer;
  }
  layer.inputs.push_back(random_codes(dice, type, shape));
  layer.qparams.push_back(random_activation(dice, type, sx));
  if (op == "sigmoid") {
    layer.output.scale = {0x1p-8f};
    layer.output.zero_point = {type.min()};
  }
  if (op == "tanh") {
    layer.output.scale = {0x1p-7f};
    layer.output.zero_point = {type.is_signed ? 0 : 128};
  }
  if (op == "leaky_relu") layer.attributes.alpha = dice.magnitude(-9, 0);
  return layer;
}

class XnnpackPeer {
 public:
  XnnpackPeer() {
    REQUIRE(xnn_initialize(nullptr) == xnn_status_success);
    MESSAGE("seed ", seed_);
  }

  /// Compares `count` layers of make(dice, signed?) computed by peer(layer).
  template <class Make, class Peer>
  void compare(const std::string& name, int64_t count, Make make, Peer peer) {
    Tally tally("XNNPACK ae108ef " + name);
    for (int64_t i = 0; i < count; ++i) {
      Dice dice(seed_ * 1000003 + static_cast<uint64_t>(i));
      const Layer layer = make(dice);
      const std::optional<Tensor> theirs = peer(layer);
      std::optional<Tensor> ours;
      std::string reason;
      try {
        ours = simulate(layer, profile_, i % 2 == 0 ? sim::Isa::best : sim::Isa::scalar);
      } catch (const Error& error) {
        if (error.code() != ErrorCode::unsupported) throw;
        reason = error.what();
      }
      if (theirs && ours) {
        tally.add(layer, *theirs, *ours);
      } else {
        tally.add_refusal(layer, !theirs, reason);
      }
    }
    CHECK(tally.mismatches() == 0);
    CHECK(tally.disagreements() == 0);
    CHECK(tally.layers() > count / 2);
  }

 private:
  const uint64_t seed_ = from_environment("FACSIM_PEER_SEED", 20220216);
  // The profile's own leaky_relu is that of later versions (xnnpack.lrelu_q8).
  const backends::Profile profile_ =
      backends::load_profile("xnnpack-x86", backends::ProfileSearch::standard(),
                             {{"/ops/leaky_relu", R"({"algorithm": "xnnpack.lookup_table"})"}});
};

sim::IntType either_type(Dice& dice) { return dice.one_in(2) ? sim::kInt8 : sim::kUint8; }

LayerDomain xnnpack_domain(Dice& dice) {
  LayerDomain domain;
  domain.input = domain.weight = domain.output = either_type(dice);
  domain.weight_zero_point = !domain.input.is_signed;
  domain.smallest_multiplier = -32;
  domain.largest_multiplier = 8;
  return domain;
}

/// XNNPACK takes requantization scales 2^-32 <= s_x * s_w / s_y < 256 (it asserts the lower bound),
/// of a product of activations 2^-16 <= s_a * s_b / s_y < 256, and clamps of at least two codes.
bool accepts(const Layer& layer) {
  const auto [low, high] = clamp_codes(layer);
  for (const float sw : layer.weight.scale) {
    const float scale = layer.qparams[0].scale.front() * sw / layer.output.scale.front();
    if (!layer.weights.empty() && !(scale >= 0x1p-32f && scale < 256.0f)) return false;
  }
  if (layer.op == "mul") {
    const float product = layer.qparams[0].scale.front() * layer.qparams[1].scale.front();
    const float scale = product / layer.output.scale.front();
    if (!(scale >= 0x1p-16f && scale < 256.0f)) return false;
  }
  return low < high;
}

/// make(dice) until XNNPACK accepts the parameters.
template <class Make>
auto accepted(Make make) {
  return [make](Dice& dice) {
    while (true) {
      Layer layer = make(dice);
      if (accepts(layer)) return layer;
    }
  };
}

}  // namespace

TEST_CASE("XNNPACK: convolutions, depthwise convolutions and linear layers") {
  XnnpackPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000));
  const auto make_convolution = [](bool depthwise) {
    return accepted([depthwise](Dice& dice) {
      LayerDomain domain = xnnpack_domain(dice);
      domain.depthwise = depthwise;
      domain.per_channel = domain.input.is_signed && dice.one_in(2);
      return random_linear_layer(dice, domain);
    });
  };
  peer.compare("convolution", count / 2, make_convolution(false), xnnpack_convolution);
  peer.compare("depthwise convolution", count / 4, make_convolution(true), xnnpack_convolution);
  peer.compare("transposed convolution (none strided with kernel >= stride)", count / 4,
               accepted([](Dice& dice) {
                 while (true) {
                   Layer layer = random_linear_layer(dice, xnnpack_domain(dice));
                   layer.op = "transpose_conv2d";
                   // XNNPACK ae108ef crashes in its sub-convolutions (strided, not dilated,
                   // kernel >= stride) on some layers: all of that path are left out.
                   const auto [kernel, stride, dilation, padding] = layer.attributes.window;
                   const bool strided = stride[0] > 1 || stride[1] > 1;
                   const bool dilated = dilation[0] > 1 || dilation[1] > 1;
                   if (strided && !dilated && kernel[0] >= stride[0] && kernel[1] >= stride[1])
                     continue;
                   layer.attributes.output_padding = {dice.between(0, stride[0] - 1),
                                                      dice.between(0, stride[1] - 1)};
                   const auto [oh, ow] = xnnpack_deconvolution_extent(layer);
                   if (oh >= 1 && ow >= 1) return layer;
                 }
               }),
               xnnpack_deconvolution);
  peer.compare("linear", count / 4, accepted([](Dice& dice) {
                 LayerDomain domain = xnnpack_domain(dice);
                 domain.linear = true;
                 return random_linear_layer(dice, domain);
               }),
               xnnpack_linear);
}

TEST_CASE("XNNPACK: add, sub, mul") {
  XnnpackPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000)) / 6;
  for (const std::string op : {"add", "sub", "mul"}) {
    peer.compare(op, count,
                 accepted([&](Dice& dice) { return random_binary(dice, op, either_type(dice)); }),
                 xnnpack_binary);
  }
}

TEST_CASE("XNNPACK: pools") {
  XnnpackPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000)) / 6;
  const auto make = [](const std::string& op) {
    return accepted([op](Dice& dice) { return random_pool(dice, op, either_type(dice)); });
  };
  peer.compare("global average pool", count, make("global_avg_pool"), xnnpack_global_pool);
  peer.compare("max pool", count, make("max_pool2d"), xnnpack_max_pool);
  peer.compare("average pool", count,
               accepted([](Dice& dice) { return random_pool(dice, "avg_pool2d", sim::kUint8); }),
               xnnpack_average_pool);
}

TEST_CASE("XNNPACK: quantize, dequantize and functions of one code") {
  XnnpackPeer peer;
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000)) / 12;
  for (const std::string op : {"quantize", "dequantize", "sigmoid", "tanh", "leaky_relu"}) {
    peer.compare(op, count, accepted([&](Dice& dice) {
                   return random_unary(dice, op,
                                       op == "leaky_relu" ? sim::kUint8 : either_type(dice));
                 }),
                 xnnpack_unary);
  }
}

}  // namespace facsim::test
