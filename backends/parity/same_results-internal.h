// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "sim/core/types.h"
#include "sim/ops/op.h"

namespace facsim::backends::detail {

struct Codes {
  int64_t min = 0, max = 0;
  friend bool operator==(const Codes&, const Codes&) = default;
};

/// The codes that can occur in a tensor: one interval, or one for each index of the last axis.
class CodeRanges {
 public:
  CodeRanges(Codes all) : all_(all), channels_{all} {}  // NOLINT(google-explicit-constructor)
  /// At least one channel.
  explicit CodeRanges(std::vector<Codes> channels);

  Codes all() const { return all_; }
  int64_t channels() const { return static_cast<int64_t>(channels_.size()); }
  Codes channel(int64_t c) const { return channels_.size() == 1 ? all_ : channels_[size_t(c)]; }

 private:
  Codes all_;
  std::vector<Codes> channels_;
};

/// What an input of a node holds.
struct InputKind {
  Shape shape;  ///< batch 1
  DType dtype = DType::int8;
  std::optional<CodeRanges> codes;  ///< that can occur; nothing: not codes
};

/// The codes that an op can give for inputs of these kinds:
///   layers with weights, by output channel: their program at the ends of the sums that the weights
///     and the input's codes allow;
///   pools and means: their program at the ends of the sums of taps;
///   elementwise ops of 8-bit codes: all that they give for all codes, or all pairs;
///   others: interval arithmetic over the end of their program (a fused activation, a clamp).
/// Nothing where that is not known.
std::optional<CodeRanges> reachable_codes(const sim::Op& op, const std::vector<InputKind>& inputs);

/// Evaluations of programs that proofs may still make; a proof that runs out of it is not made.
using ProofBudget = int64_t;

/// A program as one side applies it: to v * step + add, with the arguments of `channel`.
struct AppliedProgram {
  const sim::Requantizer* program = nullptr;
  int64_t channel = 0;
  int64_t add = 0;
  int64_t step = 1;  ///< > 0

  int64_t argument(int64_t v) const { return v * step + add; }
};

/// Whether a larger value never gives a smaller result, in any channel, for values in [min, max].
/// Every rounding, saturation and float operation with a positive factor keeps the order; a resize
/// that wraps does where interval arithmetic shows that nothing leaves it (infer_ranges).
bool keeps_order(const sim::Requantizer& program, int64_t min, int64_t max);

/// f(v) == g(v) for every integer v in [min, max]: true if that is proved.
///
/// Two programs are equal that have the same steps left when those are taken away which change no
/// value (shifts by 0, ranges that infer_ranges proves out of reach) and powers of two are
/// cancelled from factors before shifts. Two programs that keep the order are compared by
/// bisection: between two places where both have equal results at both ends there is nothing to
/// find, so that the work is that of finding their steps. Others are compared value by value, up to
/// 2^22 of them.
enum class ProgramOrder { kept, unknown };
bool same_program(const AppliedProgram& f, const AppliedProgram& g, int64_t min, int64_t max,
                  ProgramOrder order, ProofBudget& budget);
/// As above, asking keeps_order, whose cost is that of all channels.
bool same_program(const AppliedProgram& f, const AppliedProgram& g, int64_t min, int64_t max,
                  ProofBudget& budget);

/// True if it is proved that two lowered ops of one node give equal outputs for all inputs of these
/// kinds, although they may be written differently:
///   layers with weights: the accumulators are equal, or proved exact on both sides, and the
///     programs agree on every accumulator that the weights allow (layer_sums), per channel;
///   sums (average pools, means): the programs agree on every sum of each number of taps inside
///     the image;
///   elementwise ops of codes: the ops themselves are run on all codes, or all pairs of 8-bit ones;
///   16-bit additions and products: by their programs; one side's addends may be the other's times
///     a constant.
/// False: not proved; it does not say that they differ.
bool same_results(const sim::Op& a, const sim::Op& b, const std::vector<InputKind>& inputs,
                  ProofBudget& budget);

}  // namespace facsim::backends::detail
