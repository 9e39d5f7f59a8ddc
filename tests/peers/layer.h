// SPDX-License-Identifier: Apache-2.0
// Small random and adversarial layers, computed by our simulator and by a peer.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/profile/profile.h"
#include "sim/kernels/isa.h"

namespace facsim::test {

/// A seeded source of choices.
class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  int64_t between(int64_t low, int64_t high);  ///< both included
  bool one_in(int64_t n) { return between(1, n) == 1; }
  template <class T>
  T pick(std::initializer_list<T> choices) {
    return choices.begin()[between(0, static_cast<int64_t>(choices.size()) - 1)];
  }
  /// 2^x with x uniform in low..high: every order of magnitude is as likely.
  float magnitude(float low, float high);

 private:
  std::mt19937_64 random_;
};

/// One layer with its data: what both sides are given.
struct Layer {
  std::string op;
  backends::NodeAttributes attributes;
  std::vector<Tensor> inputs;           ///< computed tensors, NHWC or [N, C]
  std::vector<quant::QParams> qparams;  ///< of `inputs`
  Tensor weights;                       ///< OHWI or [O, I]; empty: none
  quant::QParams weight;
  Tensor bias;  ///< int32 accumulator units or float32 real; empty: none
  quant::QParams output;

  int64_t channels() const { return weights.shape()[0]; }
  float weight_scale(int64_t channel) const;
  std::string text() const;
};

/// What a peer accepts.
struct LayerDomain {
  sim::IntType input = sim::kInt8, weight = sim::kInt8, output = sim::kInt8;
  bool weight_zero_point = false;
  bool per_channel = false;
  bool float_bias = false;
  bool dilation = true;
  bool depthwise = false;
  bool linear = false;
  bool symmetric_padding = false;
  int bias_bits = 30;  ///< of biases that are not steered
  enum class Clamps { any, relu };
  Clamps clamps = Clamps::any;
  /// log2 of the real multiplier s_x * s_w / s_y.
  float smallest_multiplier = -20, largest_multiplier = 4;
};

/// A convolution, depthwise convolution or linear layer. One layer in three has scales that are
/// few-bit multiples of powers of two and a bias that puts one accumulator of every channel on a
/// tie of the rounding; others have zero points and codes at the ends of their range, multipliers
/// at the ends of the domain, accumulators above 2^24, clamps of one code.
Layer random_linear_layer(Dice& dice, const LayerDomain& domain);

/// Per-tensor parameters with a random or extreme zero point.
quant::QParams random_activation(Dice& dice, sim::IntType type, float scale);
/// Codes of a type: random, constant, or at the ends.
Tensor random_codes(Dice& dice, sim::IntType type, const Shape& shape);
/// A fused activation, or a random clamp around the zero point.
void random_clamp(Dice& dice, Layer& layer, LayerDomain::Clamps clamps = LayerDomain::Clamps::any);
/// A window of at most `kernel` taps a side that fits `shape` (NHWC).
sim::Window2d random_window(Dice& dice, const Shape& shape, int64_t kernel, bool dilation);

/// The output by our simulator: the layer as a one-node network under the profile.
/// Error unsupported if the profile refuses it.
Tensor simulate(const Layer& layer, const backends::Profile& profile, sim::Isa isa);

/// Clamp bounds in codes, computed as a caller of the peer does: zero_point + nearest(bound / s).
std::array<int64_t, 2> clamp_codes(const Layer& layer);

/// Whole number from the environment, for seeds and counts.
uint64_t from_environment(const char* name, uint64_t fallback);

/// Counts comparisons, prints the result and the first mismatches.
class Tally {
 public:
  explicit Tally(std::string peer);
  ~Tally();
  /// Both sides' outputs; `how`: what in the peer computed it.
  void add(const Layer& layer, const Tensor& peer, const Tensor& ours, const std::string& how = {});
  /// A layer that one side or both refused; `reason`: why we did, empty if we did not.
  void add_refusal(const Layer& layer, bool peer_refused, const std::string& reason);

  int64_t layers() const { return layers_; }
  int64_t mismatches() const { return mismatches_; }
  int64_t disagreements() const { return disagreements_; }

 private:
  struct PerOp {
    int64_t layers = 0, values = 0, mismatches = 0;
  };
  std::string peer_;
  std::map<std::string, PerOp> ops_;  ///< by the layers' op words
  int64_t layers_ = 0, values_ = 0, mismatches_ = 0, refused_ = 0, disagreements_ = 0, shown_ = 0;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace facsim::test
