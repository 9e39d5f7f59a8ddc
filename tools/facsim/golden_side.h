// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "tools/facsim/element_output.h"
#include "tools/facsim/golden.h"

namespace facsim::cli {

/// A tensor of one image that golden has otherwise.
struct GoldenDifference {
  std::string tensor, node;  ///< node: what computes it; empty: a network input
  bool held = true;          ///< false: golden has what it is computed from, not the tensor itself
  int64_t compared = 0, mismatches = 0;
  std::vector<int64_t> index;  ///< of the first, in the file's layout
  std::string ours, golden;    ///< values there
};

/// How an element comes out of what golden has before its layer.
struct GoldenSide {
  bool known = false;                       ///< golden holds something that the layer depends on
  std::vector<GoldenDifference> inputs;     ///< of the layer
  std::optional<GoldenDifference> first;    ///< first tensor upstream that golden holds otherwise
  std::optional<ExplainedElement> element;  ///< from golden's inputs, where they differ
};

/// An element of an image of a run.
struct ElementOfRun {
  size_t node = 0;
  int64_t image = 0, in_image = 0;               ///< in_image: flat index, NHWC
  const std::vector<Tensor>* tensors = nullptr;  ///< every tensor of that image, as we compute it
};

/// What golden holds of a tensor is taken as it is; what it does not hold is computed from what it
/// holds upstream, or ours.
GoldenSide golden_side(const DeployedNetwork& network, const Golden& golden,
                       const ElementOfRun& element, ElementExplainer& explainer);

/// One sentence about an expected code, from the inputs before the rounding.
std::string golden_reason(const ExplainedElement& ours, const GoldenSide& golden, int64_t expected);
/// Inputs that differ, where to look first, both chains. Empty where golden's inputs are ours.
std::string golden_side_text(const ExplainedElement& ours, const GoldenSide& golden,
                             int64_t expected);
nlohmann::ordered_json golden_side_json(const GoldenSide& golden, int64_t expected);

}  // namespace facsim::cli
