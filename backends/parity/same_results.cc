// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/same_results-internal.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

#include "backends/parity/all_codes-internal.h"
#include "backends/parity/op_sums-internal.h"
#include "backends/parity/ops_by_params-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

bool same_bytes(const Tensor& a, const Tensor& b) {
  if (a.empty() || b.empty()) return a.empty() && b.empty();
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

// --- layers with weights ---

bool same_window(const sim::Window2d& a, const sim::Window2d& b) {
  return a.kernel == b.kernel && a.stride == b.stride && a.dilation == b.dilation &&
         a.padding == b.padding;
}

bool same_layers(const WeightedLayer& one, const WeightedLayer& other, const InputKind& input,
                 ProofBudget& budget) {
  const sim::Conv2dParams &a = *one.params, &b = *other.params;
  const bool same_products = a.input_type == b.input_type && a.weight_type == b.weight_type &&
                             a.input_zero_point == b.input_zero_point &&
                             a.weight_zero_point == b.weight_zero_point && a.groups == b.groups &&
                             same_window(a.window, b.window) && same_bytes(a.weights, b.weights) &&
                             (!one.pads || a.padding_value == b.padding_value);
  if (!same_products) return false;
  budget -= a.weights.numel();  // what the sums cost
  const CodeRanges codes = input.codes.value_or(Codes{a.input_type.min(), a.input_type.max()});
  const auto sums_a = layer_sums(one, input, codes), sums_b = layer_sums(other, input, codes);
  if (!sums_a || !sums_b || sums_a->exact != sums_b->exact) return false;
  if (!sums_a->exact && !(a.accumulator == b.accumulator && same_bytes(a.bias, b.bias))) {
    return false;
  }
  const ProgramOrder order =
      sums_a->keeps_order() && sums_b->keeps_order() ? ProgramOrder::kept : ProgramOrder::unknown;
  for (size_t c = 0; c < sums_a->channels.size(); ++c) {
    const LayerSums::Channel& channel = sums_a->channels[c];
    if (!same_program(channel.program, sums_b->channels[c].program, channel.min, channel.max, order,
                      budget)) {
      return false;
    }
  }
  return true;
}

// --- sums of taps ---

bool same_tap_sums(const TapSums& a, const TapSums& b, Codes codes, ProofBudget& budget) {
  const bool same_taps = a.type == b.type && a.fewest == b.fewest && a.most == b.most &&
                         a.type.bits <= 16 && a.most < (int64_t{1} << 30);
  if (!same_taps) return false;
  for (int64_t taps = a.fewest; taps <= a.most; ++taps) {
    if (!same_program(a.of_taps(taps), b.of_taps(taps), taps * codes.min, taps * codes.max,
                      budget)) {
      return false;
    }
  }
  return true;
}

// --- elementwise ops ---

bool same_on_all_codes(const sim::Op& a, const sim::Op& b, const std::vector<InputKind>& inputs,
                       ProofBudget& budget) {
  const std::vector<Tensor> results = results_on_all_codes({&a, &b}, inputs, budget);
  return results.size() == 2 && same_bytes(results[0], results[1]);
}

/// What the two inputs of an addition become, for every code of each.
struct Addends {
  std::vector<int64_t> values[2];
  int64_t unit = 0;  ///< greatest common divisor of all of them
};

/// Nothing where one is so large that sums of two could leave 62 bits.
std::optional<Addends> addends(const sim::AddParams& add) {
  constexpr int64_t kLimit = int64_t{1} << 61;
  Addends out;
  for (const bool rhs : {false, true}) {
    const sim::Requantizer& program = rhs ? add.rhs : add.lhs;
    const sim::IntType type = rhs ? add.rhs_type : add.lhs_type;
    if (program.channels() != 1 || program.output_is_real()) return std::nullopt;
    sim::Events events;
    for (int64_t code = type.min(); code <= type.max(); ++code) {
      const int64_t value = program.apply(code, 0, events);
      if (value <= -kLimit || value >= kLimit) return std::nullopt;
      out.values[rhs].push_back(value);
      out.unit = std::gcd(out.unit, value);
    }
  }
  out.unit = std::max<int64_t>(out.unit, 1);
  return out;
}

/// As the ops compute: two programs to integers, their sum or difference, a program. One side's
/// integers may be the other's times a factor.
bool same_additions(const sim::AddParams& a, const sim::AddParams& b, ProofBudget& budget) {
  const bool same_codes = a.lhs_type == b.lhs_type && a.rhs_type == b.rhs_type;
  if (!same_codes || a.lhs_type.bits > 16 || a.rhs_type.bits > 16) return false;
  if (a.output.channels() != 1 || b.output.channels() != 1) return false;
  const auto codes = [](sim::IntType type) { return int64_t{1} << type.bits; };
  budget -= 2 * (codes(a.lhs_type) + codes(a.rhs_type));  // both sides' addends
  if (budget <= 0) return false;
  const std::optional<Addends> f = addends(a), g = addends(b);
  if (!f || !g) return false;
  int64_t low = 0, high = 0;  // of the sum, in units
  for (const bool rhs : {false, true}) {
    const std::vector<int64_t>&of_f = f->values[rhs], &of_g = g->values[rhs];
    for (size_t i = 0; i < of_f.size(); ++i) {
      if (of_f[i] / f->unit != of_g[i] / g->unit) return false;
    }
    const auto [least, greatest] = std::minmax_element(of_f.begin(), of_f.end());
    const bool subtracted = rhs && a.kind == sim::AddParams::Kind::sub;
    low += (subtracted ? -*greatest : *least) / f->unit;
    high += (subtracted ? -*least : *greatest) / f->unit;
  }
  return same_program({&a.output, 0, 0, f->unit}, {&b.output, 0, 0, g->unit}, low, high, budget);
}

bool same_products(const sim::MulParams& a, const sim::MulParams& b, ProofBudget& budget) {
  const bool simple = a.lhs_type == b.lhs_type && a.rhs_type == b.rhs_type &&
                      a.lhs_zero_point == b.lhs_zero_point &&
                      a.rhs_zero_point == b.rhs_zero_point && a.requantize.channels() == 1 &&
                      b.requantize.channels() == 1;
  if (!simple) return false;
  const int64_t x[] = {a.lhs_type.min() - a.lhs_zero_point, a.lhs_type.max() - a.lhs_zero_point};
  const int64_t y[] = {a.rhs_type.min() - a.rhs_zero_point, a.rhs_type.max() - a.rhs_zero_point};
  const auto [low, high] = std::minmax({x[0] * y[0], x[0] * y[1], x[1] * y[0], x[1] * y[1]});
  return same_program({&a.requantize}, {&b.requantize}, low, high, budget);
}

bool same_by_kind(const sim::Op& a, const sim::Op& b, const std::vector<InputKind>& inputs,
                  ProofBudget& budget) {
  const WeightedLayer layer_a = weighted_layer(a), layer_b = weighted_layer(b);
  if (layer_a.params != nullptr && layer_b.params != nullptr) {
    return a.kind() == b.kind() && same_layers(layer_a, layer_b, inputs[0], budget);
  }
  const TapSums sums_a = tap_sums(a, inputs[0].shape), sums_b = tap_sums(b, inputs[0].shape);
  if (sums_a.requantize != nullptr && sums_b.requantize != nullptr) {
    const CodeRanges codes = inputs[0].codes.value_or(Codes{sums_a.type.min(), sums_a.type.max()});
    return same_tap_sums(sums_a, sums_b, codes.all(), budget);
  }
  if (same_on_all_codes(a, b, inputs, budget)) return true;
  const auto* add_a = dynamic_cast<const sim::Add*>(&a);
  const auto* add_b = dynamic_cast<const sim::Add*>(&b);
  if (add_a != nullptr && add_b != nullptr) {
    return a.kind() == b.kind() && same_additions(add_a->params(), add_b->params(), budget);
  }
  const auto* mul_a = dynamic_cast<const sim::Mul*>(&a);
  const auto* mul_b = dynamic_cast<const sim::Mul*>(&b);
  return mul_a != nullptr && mul_b != nullptr &&
         same_products(mul_a->params(), mul_b->params(), budget);
}

}  // namespace

bool same_results(const sim::Op& a, const sim::Op& b, const std::vector<InputKind>& inputs,
                  ProofBudget& budget) {
  if (inputs.empty() || budget <= 0 || a.output_dtype() != b.output_dtype()) return false;
  try {
    std::vector<Shape> shapes;
    for (const InputKind& input : inputs) shapes.push_back(input.shape);
    return a.output_shape(shapes) == b.output_shape(shapes) && same_by_kind(a, b, inputs, budget);
  } catch (const Error&) {
    return false;  // one of them refuses an input
  }
}

}  // namespace facsim::backends::detail
