// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "backends/parity/element.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/layer_profiles.h"

namespace facsim::cli {

/// An element's chain with who set its rules.
struct ExplainedElement {
  backends::ElementChain chain;
  std::vector<int64_t> index;  ///< in the file's layout
  /// Of each of the chain's largest products: the index into the node's input as the file lays it
  /// out (empty for a padded tap), and into the weights, OHWI.
  std::vector<std::vector<int64_t>> tap_inputs, tap_weights;
  /// Of each of the chain's sources: tensor and index as the file lays it out.
  std::vector<std::string> source_tensors;
  std::vector<std::vector<int64_t>> source_indices;
  std::string profile, fingerprint;  ///< of the node's own profile
  std::optional<backends::ProfileSetting> accumulator_setting;
  std::vector<std::optional<backends::ProfileSetting>> step_settings;  ///< by step
};

/// Explains elements of a network under its profile and those that single nodes name.
class ElementExplainer {
 public:
  ElementExplainer(const DeployedNetwork& network, const Globals& globals);
  /// Element `flat_index` (NHWC) of a node from its computed inputs, whose first image is number
  /// `image` of the run.
  ExplainedElement explain(size_t node, const std::vector<const Tensor*>& inputs,
                           int64_t flat_index, int64_t image, size_t taps);

 private:
  const std::vector<backends::ProfileSetting>& settings(const std::string& profile);

  std::vector<int64_t> tap_index(int tensor, int64_t flat_index, int64_t image) const;

  const DeployedNetwork& network_;
  const Globals& globals_;
  LayerProfiles others_;
  std::map<std::string, std::vector<backends::ProfileSetting>> settings_;
};

/// "[0,17,4,9]".
std::string index_text(const std::vector<int64_t>& index);
/// Who set a value, without the folder: "tflite-reference.json:35:17", "--set", "a default".
std::string setting_place(const backends::ProfileSetting& setting);
/// "tflite-reference.json:35:17 (/requantize/rounding = "half_up")", or "a default (…)"; the folder
/// is left out.
std::string setting_text(const backends::ProfileSetting& setting);
/// The step as people read it: "shr shift half_up (shift = 5)".
std::string step_text(const backends::ElementStep& step);
/// "585 = 573 + bias 12, 11 of 32 bits".
std::string accumulator_text(const backends::ElementAccumulator& accumulator);
/// "in 0.05 * w 0.02 / out 0.1 = 0.011111112".
std::string scales_text(const backends::ElementScales& scales);

nlohmann::ordered_json element_json(const ExplainedElement& side);
/// Sum, scale, exact value and steps of one side.
std::string element_text(const ExplainedElement& side);
/// The steps of two sides in one table, equal steps on one line, the parting marked.
std::string two_chains_text(const ExplainedElement& ours, const ExplainedElement& theirs);
/// Where two sides part, and who set each side's rule there.
std::string parting_text(const ExplainedElement& ours, const ExplainedElement& theirs);
nlohmann::ordered_json parting_json(const ExplainedElement& ours, const ExplainedElement& theirs);

}  // namespace facsim::cli
