// SPDX-License-Identifier: Apache-2.0
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/graph/float_shape.h"
#include "fused/network.h"
#include "fused/patterns/pattern_registry.h"
#include "tools/facsim/inspect/inspect.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::FloatShape;
using fused::FusionRemark;

/// Shapes after every node, in order.
std::vector<FloatShape> shapes_of(const backends::FloatGraph& graph) {
  const auto& chw = graph.input_shape;
  std::map<std::string, FloatShape, std::less<>> by_name{{"input", {chw[0], chw[1], chw[2], true}}};
  std::vector<FloatShape> shapes;
  for (const backends::FloatNode& node : graph.nodes) {
    std::vector<FloatShape> inputs;
    for (const std::string& input : node.inputs) inputs.push_back(by_name.at(input));
    shapes.push_back(backends::shape_after(node, inputs));
    by_name[node.name] = shapes.back();
  }
  return shapes;
}

/// Elements of a node's parameters, by the network's own tensors.
std::map<std::string, int64_t, std::less<>> parameter_counts(fused::Network& network) {
  std::map<std::string, int64_t, std::less<>> counts;
  for (const auto& [name, tensor] : network.state()) {
    if (name.find(".running_") != std::string::npos || name.ends_with("num_batches_tracked")) {
      continue;
    }
    counts[name.substr(0, name.rfind('.'))] += tensor.numel();
  }
  return counts;
}

/// Remarks for the profile; a layer that only its list of patterns keeps alone says so.
std::vector<FusionRemark> remarks_for(const fused::Network& network,
                                      const std::optional<backends::Profile>& profile) {
  const auto all = fused::PatternRegistry::standard();
  std::vector<FusionRemark> remarks = network.fusion_remarks(all);
  if (!profile || profile->fusion.empty()) return remarks;
  const std::vector<FusionRemark> full = remarks;
  remarks = network.fusion_remarks(all.only(profile->fusion));
  for (size_t i = 0; i < remarks.size(); ++i) {
    if (!remarks[i].pattern.empty() || full[i].pattern.empty()) continue;
    remarks[i].reason = fmt::format("{} would take it; /fusion of profile {} leaves it out",
                                    full[i].pattern, profile->name);
  }
  return remarks;
}

std::string becomes(const FusionRemark& remark) {
  if (remark.pattern.empty()) return "";
  return remark.into == remark.node ? remark.pattern
                                    : fmt::format("{} of {}", remark.pattern, remark.into);
}

}  // namespace

Description describe_float(const backends::FloatGraph& graph,
                           const std::optional<backends::Profile>& profile) {
  fused::Network network = fused::Network::from_graph(graph, 0);
  const std::vector<FloatShape> shapes = shapes_of(graph);
  const std::vector<FusionRemark> remarks = remarks_for(network, profile);
  const auto counts = parameter_counts(network);

  int64_t total = 0;
  for (const auto& [name, count] : counts) total += count;
  using Align = TextTable::Align;
  TextTable table({{"layer"}, {"op"}, {"output"}, {"parameters", Align::right}, {"fused into"}});
  std::string alone;
  nlohmann::ordered_json layers = nlohmann::ordered_json::array();
  for (size_t i = 0; i < remarks.size(); ++i) {
    const FusionRemark& remark = remarks[i];
    const auto count = counts.find(remark.node);
    const int64_t parameters = count == counts.end() ? 0 : count->second;
    table.add_row({printable(remark.node), printable(remark.op), to_string(shapes[i]),
                   parameters == 0 ? "" : with_commas(parameters), becomes(remark)});
    if (!remark.reason.empty()) {
      alone += fmt::format("{} ({}) is not fused: {}\n", printable(remark.node),
                           printable(remark.op), printable(remark.reason));
    }
    nlohmann::ordered_json layer = {{"name", remark.node},
                                    {"op", remark.op},
                                    {"inputs", graph.nodes[i].inputs},
                                    {"output", to_string(shapes[i])},
                                    {"parameters", parameters}};
    if (!remark.pattern.empty()) {
      layer["pattern"] = remark.pattern;
      layer["fused_into"] = remark.into;
    }
    if (!remark.reason.empty()) layer["not_fused"] = remark.reason;
    layers.push_back(std::move(layer));
  }
  const auto& chw = graph.input_shape;
  Description out;
  out.text = fmt::format("{}, {}, input {} x {} x {}\n\n{}",
                         counted(static_cast<int64_t>(graph.nodes.size()), "layer"),
                         counted(total, "parameter"), chw[0], chw[1], chw[2], table.text());
  if (!alone.empty()) out.text += "\n" + alone;
  out.json = {{"name", graph.name},
              {"input", {chw[0], chw[1], chw[2]}},
              {"parameters", total},
              {"layers", std::move(layers)}};
  if (profile) out.json["profile"] = profile->name;
  return out;
}

}  // namespace facsim::cli
