// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/golden_side.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using Json = nlohmann::ordered_json;

/// The values of one image under golden, tensor by tensor in graph order.
class GoldenValues {
 public:
  GoldenValues(const DeployedNetwork& network, const Golden& golden, const ElementOfRun& element)
      : network_(network),
        graph_(network.executable()),
        golden_(golden),
        element_(element),
        values_(*element.tensors),
        from_golden_(values_.size()),
        held_(values_.size()) {
    for (const int t : graph_.inputs) take(t);
    for (size_t n = 0; n < element.node; ++n) {
      const sim::Graph::Node& node = graph_.nodes[n];
      if (take(node.output)) continue;
      if (!depends_on_golden(node)) continue;
      from_golden_[static_cast<size_t>(node.output)] = true;
      if (any_differs(node)) compute(node);
    }
  }

  /// Whether golden says anything about what a node reads.
  bool depends_on_golden(const sim::Graph::Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](int t) { return from_golden_[static_cast<size_t>(t)]; });
  }

  std::optional<GoldenDifference> difference(int t) const {
    const auto i = static_cast<size_t>(t);
    const Tensor ours = network_.to_file_layout((*element_.tensors)[i]);
    backends::TensorComparator comparator("", ours.dtype(), ours.shape(), 1);
    comparator.add(ours, network_.to_file_layout(values_[i]));
    const backends::TensorComparison& result = comparator.result();
    if (result.mismatches == 0) return std::nullopt;
    const backends::Mismatch& first = result.first.front();
    GoldenDifference found{graph_.tensors[i].name, node_of(t),  held_[i],  result.compared,
                           result.mismatches,      first.index, first.got, first.expected};
    if (!found.index.empty()) found.index[0] += element_.image;
    return found;
  }

  /// The first tensor of the graph that golden holds otherwise, of those a tensor is computed from
  /// and itself.
  std::optional<GoldenDifference> first_difference() const {
    const std::vector<char> upstream = ancestors();
    for (const int t : graph_.inputs) {
      if (auto found = upstream[static_cast<size_t>(t)] ? held_difference(t) : std::nullopt) {
        return found;
      }
    }
    for (size_t n = 0; n < element_.node; ++n) {
      const int t = graph_.nodes[n].output;
      if (auto found = upstream[static_cast<size_t>(t)] ? held_difference(t) : std::nullopt) {
        return found;
      }
    }
    return std::nullopt;
  }

  std::vector<const Tensor*> inputs_of(const sim::Graph::Node& node) const {
    std::vector<const Tensor*> inputs;
    for (const int t : node.inputs) inputs.push_back(&values_[static_cast<size_t>(t)]);
    return inputs;
  }

 private:
  /// Golden's value of the image, if it holds one that fits.
  bool take(int t) {
    const auto i = static_cast<size_t>(t);
    const auto found =
        std::find_if(golden_.tensors.begin(), golden_.tensors.end(),
                     [&](const auto& entry) { return entry.first == graph_.tensors[i].name; });
    if (found == golden_.tensors.end()) return false;
    const Tensor inside = in_layout(found->second, network_.graph().layout, Layout::nhwc);
    Shape shape = values_[i].shape();
    if (inside.dtype() != values_[i].dtype() || inside.shape().rank() != shape.rank()) return false;
    if (shape.rank() > 0) shape[0] = inside.shape()[0];
    if (inside.shape() != shape || element_.image >= shape[0]) return false;
    values_[i] = inside.slice(element_.image, 1);
    from_golden_[i] = held_[i] = true;
    return true;
  }

  bool any_differs(const sim::Graph::Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](int t) { return difference(t).has_value(); });
  }

  void compute(const sim::Graph::Node& node) {
    Tensor& value = values_[static_cast<size_t>(node.output)];
    value = Tensor::uninitialized(value.dtype(), value.shape());
    node.op->run(inputs_of(node), value, {});
  }

  std::optional<GoldenDifference> held_difference(int t) const {
    return held_[static_cast<size_t>(t)] ? difference(t) : std::nullopt;
  }

  std::string node_of(int t) const {
    const auto node = std::find_if(graph_.nodes.begin(), graph_.nodes.end(),
                                   [&](const auto& n) { return n.output == t; });
    return node == graph_.nodes.end() ? "" : node->name;
  }

  /// By tensor: whether the element's node depends on it.
  std::vector<char> ancestors() const {
    std::vector<char> upstream(graph_.tensors.size(), 0);
    for (const int t : graph_.nodes[element_.node].inputs) upstream[static_cast<size_t>(t)] = 1;
    for (size_t n = element_.node; n-- > 0;) {
      if (!upstream[static_cast<size_t>(graph_.nodes[n].output)]) continue;
      for (const int t : graph_.nodes[n].inputs) upstream[static_cast<size_t>(t)] = 1;
    }
    return upstream;
  }

  const DeployedNetwork& network_;
  const sim::Graph& graph_;
  const Golden& golden_;
  const ElementOfRun& element_;
  std::vector<Tensor> values_;
  std::vector<bool> from_golden_, held_;  // by tensor
};

