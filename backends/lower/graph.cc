// SPDX-License-Identifier: Apache-2.0
#include "sim/graph/graph.h"

#include <fmt/format.h>

#include "backends/lower/requantize-internal.h"
#include "sim/core/error.h"
#include "sim/ops/lut.h"
#include "sim/ops/max_pool2d.h"
#include "sim/ops/reshape.h"

namespace facsim::backends {

namespace {

/// Lowers one node; the node's tensors are looked up here and nowhere else.
class NodeLowering {
 public:
  NodeLowering(const IntGraph& graph, const IntNode& node, const Profile& profile)
      : graph_(graph), node_(node), profile_(profile) {}

  std::shared_ptr<const sim::Op> run() const {
    const std::string& op = node_.op;
    if (op == "conv2d") return conv2d();
    if (op == "linear") return linear();
    if (op == "add") {
      return lower_add(profile_, qparams(0), qparams(1), output(), attributes().activation);
    }
    if (op == "max_pool2d") return max_pool2d();
    if (op == "avg_pool2d" || op == "global_avg_pool") return avg_pool2d(op == "global_avg_pool");
    if (op == "quantize") return lower_quantize(profile_, output());
    if (op == "dequantize") return lower_dequantize(profile_, qparams(0));
    if (op == "requantize" || op == "clamp") return requantize(attributes().activation);
    if (op == "relu") return requantize(Activation::relu);
    if (op == "relu6") return requantize(Activation::relu6);
    if (op == "lut") return lut();
    if (op == "reshape" || op == "flatten") return reshape();
    throw Error({ErrorCode::unsupported, "", "op \"" + op + "\"", "", ""});
  }

 private:
  const NodeAttributes& attributes() const { return node_.attributes; }
  const IntTensor& tensor(size_t input) const {
    if (input >= node_.inputs.size() || node_.inputs[input] < 0 ||
        static_cast<size_t>(node_.inputs[input]) >= graph_.tensors.size()) {
      throw Error({ErrorCode::bad_value, "", fmt::format("no input {}", input), "", ""});
    }
    return graph_.tensors[static_cast<size_t>(node_.inputs[input])];
  }
  const IntTensor& output_tensor() const {
    if (node_.output < 0 || static_cast<size_t>(node_.output) >= graph_.tensors.size()) {
      throw Error({ErrorCode::bad_value, "", "no output", "", ""});
    }
    return graph_.tensors[static_cast<size_t>(node_.output)];
  }
  static const quant::QParams& qparams_of(const IntTensor& tensor) {
    if (!tensor.qparams) {
      throw Error(
          {ErrorCode::missing_key, "", "tensor \"" + tensor.name + "\" has no scale", "", ""});
    }
    return *tensor.qparams;
  }
  const quant::QParams& qparams(size_t input) const { return qparams_of(tensor(input)); }
  const quant::QParams& output() const { return qparams_of(output_tensor()); }

  const Tensor& constant(size_t input) const {
    const IntTensor& t = tensor(input);
    if (!t.data) {
      throw Error({ErrorCode::unsupported, "", "tensor \"" + t.name + "\" is computed",
                   "constant weights and biases", ""});
    }
    return *t.data;
  }
  LayerBias bias() const {
    LayerBias bias;
    if (node_.inputs.size() < 3) return bias;
    bias.codes = constant(2);
    if (tensor(2).qparams) bias.qparams = *tensor(2).qparams;
    if (!tensor(2).qparams && bias.codes.dtype() != DType::float32) {
      throw Error(
          {ErrorCode::missing_key, "", "tensor \"" + tensor(2).name + "\" has no scale", "", ""});
    }
    return bias;
  }

  std::shared_ptr<const sim::Op> conv2d() const {
    return std::make_shared<sim::Conv2d>(
        lower_conv2d(profile_, attributes().window, attributes().groups, qparams(0), constant(1),
                     qparams(1), bias(), output(), attributes().activation));
  }
  std::shared_ptr<const sim::Op> linear() const {
    return std::make_shared<sim::Linear>(lower_linear(profile_, qparams(0), constant(1), qparams(1),
                                                      bias(), output(), attributes().activation));
  }

