// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "backends/parity/vector_dice-internal.h"
#include "backends/parity/vectors_gen.h"
#include "sim/ops/op.h"
#include "sim/requantize/range.h"
#include "sim/requantize/requantizer.h"

namespace facsim::backends::detail {

/// The op of a suite under a profile.
struct VectorTarget {
  const Profile& profile;
  std::string op;        ///< of the IntGraph: depthwise_conv2d is a conv2d
  std::string rules_op;  ///< key of Profile::ops
  const OpRules& rules;
  sim::IntType input, weight, output;
};
VectorTarget vector_target(const Profile& profile, std::string_view phrase);

/// A one-node network with its inputs.
struct VectorLayer {
  IntGraph graph;
  std::vector<Tensor> inputs;
};

/// The op of a layer's only node. Error as lower().
std::shared_ptr<const sim::Op> lower_layer(const VectorLayer& layer, const Profile& profile);
/// The norm's output.
Tensor compute_layer(const VectorLayer& layer, const Profile& profile);

/// A layer that the profile accepts. Error unsupported if 64 tries find none.
VectorLayer make_layer(const VectorTarget& target, VectorDice& dice, VectorStrategy strategy);

/// The programs of an op, if it has any, by name; nothing for ops of other kinds.
struct NamedProgram {
  std::string name;
  const sim::Requantizer* requantize;
};
std::vector<NamedProgram> programs_of(const sim::Op& op);

/// Accumulators in [low, high] that a strategy wants of one channel of a program: for `ties`, those
/// next to each threshold between two output codes (a tie of the last rounding is one of them) and,
/// by a congruence, exact ties of the first rounding; for `edges`, the thresholds of the lowest and
/// highest code, zero and its neighbours, the ends of the range; for `overflow`, the first values
/// outside each resize step. Sorted, without duplicates.
std::vector<int64_t> steered_accumulators(const sim::Requantizer& requantize, int64_t channel,
                                          VectorStrategy strategy, int64_t low, int64_t high,
                                          VectorDice& dice);

/// The accumulator nearest to `near` in [low, high] for which the first rounding shift meets a tie:
/// with v = a * acc + b before `shr s`, a * acc = 2^(s-1) - b (mod 2^s), solved by the inverse of
/// a's odd part. Nothing if there is none; `decided` tells whether the steps before are affine over
/// the whole range, so that "none" is a proof.
std::optional<int64_t> first_tie(const sim::Requantizer& requantize, int64_t channel, int64_t near,
                                 int64_t low, int64_t high, bool& decided);

/// Counts the branches of programs over accumulators.
class CoverageCounter {
 public:
  /// Makes the program's branches known: which of them `channel`s accumulators in [low, high]
  /// exclude.
  void declare(const std::string& name, const sim::Requantizer& requantize, int64_t low,
               int64_t high);
  void observe(const std::string& name, const sim::Requantizer& requantize, int64_t accumulator,
               int64_t channel);
  void observe_real(const std::string& name, const sim::Requantizer& requantize, float value,
                    int64_t channel);
  std::vector<BranchCoverage> result() const;

 private:
  struct Entry {
    int64_t hits = 0;
    bool possible = false;
  };
  void observe_steps(const std::string& name, const sim::Requantizer& requantize,
                     const std::vector<sim::TracedStep>& traced, sim::TracedStep before,
                     int64_t channel);
  /// Program, step number, step text, branch.
  using Key = std::tuple<std::string, size_t, std::string, Branch>;
  std::map<Key, Entry> entries_;
};

/// Observes every output element of a layer.
void observe_layer(CoverageCounter& coverage, const sim::Op& op, const VectorLayer& layer,
                   const Tensor& output);

}  // namespace facsim::backends::detail
