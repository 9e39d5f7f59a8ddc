// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/parity/compare.h"
#include "backends/parity/match_names.h"
#include "tools/facsim/array_file.h"
#include "tools/facsim/deployed_network.h"
#include "tools/facsim/layout_check.h"

namespace CLI {
class App;
}

namespace facsim::cli {

/// Which tensors of two sides belong together, and how theirs are laid out.
struct MatchOptions {
  NameFilter filter;
  std::string map_file, layout_word;
  /// The tensor that an array without a name of its own may be (.npy, "arr_0"), before the
  /// network's only output; empty: none.
  std::string nameless;

  /// --map, --layout, --layers, --ignore.
  void add_to(CLI::App& app);
  std::map<std::string, std::string> map() const;
  std::optional<Layout> layout() const;  ///< of the other side; nothing: as ours
};

/// What the tensors of a network should be, under the network's names and in its file's layout.
struct Golden {
  backends::NamedTensors tensors;
  std::vector<backends::NameMatch> renamed;      ///< found under another name
  std::vector<backends::NameMatch> suggestions;  ///< by shape and order alone
  std::vector<backends::StructuralDifference> structure;
};

/// Reads from `file` the arrays of tensors that the filter selects; an array is called as the
/// tensor or as the node that computes it, or has no name and is options.nameless or the network's
/// only output. A name that the network does not have is a structural difference. A tensor is
/// selected by its name or that of its node. Real values of a network input are quantized by its
/// quantizer. Error shape_mismatch if golden holds another number of images than `images`.
Golden read_golden(const DeployedNetwork& network, const ArrayFile& file, int64_t images,
                   const MatchOptions& options);
/// The same from arrays in memory, all of them under the network's names.
Golden golden_of(const DeployedNetwork& network, backends::NamedTensors arrays,
                 const MatchOptions& options);

/// The network's inputs that golden holds against those it is run on.
backends::ComparisonReport compare_inputs(const DeployedNetwork& network,
                                          const std::vector<Tensor>& inputs, const Golden& golden);
/// "x: 12 of 160 values, first at [0,0,1,0]: ours 5, golden 6" of each that differs.
std::string differing_inputs_text(const backends::ComparisonReport& report);

/// What is to be said of names: "tensor y is compared with y:0", "by shape and order …".
std::vector<std::string> name_notes(const std::vector<backends::NameMatch>& renamed,
                                    const std::vector<backends::NameMatch>& suggestions);

}  // namespace facsim::cli