  std::shared_ptr<const sim::Op> max_pool2d() const {
    const OpRules& rules = profile_.rules("max_pool2d");
    detail::require_activation("input", qparams(0), rules);
    require_same_qparams();
    const ClampBounds clamp = clamp_bounds(rules, attributes().activation, output());
    sim::MaxPool2dParams params;
    params.window = attributes().window;
    params.type = qparams(0).type;
    params.clamp_min = clamp.min;
    params.clamp_max = clamp.max;
    return std::make_shared<sim::MaxPool2d>(std::move(params));
  }

  std::shared_ptr<const sim::Op> avg_pool2d(bool global) const {
    const Shape& shape = tensor(0).shape;
    if (shape.rank() != 4) {
      throw Error({ErrorCode::shape_mismatch, "", to_string(shape), "(N, H, W, C)", ""});
    }
    return lower_avg_pool2d(profile_, attributes().window, global, attributes().count_include_pad,
                            qparams(0), output(), attributes().activation, shape[1], shape[2]);
  }

  std::shared_ptr<const sim::Op> requantize(Activation activation) const {
    return lower_requantize(profile_, node_.op, qparams(0), output(), activation);
  }

  std::shared_ptr<const sim::Op> lut() const {
    const OpRules& rules = profile_.rules("lut");
    detail::require_activation("input", qparams(0), rules);
    detail::require_activation("output", output(), rules);
    return std::make_shared<sim::Lut>(
        sim::LutParams{qparams(0).type, output().type, attributes().table});
  }

  std::shared_ptr<const sim::Op> reshape() const {
    sim::ReshapeParams params;
    params.extents = attributes().extents;
    params.dtype = tensor(0).dtype;
    params.order = attributes().order;
    if (tensor(0).qparams || output_tensor().qparams) require_same_qparams();
    return std::make_shared<sim::Reshape>(std::move(params));
  }

  void require_same_qparams() const {
    if (qparams(0).scale != output().scale || qparams(0).zero_point != output().zero_point ||
        qparams(0).type != output().type) {
      throw Error({ErrorCode::unsupported, "",
                   "input and output with different scale or zero point",
                   "the same: " + node_.op + " does not change codes", ""});
    }
  }

  const IntGraph& graph_;
  const IntNode& node_;
  const Profile& profile_;
};

}  // namespace

std::shared_ptr<const sim::Op> lower_node(const IntGraph& graph, const IntNode& node,
                                          const Profile& profile) {
  try {
    return NodeLowering(graph, node, profile).run();
  } catch (const Error& e) {
    std::vector<ErrorInfo> infos = e.infos();
    for (ErrorInfo& info : infos) {
      info.place = "node \"" + node.name + "\" (" + node.op + ", profile " + profile.name + ")" +
                   (info.place.empty() ? "" : ", " + info.place);
    }
    throw Error(std::move(infos));
  }
}

sim::Graph lower(const IntGraph& graph, const Profile& profile, const ProfileResolver& resolve) {
  check(graph);
  sim::Graph out;
  std::vector<int> number(graph.tensors.size(), -1);  // constants have none
  for (size_t i = 0; i < graph.tensors.size(); ++i) {
    const IntTensor& tensor = graph.tensors[i];
    if (tensor.data) continue;
    number[i] = static_cast<int>(out.tensors.size());
    out.tensors.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  const auto numbered = [&](const std::vector<int>& tensors) {
    std::vector<int> result;
    for (const int t : tensors) {
      if (number[static_cast<size_t>(t)] >= 0) result.push_back(number[static_cast<size_t>(t)]);
    }
    return result;
  };
  for (const IntNode& node : graph.nodes) {
    const bool own = !node.profile.empty() && node.profile != profile.name;
    const Profile& rules = own ? resolve(node.profile) : profile;
    out.nodes.push_back({node.name, lower_node(graph, node, rules), numbered(node.inputs),
                         number[static_cast<size_t>(node.output)]});
  }
  out.inputs = numbered(graph.inputs);
  out.outputs = numbered(graph.outputs);
  sim::check(out);
  return out;
}

sim::Graph lower(const IntGraph& graph, const Profile& profile) {
  return lower(graph, profile, [&](std::string_view name) -> const Profile& {
    throw Error({ErrorCode::unsupported, "network \"" + graph.name + "\"",
                 "a node of profile \"" + std::string(name) + "\"", "\"" + profile.name + "\"",
                 "a network with several profiles is lowered with all of them"});
  });
}

}  // namespace facsim::backends
