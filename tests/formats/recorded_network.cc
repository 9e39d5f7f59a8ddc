// SPDX-License-Identifier: Apache-2.0
#include "tests/formats/recorded_network.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "backends/graph/permute.h"
#include "backends/io/npy.h"

namespace facsim::test {

namespace {

using backends::Activation;
using backends::IntGraph;
using backends::IntNode;
using backends::IntTensor;
using Json = nlohmann::json;

DType dtype_of(const std::string& type) {
  if (type == "INT8") return DType::int8;
  if (type == "INT32") return DType::int32;
  throw std::runtime_error("type " + type);
}

std::optional<quant::QParams> qparams_of(const Json& tensor, DType dtype) {
  if (!tensor.contains("scale_hex")) return {};
  quant::QParams qparams;
  qparams.scale.clear();
  for (const Json& hex : tensor["scale_hex"]) {
    qparams.scale.push_back(std::strtof(hex.get<std::string>().c_str(), nullptr));
  }
  qparams.zero_point = tensor["zero_point"].get<std::vector<int64_t>>();
  qparams.zero_point.resize(qparams.scale.size(), qparams.zero_point.front());
  qparams.type = sim::full_range(dtype);
  qparams.quant_min = qparams.type.min();
  qparams.quant_max = qparams.type.max();
  // Biases have one axis, whatever quantized_dimension says; weights become channel-first.
  if (qparams.scale.size() > 1) qparams.channel_axis = 0;
  return qparams;
}

Activation activation_of(const Json& options) {
  const std::string word = options.value("FusedActivationFunction", "NONE");
  if (word == "NONE") return Activation::none;
  if (word == "RELU") return Activation::relu;
  if (word == "RELU6") return Activation::relu6;
  throw std::runtime_error("activation " + word);
}

sim::Window2d window_of(const Json& options, std::array<int64_t, 2> kernel, const Shape& input) {
  sim::Window2d window;
  window.kernel = kernel;
  window.stride = {options["StrideH"], options["StrideW"]};
  window.dilation = {options.value("DilationHFactor", 1), options.value("DilationWFactor", 1)};
  const auto kind = options["Padding"] == "SAME" ? sim::PaddingKind::same : sim::PaddingKind::valid;
  window.padding = sim::resolve_padding(kind, window, input[1], input[2]);
  return window;
}

class Importer {
 public:
  explicit Importer(const std::filesystem::path& folder)
      : json_(Json::parse(backends::read_file(folder / "graph.json"))),
        weights_(folder / "weights.npz") {}

  IntGraph import() {
    graph_.name = json_["model"];
    for (const Json& tensor : json_["tensors"]) add_tensor(tensor);
    graph_.inputs = json_["inputs"].get<std::vector<int>>();
    graph_.outputs = json_["outputs"].get<std::vector<int>>();
    for (const Json& op : json_["ops"]) add_node(op);
    backends::check(graph_);
    return std::move(graph_);
  }

 private:
  void add_tensor(const Json& json) {
    IntTensor tensor;
    tensor.name = json["name"].get<std::string>() + "#" + std::to_string(graph_.tensors.size());
    tensor.dtype = dtype_of(json["type"]);
    tensor.shape = Shape(json["shape"].get<std::vector<int64_t>>());
    tensor.qparams = qparams_of(json, tensor.dtype);
    if (json["const"].get<bool>()) {
      tensor.data = weights_.read("t" + std::to_string(graph_.tensors.size()));
    }
    graph_.tensors.push_back(std::move(tensor));
  }

  void add_node(const Json& json) {
    const std::string op = json["op"];
    const auto inputs = json["inputs"].get<std::vector<int>>();
    const int output = json["outputs"][0];
    IntNode node;
    node.name = op + "_" + std::to_string(graph_.nodes.size());
    node.inputs = inputs;
    node.output = output;
    const Json& options = json["options"];
    node.attributes.activation = activation_of(options);
    const Shape input = tensor(inputs[0]).shape;
    if (op == "CONV_2D") {
      node.op = "conv2d";
      const Shape& w = tensor(inputs[1]).shape;
      node.attributes.window = window_of(options, {w[1], w[2]}, input);
    } else if (op == "DEPTHWISE_CONV_2D") {
      node.op = "conv2d";
      IntTensor& weights = graph_.tensors[static_cast<size_t>(inputs[1])];
      weights.data = backends::permuted(*weights.data, backends::kOneHwcToOhwi);
      weights.shape = weights.data->shape();
      node.attributes.groups = input[3];
      node.attributes.window = window_of(options, {weights.shape[1], weights.shape[2]}, input);
    } else if (op == "FULLY_CONNECTED") {
      node.op = "linear";
    } else if (op == "ADD") {
      node.op = "add";
    } else if (op == "AVERAGE_POOL_2D") {
      node.op = "avg_pool2d";
      node.attributes.window =
          window_of(options, {options["FilterHeight"], options["FilterWidth"]}, input);
    } else if (op == "SOFTMAX") {
      node.op = "softmax";
      node.attributes.beta = options["Beta"].get<float>();
    } else if (op == "RESHAPE") {
      node.op = "reshape";
      node.inputs = {inputs[0]};
      const Shape& to = tensor(output).shape;
      node.attributes.extents.assign(to.begin() + 1, to.end());
    } else {
      throw std::runtime_error("op " + op);
    }
    graph_.nodes.push_back(std::move(node));
  }

  const IntTensor& tensor(int index) const { return graph_.tensors[static_cast<size_t>(index)]; }

  Json json_;
  backends::NpzFile weights_;
  IntGraph graph_;
};

}  // namespace

IntGraph import_recorded_network(const std::filesystem::path& folder) {
  return Importer(folder).import();
}

}  // namespace facsim::test
