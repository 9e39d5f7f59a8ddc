// SPDX-License-Identifier: Apache-2.0
// The smallest accumulator that two bare requantizers take to different codes.
#include <algorithm>
#include <cmath>

#include "backends/lower/lower.h"
#include "backends/parity/profile_diff-internal.h"
#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

using Scales = DifferingVector::Scales;

constexpr int64_t kExhaustive = 256;  // |accumulator| that is tried with every scale

/// A layer's scales with both programs bound to them.
struct Trial {
  Scales scales;
  Activation activation = Activation::none;
  sim::Requantizer a, b;
};

/// real = acc * 2^-k first, then odd multiples of it, then decimals, then products of scales that
/// precisions round differently.
std::vector<Scales> simplest_scales() {
  std::vector<Scales> all;
  const auto add = [&](float input, float weight, float output) {
    Scales scales;
    scales.input = input;
    scales.weight = weight;
    scales.output = output;
    all.push_back(scales);
  };
  for (int k = 1; k <= 10; ++k) add(std::ldexp(1.0f, -k), 1, 1);
  for (const float odd : {3.0f, 5.0f, 7.0f}) {
    for (int k = 3; k <= 8; ++k) add(odd * std::ldexp(1.0f, -k), 1, 1);
  }
  for (const float real : {1.0f, 2.0f, 1.5f, 0.1f, 0.3f, 0.7f, 0.01f, 0.003f}) add(real, 1, 1);
  for (const float input : {0.1f, 0.3f, 0.05f}) {
    for (const float weight : {0.1f, 0.07f, 0.009f}) {
      for (const float output : {0.2f, 0.6f, 0.11f}) add(input, weight, output);
    }
  }
  return all;
}

/// The first type that both sides give.
std::optional<sim::IntType> common_output(const OpRules& a, const OpRules& b) {
  for (const sim::IntType& type : a.output_types) {
    if (std::find(b.output_types.begin(), b.output_types.end(), type) != b.output_types.end()) {
      return type;
    }
  }
  return std::nullopt;
}

std::optional<sim::Requantizer> bind(const OpRules& rules, const Scales& scales,
                                     Activation activation) {
  LinearScales linear;
  linear.input_scale = scales.input;
  linear.weight_scale = {scales.weight};
  linear.output.scale = {scales.output};
  linear.output.zero_point = {scales.zero_point};
  linear.output.type = scales.type;
  linear.output.quant_min = scales.type.min();
  linear.output.quant_max = scales.type.max();
  linear.activation = activation;
  try {
    return make_requantizer(rules, linear, {});
  } catch (const Error&) {
    return std::nullopt;  // the platform does not have such scales
  }
}

bool takes_zero_point(const OpRules& rules, int64_t zero_point, sim::IntType type) {
  using ZeroPoint = quant::TensorSpec::ZeroPoint;
  if (zero_point < type.min() || zero_point > type.max()) return false;
  if (rules.activation.zero_point == ZeroPoint::zero) return zero_point == 0;
  if (rules.activation.zero_point == ZeroPoint::middle) {
    return zero_point == (type.is_signed ? 0 : (type.max() + 1) / 2);
  }
  return true;
}

std::optional<int64_t> output_under(const sim::Requantizer& requantize, int64_t acc) {
  try {
    sim::Events events;
    return requantize.apply(acc, 0, events);
  } catch (const Error&) {
    return std::nullopt;  // undefined
  }
}

class RequantizerPair {
 public:
  RequantizerPair(const OpRules& a, const OpRules& b, VectorDice& dice, DiffCount& count)
      : a_(a), b_(b), dice_(dice), count_(count) {
    low_ = std::max(a.accumulator.min(), b.accumulator.min());
    high_ = std::min(a.accumulator.max(), b.accumulator.max());
  }

  std::optional<DifferingVector> search() {
    const auto type = common_output(a_, b_);
    if (!type) return std::nullopt;
    const int64_t middle = type->is_signed ? 0 : (type->max() + 1) / 2;
    add_trials(*type, middle, Activation::none);
    for (const int64_t zero_point : {middle + 1, type->min(), type->max()}) {
      add_trials(*type, zero_point, Activation::none);
    }
    add_trials(*type, type->min(), Activation::relu6);
    if (auto found = exhaustive()) return found;
    return directed();
  }

