// SPDX-License-Identifier: Apache-2.0
// Whole layers under many profiles: recorded cases, what each profile makes of them, and directed
// layers.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backends/parity/identify-internal.h"
#include "backends/parity/vectors_case-internal.h"
#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/parallel.h"

namespace facsim::backends::detail {

/// Types of a layer's operands and output, where they are codes.
struct OperandTypes {
  std::optional<sim::IntType> input, weight, output;
};

/// A layer that a device computed or refused: read once, computed under many profiles.
class IdentifyCase {
 public:
  /// Of a suite. Errors: of the case's arrays and attributes; unsupported for an op of no adapter.
  IdentifyCase(std::shared_ptr<const VectorSuite> suite, const VectorCase& vector_case,
               const NpzFile& npz);
  /// A suggested layer; without an output the device refused it.
  explicit IdentifyCase(const GeneratedCase& layer);

  /// The manifest's name; empty for a suggested layer.
  std::string manifest() const { return suite_ ? suite_->manifest.name : ""; }
  int64_t values() const;
  /// Compares with the device. Error for what is wrong with the case itself.
  IdentifyTally tally(const Profile& profile) const;
  /// The first element that a profile computes otherwise, of its first way of computing that does;
  /// nothing if none does or the profile refuses the layer. Errors as tally().
  std::optional<IdentifyExclusion> contradiction(const Profile& profile) const;
  /// A hash of what a profile computes; nothing where it refuses.
  std::optional<int64_t> fingerprint(const Profile& profile) const;
  /// Equal for cases of one op, element types, and forms of weights and scales: a profile follows
  /// the same rules in them.
  std::string kind() const;
  OperandTypes types() const;

 private:
  std::vector<Computed> compute(const Profile& profile) const;
  const Tensor& golden_of(const Computed& computed) const;
  bool is_broken(const Error& error) const;

  std::string name_;
  std::shared_ptr<const VectorSuite> suite_;
  std::optional<CaseData> data_;
  Adapter adapter_ = nullptr;
  std::optional<CaseNetwork> network_;
  Tensor golden_;  ///< empty: refused
};

/// Cases of a suite by name, the smallest first; all if `names` is empty. Error missing_key for a
/// name it has not.
std::vector<IdentifyCase> read_identify_cases(const std::filesystem::path& folder,
                                              const std::vector<std::string>& names);

/// Keys of Profile::ops that a profile follows in a case, which it computes: those without which
/// the result is another.
std::vector<std::string> rules_read(const Profile& profile, const IdentifyCase& recorded);

/// Distinct rules of whole layers.
struct LayerRule : IdentifyRule {
  /// By kind of the cases: keys of profile->ops that they follow; empty for a kind of which the
  /// profile as shipped computes no case.
  std::vector<std::vector<std::string>> keys;
};

/// What is tried.
struct LayerRules {
  std::vector<LayerRule> rules;
  std::vector<IdentifyCandidate> cannot_run;  ///< profiles that compute none of the cases
  int64_t tried = 0;
};
/// `left`: of the profiles' single settings only these; null: all.
LayerRules layer_rules(const std::vector<IdentifyCase>& cases, const IdentifyOptions& options,
                       const std::vector<IdentifySetting>* left, KnobBenches& benches,
                       sim::ThreadPool& pool);

/// Numbers of the kinds of cases, and the first case of each.
std::vector<size_t> kind_examples(const std::vector<IdentifyCase>& cases);

/// A small layer that may tell rules apart: steered by the program of `rule` to ties, edges and
/// overflows, or with accumulators and multipliers at the ends of their ranges. Nothing if the dice
/// find none that the rule computes.
std::optional<GeneratedCase> directed_layer(const LayerRule& rule,
                                            const std::vector<IdentifyCase>& cases,
                                            const std::vector<size_t>& examples, VectorDice& dice);

/// What rules make of a layer: a hash of its output, nothing where they refuse it.
IdentifyOutcomes layer_outcomes(const GeneratedCase& made,
                                const std::vector<const LayerRule*>& rules);

/// A hash of a tensor's type, shape and bytes.
int64_t tensor_hash(const Tensor& tensor);

}  // namespace facsim::backends::detail
