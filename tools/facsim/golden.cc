// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/golden.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "tools/facsim/element_output.h"
#include "tools/facsim/image_range.h"
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

const sim::Graph::TensorInfo* tensor_named(const DeployedNetwork& network, std::string_view name) {
  const auto& tensors = network.executable().tensors;
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

const backends::NamedShape* array_named(const std::vector<backends::NamedShape>& arrays,
                                        std::string_view name) {
  const auto found = std::find_if(arrays.begin(), arrays.end(),
                                  [&](const auto& array) { return array.name == name; });
  return found == arrays.end() ? nullptr : &*found;
}

/// The number of images that all arrays hold, if it is one number.
std::optional<int64_t> images_of(const std::vector<backends::NamedShape>& arrays) {
  std::optional<int64_t> images;
  for (const backends::NamedShape& array : arrays) {
    if (array.shape.rank() == 0) return std::nullopt;
    if (images && *images != array.shape[0]) return std::nullopt;
    images = array.shape[0];
  }
  return images;
}

/// The tensors that the filter selects, for so many images, in the layout of the network's file.
std::vector<backends::NamedShape> selected_tensors(const DeployedNetwork& network,
                                                   const NameFilter& filter, int64_t images) {
  std::vector<backends::NamedShape> selected;
  for (const sim::Graph::TensorInfo& tensor : network.executable().tensors) {
    if (!is_selected(network, filter, tensor.name)) continue;
    Shape shape = in_layout(tensor.shape, Layout::nhwc, network.graph().layout);
    if (shape.rank() > 0) shape[0] = images;
    selected.push_back({tensor.name, tensor.dtype, shape});
  }
  return selected;
}

bool fits(const backends::NamedShape& ours, const backends::NamedShape& theirs) {
  return ours.shape == theirs.shape || may_be_transposed(ours.shape, theirs.shape);
}

/// The tensor that an array without a name of its own is: the first candidate that it fits, or the
/// first. Empty: there is no candidate.
std::string meaning_of_nameless(const DeployedNetwork& network,
                                const std::vector<backends::NamedShape>& ours,
                                const backends::NamedShape& array, const MatchOptions& options) {
  const sim::Graph& graph = network.executable();
  std::vector<std::string> candidates;
  if (!options.nameless.empty()) candidates.push_back(options.nameless);
  if (graph.outputs.size() == 1) {
    candidates.push_back(graph.tensors[static_cast<size_t>(graph.outputs[0])].name);
  }
  std::erase_if(candidates, [&](const auto& name) { return array_named(ours, name) == nullptr; });
  for (const std::string& name : candidates) {
    const backends::NamedShape& tensor = *array_named(ours, name);
    if (tensor.dtype == array.dtype && fits(tensor, array)) return name;
  }
  return candidates.empty() ? "" : candidates.front();
}

/// Pairs that need no equal names: --map, the names of nodes, an array that has no name.
std::map<std::string, std::string> given_names(const DeployedNetwork& network,
                                               const ArrayFile& file,
                                               const std::vector<backends::NamedShape>& ours,
                                               const std::vector<backends::NamedShape>& theirs,
                                               const MatchOptions& options) {
  std::map<std::string, std::string> given = options.map();
  std::set<std::string> taken;
  for (const auto& [mine, other] : given) taken.insert(other);
  const sim::Graph& graph = network.executable();
  for (const sim::Graph::Node& node : graph.nodes) {
    const std::string& tensor = graph.tensors[static_cast<size_t>(node.output)].name;
    const bool is_free = array_named(ours, tensor) != nullptr && !given.contains(tensor) &&
                         array_named(theirs, tensor) == nullptr;
    const bool means_node =
        array_named(theirs, node.name) != nullptr && tensor_named(network, node.name) == nullptr;
    if (is_free && means_node && taken.insert(node.name).second) given[tensor] = node.name;
  }
  const bool is_nameless = theirs.size() == 1 && (file.is_single() || theirs[0].name == "arr_0") &&
                           given.empty() && tensor_named(network, theirs[0].name) == nullptr;
  if (!is_nameless) return given;
  const std::string meaning = meaning_of_nameless(network, ours, theirs[0], options);
  if (!meaning.empty()) given[meaning] = theirs[0].name;
  return given;
}

/// Error shape_mismatch if the arrays fit the network but for their number of images.
void require_images(const backends::NameMatching& matching,
                    const std::vector<backends::NamedShape>& ours,
                    const std::vector<backends::NamedShape>& theirs, int64_t images,
                    const ArrayFile& file) {
  const auto fits_pair = [&](const backends::NameMatch& pair) {
    return fits(*array_named(ours, pair.ours), *array_named(theirs, pair.theirs));
  };
  const auto& pairs = matching.pairs;
  if (pairs.empty() || !std::all_of(pairs.begin(), pairs.end(), fits_pair)) return;
  const int64_t held = array_named(theirs, pairs.front().theirs)->shape[0];
  throw Error({ErrorCode::shape_mismatch, file.name(), counted(held, "image"),
               fmt::format("{}, as the inputs are", counted(images, "image")),
               held > 0 && held < images
                   ? first_images(held) + " says that golden holds the first of the inputs"
                   : "golden was computed on other inputs"});
}

/// Real values of a quantized network input as its codes; other tensors as they are.
Tensor as_input_codes(const DeployedNetwork& network, const std::string& name, Tensor tensor,
                      const ArrayFile& file) {
  for (const int t : network.graph().inputs) {
    const backends::IntTensor& info = network.graph().tensors[static_cast<size_t>(t)];
    const bool is_real = tensor.dtype() == DType::float32 && info.dtype != DType::float32;
    if (info.name != name || !is_real) continue;
    const std::string place = fmt::format("{}: {}", file.name(), name);
    return network.to_file_layout(network.input(info, tensor, place));
  }
  return tensor;
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
  const std::vector<backends::NamedShape> theirs = file.shapes();
  const int64_t golden_images = images_of(theirs).value_or(images);
  const std::vector<backends::NamedShape> ours =
      selected_tensors(network, options.filter, golden_images);
  const backends::NameMatching matching = backends::match_names(
      ours, theirs, given_names(network, file, ours, theirs, options), options.map_file);
  if (golden_images != images) require_images(matching, ours, theirs, images, file);
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
  for (const std::string& name : file.names()) {
    if (used.contains(name) || !options.filter.selects(name)) continue;
    if (tensor_named(network, name) != nullptr) {
      if (is_selected(network, options.filter, name)) (void)file.read(name);  // says what it is
      continue;
    }
    golden.structure.push_back({name, Kind::missing_in_got, "", "a tensor of the network"});
  }
  const Layout layout = network.graph().layout;
  for (auto& [name, tensor] : golden.tensors) {
    tensor = in_layout(tensor, options.layout().value_or(layout), layout);
    tensor = as_input_codes(network, name, std::move(tensor), file);
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

backends::ComparisonReport compare_inputs(const DeployedNetwork& network,
                                          const std::vector<Tensor>& inputs, const Golden& golden) {
  backends::NamedTensors ours, theirs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const auto t = static_cast<size_t>(network.graph().inputs[i]);
    const std::string& name = network.graph().tensors[t].name;
    const auto held = std::find_if(golden.tensors.begin(), golden.tensors.end(),
                                   [&](const auto& entry) { return entry.first == name; });
    if (held == golden.tensors.end()) continue;
    ours.emplace_back(name, network.to_file_layout(inputs[i]));
    theirs.push_back(*held);
  }
  return backends::compare(ours, theirs, 1);
}

std::string differing_inputs_text(const backends::ComparisonReport& report) {
  std::vector<std::string> texts;
  for (const backends::TensorComparison& t : report.tensors) {
    if (t.mismatches == 0) continue;
    const backends::Mismatch& first = t.first.front();
    texts.push_back(fmt::format("{}: {} of {}, first at {}: ours {}, golden {}", t.name,
                                with_commas(t.mismatches), counted(t.compared, "value"),
                                index_text(first.index), first.got, first.expected));
  }
  return fmt::format("{}", fmt::join(texts, "; "));
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
