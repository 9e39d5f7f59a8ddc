// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/parity/compare.h"
#include "tools/facsim/accumulator_ranges.h"
#include "tools/facsim/command.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/element_output.h"
#include "tools/facsim/golden.h"
#include "tools/facsim/layer_names.h"
#include "tools/facsim/report/occupancy.h"

namespace facsim::cli {

/// How our side computed the first differing element of a tensor, from our own inputs of that node.
struct Divergence {
  std::string tensor, node, op;
  std::vector<int64_t> index;  ///< in the file's layout
  ExplainedElement element;
  std::optional<int64_t> expected;  ///< the other side's code
  /// The layer's accumulators in the images that were run together with this one.
  std::optional<ObservedRange> seen;
  int64_t seen_images = 0;
};

/// What the exact values of differing elements say, a sample of each tensor in memory order.
struct TieSample {
  std::string tensor;
  std::vector<double> distances;               ///< to the nearest tie, in output steps
  std::map<backends::Reach, int64_t> reaches;  ///< what the other side's codes say
};

struct NetworkComparison {
  backends::ComparisonReport report;    ///< tensors in graph order
  std::vector<Divergence> divergences;  ///< in graph order: the first is where the network parts
  std::vector<LayoutFinding> layouts;   ///< tensors that the sides lay out differently
  std::vector<std::string> notes;       ///< about names
  LayerNames layers;                    ///< empty: files were compared
  std::string stopped;                  ///< why nothing but inputs was compared; empty: all was
  std::vector<TieSample> ties;          ///< with CompareOptions::page
  std::vector<LayerOccupancy> occupancy;
  int64_t occupancy_images = 0;
};

struct CompareOptions {
  int first_mismatches = 1;
  bool page = false;  ///< also channels, ties and occupancy
};

/// Runs a network on inputs (as DeployedNetwork::inputs makes them) and compares every tensor that
/// `golden` holds, a batch of images at a time; tensors that golden does not hold are not compared.
NetworkComparison compare_network(const DeployedNetwork& network, const std::vector<Tensor>& inputs,
                                  const Golden& golden, const CompareOptions& options,
                                  const Globals& globals);

}  // namespace facsim::cli
