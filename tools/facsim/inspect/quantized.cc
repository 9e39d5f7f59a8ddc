// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/graph/int_ops.h"
#include "backends/graph/int_shape.h"
#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "tools/facsim/accumulator_ranges.h"
#include "tools/facsim/inspect/inspect.h"
#include "tools/facsim/layer_profiles.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::Attribute;
using backends::IntGraph;
using backends::IntNode;
using backends::IntTensor;
using Json = nlohmann::ordered_json;

/// What a profile does with one node.
struct NodeVerdict {
  std::optional<LayerRange> range;    ///< of layers whose accumulators are analysed
  std::vector<std::string> refusals;  ///< empty: it runs
};

std::vector<NodeVerdict> verdicts(const IntGraph& graph, const backends::Profile& profile,
                                  const Globals& globals) {
  LayerProfiles others(globals.search());
  std::vector<NodeVerdict> all;
  for (const IntNode& node : graph.nodes) {
    NodeVerdict verdict;
    try {
      const bool own = !node.profile.empty() && node.profile != profile.name;
      const backends::Profile& rules = own ? others.find(node.profile) : profile;
      sim::Graph single;
      single.nodes.push_back({node.name, backends::lower_node(graph, node, rules), {}, -1});
      std::vector<std::string> not_analysed;
      auto ranges = accumulator_ranges(single, {}, not_analysed);
      if (!ranges.empty()) verdict.range = std::move(ranges.front());
    } catch (const Error& error) {
      for (const ErrorInfo& info : error.infos()) verdict.refusals.push_back(to_string(info));
    }
    all.push_back(std::move(verdict));
  }
  return all;
}

/// "[N, 32, 32, 3]": the batch is free.
std::string shape_text(const Shape& shape) {
  std::string text = to_string(shape);
  return shape.rank() > 0 ? text.replace(1, 1, "N") : text;
}

std::string type_text(const IntTensor& tensor) {
  if (!tensor.qparams) return std::string(to_string(tensor.dtype));
  return sim::to_string(tensor.qparams->type);
}

std::string scale_text(const IntTensor& tensor) {
  if (!tensor.qparams) return "";
  const auto& scale = tensor.qparams->scale;
  if (scale.size() == 1) return fmt::format("{}", scale[0]);
  const auto [low, high] = std::minmax_element(scale.begin(), scale.end());
  return fmt::format("{} to {}, {} channels", *low, *high, scale.size());
}

std::string zero_point_text(const IntTensor& tensor) {
  if (!tensor.qparams) return "";
  const auto& zero = tensor.qparams->zero_point;
  const auto [low, high] = std::minmax_element(zero.begin(), zero.end());
  return *low == *high ? fmt::format("{}", *low) : fmt::format("{} to {}", *low, *high);
}

/// " pad 1", or top, left, bottom, right where they differ; nothing without padding.
std::string padding_text(const sim::Padding2d& pad) {
  if (pad == sim::Padding2d{}) return "";
  const bool same = pad.top == pad.left && pad.top == pad.bottom && pad.top == pad.right;
  return same ? fmt::format(" pad {}", pad.top)
              : fmt::format(" pad {},{},{},{}", pad.top, pad.left, pad.bottom, pad.right);
}

/// "conv2d 3x3 stride 2 pad 1 + relu".
std::string op_text(const IntNode& node) {
  const backends::IntOp& op = *backends::find_int_op(node.op);
  const backends::NodeAttributes& a = node.attributes;
  std::string text = node.op;
  if (op.has(Attribute::window)) {
    text += fmt::format(" {}x{}", a.window.kernel[0], a.window.kernel[1]);
    if (a.window.stride != std::array<int64_t, 2>{1, 1}) {
      text += a.window.stride[0] == a.window.stride[1]
                  ? fmt::format(" stride {}", a.window.stride[0])
                  : fmt::format(" stride {}x{}", a.window.stride[0], a.window.stride[1]);
    }
    text += padding_text(a.window.padding);
    if (a.window.dilation != std::array<int64_t, 2>{1, 1}) {
      text += fmt::format(" dilation {}x{}", a.window.dilation[0], a.window.dilation[1]);
    }
  }
  if (op.has(Attribute::groups) && a.groups > 1) text += fmt::format(" groups {}", a.groups);
  if (op.has(Attribute::activation) && a.activation != backends::Activation::none) {
    text += fmt::format(" + {}", to_string(a.activation));
  }
  return text;
}

