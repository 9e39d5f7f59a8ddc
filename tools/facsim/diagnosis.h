// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "backends/parity/diagnose.h"
#include "tools/facsim/command.h"
#include "tools/facsim/compare_network.h"
#include "tools/facsim/deployed_network.h"

namespace facsim::cli {

/// "the device … and …": the sentence of one setting, or of two.
std::string sentence_of(const std::vector<backends::Knob>& knobs);
/// Sentence, settings and who set them, the words for --set, counts, other settings.
nlohmann::ordered_json cause_json(const backends::Cause& cause);
/// "conv1: the device adds no bias: explains 120/120"; layers of which the same is found are one
/// line: "all 12 layers that differ: …", "3 layers (conv1, conv2, conv3): …".
std::vector<std::string> finding_lines(const backends::Diagnosis& diagnosis);
nlohmann::ordered_json findings_json(const std::vector<backends::LayerFinding>& findings);
/// A line for each setting of a cause: where a file set it.
std::vector<std::string> set_by_lines(const backends::Cause& cause);

/// Diagnoser for a network bound to a profile; golden arrays in the file's layout. `limits` has
/// everything but the profile, which is the network's.
backends::Diagnosis diagnose_network(const DeployedNetwork& network,
                                     const std::vector<Tensor>& inputs,
                                     const backends::NamedTensors& golden,
                                     backends::DiagnoseOptions limits, const Globals& globals);

/// What a comparison says by itself about why it found differences: single settings tried on a few
/// images and, in a network of many layers or much work, on the first layer that differs alone.
struct ProbableCause {
  backends::Diagnosis diagnosis;
  int64_t images = 0;         ///< that were looked at
  int64_t of_mismatches = 0;  ///< values that differ in the whole comparison
  std::string layer;          ///< the only layer that was looked at; empty: all
};
/// Nothing where there is nothing to explain: no layer differs, or tensors are laid out otherwise.
/// Bounded work: at most some 4e9 multiply-accumulates.
std::optional<ProbableCause> probable_cause(const DeployedNetwork& network,
                                            const std::vector<Tensor>& inputs, const Golden& golden,
                                            const NetworkComparison& comparison,
                                            const Globals& globals);
struct CauseLine {
  std::string label;  ///< empty: goes on with the line before
  std::string text;
  bool is_sentence = false;  ///< that names the cause
};
/// What a report says: the sentences first, then what they explain, other settings, `try` (the
/// command `again` with the settings added) and who set them. Empty if nothing is known.
std::vector<CauseLine> probable_cause_lines(const ProbableCause& cause, const std::string& again);
/// The same as lines for a terminal.
std::string probable_cause_text(const ProbableCause& cause, const std::string& again, bool color);
nlohmann::ordered_json probable_cause_json(const ProbableCause& cause);

}  // namespace facsim::cli