std::string difference_text(const GoldenDifference& d, const std::string& name) {
  return fmt::format("{}: {} of {}, first at {}: ours {}, golden {}{}",
                     shortened(printable(name), 40), with_commas(d.mismatches),
                     counted(d.compared, "value"), index_text(d.index), d.ours, d.golden,
                     d.held ? "" : " (computed from what golden holds)");
}

Json difference_json(const GoldenDifference& d) {
  return {{"tensor", d.tensor},     {"node", d.node},    {"held", d.held},
          {"compared", d.compared}, {"index", d.index},  {"mismatches", d.mismatches},
          {"ours", d.ours},         {"golden", d.golden}};
}

}  // namespace

GoldenSide golden_side(const DeployedNetwork& network, const Golden& golden,
                       const ElementOfRun& element, ElementExplainer& explainer) {
  const GoldenValues values(network, golden, element);
  const sim::Graph::Node& node = network.executable().nodes[element.node];
  GoldenSide side;
  side.known = values.depends_on_golden(node);
  for (const int t : node.inputs) {
    if (auto difference = values.difference(t)) side.inputs.push_back(std::move(*difference));
  }
  side.first = values.first_difference();
  if (side.inputs.empty()) return side;
  side.element =
      explainer.explain(element.node, values.inputs_of(node), element.in_image, element.image, 0);
  side.element->profile = "golden's inputs";
  return side;
}

std::string golden_reason(const ExplainedElement& ours, const GoldenSide& golden,
                          int64_t expected) {
  if (!golden.element) return std::string(to_string(backends::reach(ours.chain, expected)));
  const backends::ElementChain& chain = golden.element->chain;
  if (chain.result() == expected) {
    return "golden's inputs of this layer differ; from them it computes the expected code";
  }
  return fmt::format("golden's inputs of this layer differ; from them it computes {}, and {}",
                     chain.result(), to_string(backends::reach(chain, expected)));
}

std::string golden_side_text(const ExplainedElement& ours, const GoldenSide& golden,
                             int64_t expected) {
  if (golden.inputs.empty()) {
    if (golden.known || ours.chain.result() == expected) return "";
    return labelled_line("inputs",
                         "golden holds nothing that this layer depends on: whether they are equal "
                         "is not known");
  }
  std::string text = "\n";
  for (const GoldenDifference& difference : golden.inputs) {
    text += labelled_line(text.size() == 1 ? "inputs differ" : "",
                          difference_text(difference, difference.tensor));
  }
  if (golden.first) {
    const GoldenDifference& first = *golden.first;
    const bool is_input = first.node.empty();
    text += labelled_line("first to differ",
                          (is_input ? "the network's input " : "layer ") +
                              difference_text(first, is_input ? first.tensor : first.node));
    if (!is_input) {
      text +=
          labelled_line("", "facsim explain " + shell_quoted(printable(first.node)) + " shows it");
    }
  }
  text += "\n" + two_chains_text(ours, *golden.element);
  return text + labelled_line("expected (golden)", fmt::format("{}", expected));
}

Json golden_side_json(const GoldenSide& golden, int64_t expected) {
  Json json = {{"known", golden.known}};
  json["differ"] = Json::array();
  for (const GoldenDifference& d : golden.inputs) json["differ"].push_back(difference_json(d));
  if (golden.first) json["first_to_differ"] = difference_json(*golden.first);
  if (golden.element) {
    json["from_golden"] = element_json(*golden.element);
    json["gives_expected"] = golden.element->chain.result() == expected;
  }
  return json;
}

}  // namespace facsim::cli