Json quantization_json(const IntTensor& tensor) {
  if (!tensor.qparams) return nullptr;
  const quant::QParams& q = *tensor.qparams;
  Json json = {{"bits", q.type.bits},      {"signed", q.type.is_signed},
               {"quant_min", q.quant_min}, {"quant_max", q.quant_max},
               {"scale", q.scale},         {"zero_point", q.zero_point}};
  if (q.per_channel()) json["channel_axis"] = q.channel_axis;
  return json;
}

Json tensor_json(const IntTensor& tensor) {
  return {{"name", tensor.name},
          {"dtype", to_string(tensor.dtype)},
          {"shape", tensor.shape.extents()},
          {"quantization", quantization_json(tensor)}};
}

/// Describes one network; the tables' parts and the JSON from the same facts.
class QuantizedDescription {
 public:
  QuantizedDescription(const IntGraph& graph, const std::optional<backends::Profile>& profile,
                       const Globals& globals)
      : graph_(graph), profile_(profile) {
    if (profile) verdicts_ = verdicts(graph, *profile, globals);
    for (const IntTensor& tensor : graph.tensors) {
      if (tensor.data) constant_bytes_ += static_cast<int64_t>(tensor.data->bytes());
    }
    for (const IntNode& node : graph.nodes) macs_ += backends::int_macs(graph, node);
  }

  Description describe() const {
    return {text(), json(), std::all_of(verdicts_.begin(), verdicts_.end(), [](const auto& v) {
              return v.refusals.empty();
            })};
  }

 private:
  const IntTensor& tensor(int number) const { return graph_.tensors[static_cast<size_t>(number)]; }

  const IntTensor* weights(const IntNode& node) const {
    const size_t first = backends::find_int_op(node.op)->first_constant;
    if (node.inputs.size() <= first) return nullptr;
    const IntTensor& candidate = tensor(node.inputs[first]);
    return candidate.data ? &candidate : nullptr;
  }

  std::string text() const {
    std::string out = fmt::format("{}, {} an image, {} of constants\n",
                                  counted(static_cast<int64_t>(graph_.nodes.size()), "node"),
                                  counted(macs_, "MAC"), counted(constant_bytes_, "byte"));
    TextTable borders({{""}, {"tensor"}, {"type"}, {"shape"}, {"scale"}, {"zero point"}});
    for (const int t : graph_.inputs) add_border(borders, "input", tensor(t));
    for (const int t : graph_.outputs) add_border(borders, "output", tensor(t));
    out += borders.text() + "\n" + layers_text();
    for (size_t n = 0; n < verdicts_.size(); ++n) {
      for (const std::string& refusal : verdicts_[n].refusals) {
        out += fmt::format("\n{}", printable(refusal));
      }
    }
    if (profile_) {
      const auto refused = std::count_if(verdicts_.begin(), verdicts_.end(),
                                         [](const auto& v) { return !v.refusals.empty(); });
      out += fmt::format(
          "\n{} of {} run under {}\n", static_cast<int64_t>(verdicts_.size()) - refused,
          counted(static_cast<int64_t>(verdicts_.size()), "node"), printable(profile_->name));
    }
    return out;
  }

  static void add_border(TextTable& table, std::string_view side, const IntTensor& t) {
    table.add_row({std::string(side), printable(t.name), type_text(t), shape_text(t.shape),
                   scale_text(t), zero_point_text(t)});
  }

