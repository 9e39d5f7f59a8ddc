// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/golden.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using Kind = backends::StructuralDifference::Kind;

/// The names under which a tensor can be selected: its own and its node's.
bool is_selected(const DeployedNetwork& network, const NameFilter& filter,
                 const std::string& tensor) {
  const sim::Graph& graph = network.executable();
  const auto node = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const auto& n) {
    return graph.tensors[static_cast<size_t>(n.output)].name == tensor;
  });
  if (node == graph.nodes.end()) return filter.selects(tensor);
  NameFilter layers{filter.layers, {}}, ignore{{}, filter.ignore};
  return (layers.selects(tensor) || layers.selects(node->name)) && ignore.selects(tensor) &&
         ignore.selects(node->name);
}

/// Every name that a pattern may mean.
std::vector<std::string> all_names(const DeployedNetwork& network,
                                   const std::vector<std::string>& theirs) {
  std::vector<std::string> names = theirs;
  for (const auto& tensor : network.executable().tensors) names.push_back(tensor.name);
  for (const auto& node : network.executable().nodes) names.push_back(node.name);
  return names;
}

}  // namespace

void MatchOptions::add_to(CLI::App& app) {
  app.add_option("--map", map_file, "names.json: {\"our tensor\": \"their tensor\", …}");
  app.add_option("--layout", layout_word,
                 "axes of the other side's rank-4 tensors (B, the golden file), if they are not as "
                 "ours: nchw or nhwc")
      ->check(one_of({"nchw", "nhwc"}));
  app.add_option("--layers", filter.layers, "GLOB of tensors or nodes to compare; repeatable")
      ->allow_extra_args(false);
  app.add_option("--ignore", filter.ignore, "GLOB of those not to compare; repeatable")
      ->allow_extra_args(false);
}

std::map<std::string, std::string> MatchOptions::map() const {
  return map_file.empty() ? std::map<std::string, std::string>{}
                          : backends::read_name_map(map_file);
}

std::optional<Layout> MatchOptions::layout() const {
  if (layout_word.empty()) return std::nullopt;
  return layout_word == "nchw" ? Layout::nchw : Layout::nhwc;
}

Golden read_golden(const DeployedNetwork& network, const ArrayFile& file, int64_t images,
                   const MatchOptions& options) {
  options.filter.require_use(all_names(network, file.names()));
  std::vector<backends::NamedShape> ours;
  for (const sim::Graph::TensorInfo& tensor : network.executable().tensors) {
    if (!is_selected(network, options.filter, tensor.name)) continue;
    Shape shape = in_layout(tensor.shape, Layout::nhwc, network.graph().layout);
    if (shape.rank() > 0) shape[0] = images;
    ours.push_back({tensor.name, tensor.dtype, shape});
  }
  const std::vector<backends::NamedShape> theirs = file.shapes();
  const backends::NameMatching matching =
      backends::match_names(ours, theirs, options.map(), options.map_file);
  Golden golden;
  golden.suggestions = matching.suggestions;
  std::set<std::string> used;
  for (const backends::NameMatch& pair : matching.pairs) {
    used.insert(pair.theirs);
    if (!options.filter.layers.empty() || options.filter.selects(pair.theirs)) {
      golden.tensors.emplace_back(pair.ours, file.read(pair.theirs));
      if (pair.ours != pair.theirs) golden.renamed.push_back(pair);
    }
  }
  const auto& tensors = network.executable().tensors;
  for (const std::string& name : file.names()) {
    const bool known = std::any_of(tensors.begin(), tensors.end(),
                                   [&](const auto& tensor) { return tensor.name == name; });
    if (used.contains(name) || !options.filter.selects(name)) continue;
    if (known) {
      if (is_selected(network, options.filter, name)) (void)file.read(name);  // says what it is
      continue;
    }
    golden.structure.push_back({name, Kind::missing_in_got, "", "a tensor of the network"});
  }
  const Layout layout = network.graph().layout;
  for (auto& [name, tensor] : golden.tensors) {
    tensor = in_layout(tensor, options.layout().value_or(layout), layout);
  }
  return golden;
}

Golden golden_of(const DeployedNetwork& network, backends::NamedTensors arrays,
                 const MatchOptions& options) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : arrays) names.push_back(name);
  options.filter.require_use(all_names(network, names));
  Golden golden;
  for (auto& [name, tensor] : arrays) {
    if (is_selected(network, options.filter, name)) {
      golden.tensors.emplace_back(name, std::move(tensor));
    }
  }
  return golden;
}

std::vector<std::string> name_notes(const std::vector<backends::NameMatch>& renamed,
                                    const std::vector<backends::NameMatch>& suggestions) {
  constexpr size_t kShown = 4;
  std::vector<std::string> notes;
  const auto say = [&](const std::vector<backends::NameMatch>& pairs, const char* before,
                       const std::string& after, bool as_json) {
    if (pairs.empty()) return;
    std::vector<std::string> texts;
    for (size_t i = 0; i < std::min(kShown, pairs.size()); ++i) {
      texts.push_back(as_json ? fmt::format("{}: {}", nlohmann::json(pairs[i].ours).dump(),
                                            nlohmann::json(pairs[i].theirs).dump())
                              : fmt::format("{} = {}", pairs[i].ours, pairs[i].theirs));
    }
    if (pairs.size() > kShown) texts.push_back(fmt::format("{} more", pairs.size() - kShown));
    notes.push_back(fmt::format("{}{}{}", before, fmt::join(texts, ", "), after));
  };
  say(renamed, "compared under other names: ", "", false);
  say(suggestions, "not compared, but of the same type, shape and order: {",
      "}; if they are the same, say so by --map names.json", true);
  return notes;
}

}  // namespace facsim::cli