 private:
  void add_trials(sim::IntType type, int64_t zero_point, Activation activation) {
    if (!takes_zero_point(a_, zero_point, type) || !takes_zero_point(b_, zero_point, type)) return;
    for (Scales scales : simplest_scales()) {
      scales.type = type;
      scales.zero_point = zero_point;
      scales.activation = std::string(to_string(activation));
      auto a = bind(a_, scales, activation), b = bind(b_, scales, activation);
      if (a && b) trials_.push_back({scales, activation, std::move(*a), std::move(*b)});
    }
  }

  bool differs(const Trial& trial, int64_t acc) {
    if (acc < low_ || acc > high_) return false;
    const auto a = output_under(trial.a, acc), b = output_under(trial.b, acc);
    if (!a || !b) return false;
    ++count_.compared;
    count_.differing += *a != *b;
    return *a != *b;
  }

  std::optional<DifferingVector> exhaustive() {
    for (int64_t magnitude = 0; magnitude <= kExhaustive; ++magnitude) {
      for (const Trial& trial : trials_) {
        if (differs(trial, magnitude)) return vector_of(trial, magnitude);
        if (magnitude > 0 && differs(trial, -magnitude)) return vector_of(trial, -magnitude);
      }
    }
    return std::nullopt;
  }

  /// The ties, edges and overflows of both programs: the smallest accumulator of all.
  std::optional<DifferingVector> directed() {
    std::optional<DifferingVector> best;
    uint64_t smallest = UINT64_MAX;
    for (const Trial& trial : trials_) {
      for (const sim::Requantizer* program : {&trial.a, &trial.b}) {
        for (const VectorStrategy strategy :
             {VectorStrategy::ties, VectorStrategy::edges, VectorStrategy::overflow}) {
          for (const int64_t acc :
               steered_accumulators(*program, 0, strategy, low_, high_, dice_)) {
            const auto magnitude = static_cast<uint64_t>(acc < 0 ? -(acc + 1) : acc);
            if (!differs(trial, acc) || magnitude >= smallest) continue;
            smallest = magnitude;
            best = vector_of(trial, acc);
          }
        }
      }
    }
    return best;
  }

  static DifferingVector::Side side_of(const sim::Requantizer& requantize, int64_t acc) {
    DifferingVector::Side side;
    side.accumulator = acc;
    const auto first = [&](const char* name) -> std::optional<int64_t> {
      const auto found = requantize.arguments().integers.find(name);
      if (found == requantize.arguments().integers.end()) return std::nullopt;
      return found->second.front();
    };
    side.multiplier = first("multiplier");
    side.shift = first("shift");
    side.steps = step_texts(requantize.trace(acc, 0));
    side.output = std::to_string(*output_under(requantize, acc));
    return side;
  }

  static DifferingVector vector_of(const Trial& trial, int64_t acc) {
    DifferingVector out;
    out.scales = trial.scales;
    out.a = side_of(trial.a, acc);
    out.b = side_of(trial.b, acc);
    return out;
  }

  const OpRules &a_, &b_;
  VectorDice& dice_;
  DiffCount& count_;
  int64_t low_ = 0, high_ = 0;
  std::vector<Trial> trials_;
};

}  // namespace

bool has_bare_requantizer(const Profile& profile, const std::string& op) {
  const auto found = profile.ops.find(op);
  const std::string word = op.substr(0, op.find(' '));
  const bool is_weighted = word == "conv2d" || word == "depthwise_conv2d" ||
                           word == "transpose_conv2d" || word == "linear" || word == "batch_matmul";
  return found != profile.ops.end() && is_weighted && found->second.algorithm.empty();
}

std::optional<DifferingVector> differing_accumulator(const OpRules& a, const OpRules& b,
                                                     VectorDice& dice, DiffCount& count) {
  return RequantizerPair(a, b, dice, count).search();
}

}  // namespace facsim::backends::detail
