// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "backends/parity/knobs.h"
#include "sim/kernels/isa.h"

namespace facsim::backends {

/// When two settings at once are tried.
enum class KnobPairs { never, when_needed, always };

struct DiagnoseOptions {
  ProfileSearch search;
  std::string profile;                     ///< name or path
  std::vector<ProfileOverride> overrides;  ///< --set
  int64_t images = 32;                     ///< on which settings are tried
  KnobPairs pairs = KnobPairs::when_needed;
  sim::Isa isa = sim::Isa::best;
  /// Evaluations of programs that may be spent on proofs that two causes are the same.
  int64_t proof_evaluations = int64_t{1} << 24;
  /// Multiply-accumulates (and elements) after which no more settings are tried; 0: all are.
  int64_t work_limit = 0;
  std::function<void(int64_t done, int64_t total)> progress;  ///< after each setting; may throw
};

/// A node whose output golden holds, computed from golden's inputs of that node where it holds
/// them, so that an error does not show again in the layers after it.
struct DiagnosedLayer {
  std::string node, op, tensor;
  std::string rules;  ///< key of Profile::ops; empty for a node of another profile
  int64_t compared = 0, mismatches = 0;
};

/// A way in which the device may differ from the profile: one setting, or two.
struct Cause {
  std::vector<Knob> knobs;
  std::vector<std::string> places;  ///< of each knob: who set it; empty: a default of the format
  int64_t explained = 0;            ///< values that differed and are equal under it
  int64_t introduced = 0;           ///< values that were equal and differ under it
  int64_t of = 0;                   ///< values that differ under the profile as it is
  std::vector<std::string> ops;     ///< rules of the nodes it changes
  /// Other ways that compute the very same values on these inputs.
  struct Same {
    std::vector<Knob> knobs;
    /// No input of the nodes can tell them apart: their programs are equal, or agree on every
    /// value that the weights and code types allow.
    bool proved = false;
  };
  std::vector<Same> also;

  bool explains_all() const { return explained == of && introduced == 0; }
  /// At least half of what differs, less what it introduces: what explains less is a coincidence.
  bool explains_most() const { return 2 * (explained - introduced) >= of; }
};

/// What explains differences of a layer and is no setting of a profile.
struct LayerFinding {
  std::string node;  ///< empty: all layers at once
  std::string what;  ///< "the device adds no bias"
  int64_t explained = 0, of = 0;
};

struct Diagnosis {
  std::vector<DiagnosedLayer> layers;  ///< in graph order
  std::vector<std::string> notes;      ///< layout, inputs: what explains a difference by itself
  int64_t images = 0;                  ///< compared
  int64_t images_tried = 0;            ///< of them, on which settings were tried
  int64_t compared = 0, mismatches = 0;
  int64_t mismatches_tried = 0;  ///< of these images
  std::vector<Cause> causes;  ///< the best first: most values explained less introduced, then fewer
                              ///< settings, then those the profile writes itself, then fewer ops
  /// Layers without bias, activation or with padding at the other side, that explain all that they
  /// can; and, where no cause explains everything, layers of which only some channels differ.
  std::vector<LayerFinding> findings;
  int64_t settings_tried = 0;
  /// Of them, those that cannot change what golden holds: the lowered programs of the nodes are
  /// equal, or differ only in what the ranges of the accumulators prove to be out of reach.
  int64_t settings_without_effect = 0;
  bool complete = true;  ///< false: the work limit came first

  /// Differing values, of those on which settings were tried, that the findings explain together.
  int64_t explained_by_findings() const;
  /// What is to be said of the differences.
  enum class Verdict {
    equal,
    setting,      ///< causes[0] explains most of them, and the findings do not explain them better
    findings,     ///< the findings explain nine of ten or more; causes are coincidences
    unexplained,  ///< causes are the nearest settings, and none explains most
  };
  Verdict verdict() const;
};
std::string_view to_string(Diagnosis::Verdict verdict);

/// Compares a network under a profile with `golden` (arrays by tensor name, NHWC) and, where they
/// differ, tries every setting of the profile that a device could have otherwise (profile_knobs).
///
/// A node's inputs are golden's where golden holds them, else what the network computes under the
/// settings tried. Settings of the whole profile and those that ops have by themselves come first,
/// those of single ops when these do not explain everything, pairs (the best three with each
/// other setting) when no single one does. Causes explain more values than they introduce. Settings
/// that are seen only through other layers, whose outputs golden does not hold, and explain nothing
/// on the four images with the most differing values are not tried on the others.
///
/// A golden network input is what the device was given and takes the place of `inputs`; a golden
/// activation whose shape only fits as NCHW, or, where C = H = W, whose values are closer as NCHW,
/// is taken as that; both are noted.
class Diagnoser {
 public:
  /// `graph` and `other_profiles` must outlive it. Errors: as load_profile and lower.
  Diagnoser(const IntGraph& graph, DiagnoseOptions options, ProfileResolver other_profiles);
  ~Diagnoser();
  /// Any number of times; what the settings change is worked out once. Errors: shape_mismatch where
  /// nothing can be compared or a shape does not fit.
  Diagnosis run(const std::vector<Tensor>& inputs, const NamedTensors& golden);
  /// The settings tried first.
  std::vector<Knob> knobs();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace facsim::backends