  std::string layers_text() const {
    using Align = TextTable::Align;
    std::vector<TextTable::Column> columns = {{"node"},  {"op"},         {"output"}, {"type"},
                                              {"scale"}, {"zero point"}, {"weights"}};
    columns.push_back({"MACs", Align::right});
    if (profile_) columns.insert(columns.end(), {{"accumulator"}, {"runs"}});
    TextTable table(columns);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const IntNode& node = graph_.nodes[n];
      const IntTensor& out = tensor(node.output);
      const int64_t macs = backends::int_macs(graph_, node);
      std::vector<std::string> row = {printable(node.name),  op_text(node),
                                      shape_text(out.shape), type_text(out),
                                      scale_text(out),       zero_point_text(out),
                                      weights_text(node),    macs == 0 ? "" : with_commas(macs)};
      if (profile_) {
        row.push_back(accumulator_text(verdicts_[n]));
        row.emplace_back(verdicts_[n].refusals.empty() ? "yes" : "no");
      }
      table.add_row(std::move(row));
    }
    return table.text();
  }

  std::string weights_text(const IntNode& node) const {
    const IntTensor* w = weights(node);
    if (w == nullptr) return "";
    const bool per_channel = w->qparams && w->qparams->per_channel();
    return fmt::format("{} {}{}", type_text(*w), to_string(w->shape),
                       per_channel ? " per channel" : "");
  }

  /// "18 of 32 bits": what any input can make of it.
  static std::string accumulator_text(const NodeVerdict& verdict) {
    if (!verdict.range) return "";
    const bool proved = verdict.range->verdict == LayerRange::Verdict::proved;
    return fmt::format("{} of {} bits{}", verdict.range->worst().bits,
                       verdict.range->accumulator.bits,
                       proved ? "" : fmt::format(", {}", to_string(verdict.range->verdict)));
  }

  Json json() const {
    Json out = {{"name", graph_.name},
                {"made_for_profile", graph_.profile},
                {"layout", graph_.layout == IntGraph::Layout::nchw ? "nchw" : "nhwc"},
                {"macs", macs_},
                {"constant_bytes", constant_bytes_},
                {"inputs", Json::array()},
                {"outputs", Json::array()},
                {"nodes", Json::array()}};
    for (const int t : graph_.inputs) out["inputs"].push_back(tensor_json(tensor(t)));
    for (const int t : graph_.outputs) out["outputs"].push_back(tensor_json(tensor(t)));
    for (size_t n = 0; n < graph_.nodes.size(); ++n) out["nodes"].push_back(node_json(n));
    if (profile_) out["profile"] = profile_->name;
    return out;
  }

  Json node_json(size_t n) const {
    const IntNode& node = graph_.nodes[n];
    Json out = {{"name", node.name},
                {"op", node.op},
                {"description", op_text(node)},
                {"inputs", Json::array()},
                {"output", tensor_json(tensor(node.output))},
                {"macs", backends::int_macs(graph_, node)}};
    for (const int t : node.inputs) out["inputs"].push_back(tensor(t).name);
    if (const IntTensor* w = weights(node)) out["weights"] = tensor_json(*w);
    if (!node.profile.empty()) out["profile"] = node.profile;
    if (!profile_) return out;
    out["runs"] = verdicts_[n].refusals.empty();
    if (!verdicts_[n].refusals.empty()) out["reasons"] = verdicts_[n].refusals;
    if (const auto& range = verdicts_[n].range) {
      out["accumulator"] = {{"bits", range->accumulator.bits},
                            {"bits_needed", range->worst().bits},
                            {"verdict", to_string(range->verdict)}};
    }
    return out;
  }

  const IntGraph& graph_;
  const std::optional<backends::Profile>& profile_;
  std::vector<NodeVerdict> verdicts_;  ///< one per node, with a profile
  int64_t macs_ = 0, constant_bytes_ = 0;
};

}  // namespace

Description describe_quantized(const IntGraph& graph,
                               const std::optional<backends::Profile>& profile,
                               const Globals& globals) {
  return QuantizedDescription(graph, profile, globals).describe();
}

}  // namespace facsim::cli
