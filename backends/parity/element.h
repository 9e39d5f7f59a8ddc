// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/profile/profile.h"
#include "sim/core/wide.h"
#include "sim/graph/graph.h"
#include "sim/ops/sources.h"

namespace facsim::backends {

/// Bits of the smallest signed integer that holds `value`.
int signed_bits(sim::int128 value);

/// One product of an element's sum.
struct ElementTap {
  int64_t input_index = -1;       ///< flat index into the node's input; -1: a padded tap
  int64_t weight_index = 0;       ///< flat index into the weights (OHWI or [O, I])
  int64_t input = 0, weight = 0;  ///< codes
  int64_t product = 0;            ///< (input - zero_point) * (weight - zero_point)
};

/// The sum behind an element of a convolution or linear layer.
struct ElementAccumulator {
  sim::Accumulator rule;
  int64_t value = 0;        ///< as the accumulator holds it, integer bias included
  int64_t bias = 0;         ///< what of it is bias (0 where the bias is no integer or absent)
  int64_t taps = 0;         ///< products in the sum
  sim::int128 exact = 0;    ///< sum of (x - zx) * (w - zw) + bias in exact integers
  int bits_used = 0;        ///< signed_bits(value)
  bool left_width = false;  ///< the event accumulator_overflow
  std::vector<ElementTap> largest{};  ///< by |product|, as many as asked for
};

/// An element that a result is computed from.
struct ElementSource {
  int tensor = 0;          ///< of the IntGraph
  int64_t flat_index = 0;  ///< NHWC
  std::string value;       ///< decimal
};

/// Real units of a layer's steps; real = input * weight / output is what one accumulator step is
/// worth in output steps (times 2^shift of the accumulator's term, if it has one).
struct ElementScales {
  float input = 1, weight = 1, output = 1;
  double real = 1;
};

/// A step of the chain: its text, the values of its arguments, what came out.
struct ElementStep {
  std::string step;         ///< to_string(sim::Step), or the op's own words
  std::string arguments;    ///< "multiplier = 1527099593"; empty: none, or only constants
  std::string value;        ///< decimal; a float32 in the shortest form that reads back the same
  bool changed = true;      ///< false: the value went through as it was
  bool is_program = false;  ///< a step of a program; false: the op's own words
};

/// How one output element of a node came to be, by the norm: every intermediate of the integer
/// chain, and where the exact real result lies between the codes.
struct ElementChain {
  std::string node, op, tensor;
  std::vector<int64_t> index;                     ///< NHWC, as inside
  int64_t channel = 0;                            ///< last axis
  std::optional<ElementAccumulator> accumulator;  ///< convolution and linear layers
  std::optional<ElementScales> scales;            ///< the same
  /// What other ops are computed from, in the order of the norm: operands, the window of a pool,
  /// the row of a softmax, the element that is moved. Empty where the op cannot say.
  std::vector<ElementSource> sources;
  /// The result in output steps without the zero point, computed from the exact accumulator (or the
  /// input codes of add, sub, mul, requantize) and the float32 scales in extended precision, before
  /// any clamp. Absent for other ops.
  std::optional<double> exact;
  /// Distance of `exact` to the nearest k + 1/2, in output steps (0..1/2).
  std::optional<double> tie_distance;
  int64_t zero_point = 0;  ///< of the output
  std::vector<ElementStep> steps;
  sim::Explanation explanation;
  sim::Events events;  ///< of the requantization, where it is one program

  int64_t result() const { return explanation.result; }
};

/// The chain of element `flat_index` (NHWC) of node `node` of a lowered graph: `executable` is
/// lower(graph, …), `inputs` the node's computed inputs (sim::Graph::Node::inputs), any batch.
/// `taps` of the products are kept. Error bad_value if the index is outside the output.
ElementChain element_chain(const IntGraph& graph, const sim::Graph& executable, size_t node,
                           std::span<const Tensor* const> inputs, int64_t flat_index, size_t taps);

/// Where two chains part: the first intermediate whose value differs, steps that change nothing
/// left out.
struct Parting {
  enum class Where {
    nowhere,      ///< equal to the end
    accumulator,  ///< the sums differ
    step,         ///< `ours` and `theirs` number the steps; one past the end: the chain is shorter
  };
  Where where = Where::nowhere;
  size_t ours = 0, theirs = 0;
};
Parting parting(const ElementChain& ours, const ElementChain& theirs);

/// What an expected code says about the chain, without knowing how it was computed.
enum class Reach {
  equal,     ///< it is the result
  rounding,  ///< as the result, less than one step from the exact value: another rounding or
             ///< multiplier gives it
  overflow,  ///< the accumulator left its width, which took the result off the exact value
  clamp,     ///< the exact value is outside the range that the chain clamps to
  beyond,    ///< no rounding of this sum gives it: the sum, a scale, an input or a clamp differs
  unknown,   ///< the op has no exact real value here
};
Reach reach(const ElementChain& chain, int64_t expected);
/// One sentence for people.
std::string_view to_string(Reach reach);

/// The profile's setting behind a step's text ("shr 31 half_up" -> /requantize/rounding), or behind
/// the accumulator (an empty text): the pointer without the op's own prefix. An op's own words are
/// ruled by its /algorithm, an input's zero point by nothing (empty).
std::string_view rule_of_step(std::string_view step);
/// The same of step `i` of a chain: a register narrower than the result belongs to the step before
/// it, the last one is the output.
std::string_view rule_of_step(const std::vector<ElementStep>& steps, size_t i);

/// Who set a rule for an op: among `settings` (profile_settings) the op's variant, the op, then the
/// profile. `rules` is "op" or "op variant" (a key of Profile::ops). A rule that a named algorithm
/// or written-out steps replace is answered by those, a parameter of the algorithm by
/// /params/<name>. Nothing where no setting rules, as for ops that move elements.
std::optional<ProfileSetting> setting_behind(const std::vector<ProfileSetting>& settings,
                                             std::string_view rules, std::string_view pointer);
/// The key of Profile::ops whose rules lower a node; empty if the profile has none.
std::string rules_of_node(const IntGraph& graph, const IntNode& node, const Profile& profile);

}  // namespace facsim::backends
