// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/float_network.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "backends/onnx/float_network-internal.h"
#include "backends/onnx/onnx_check-internal.h"

namespace facsim::backends {

FloatGraph float_network(const OnnxModel& model, const FloatNetworkOptions& options) {
  return onnx::FloatNetworkBuilder(model, options).build();
}

}  // namespace facsim::backends

namespace facsim::backends::onnx {

namespace {

constexpr size_t kMostNodes = 100000;

/// A letter or _, then letters, digits and _.
std::string identifier(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && (out.empty() || out.back() == '_')) continue;
    if (digit && out.empty()) out = "n";
    out += letter || digit ? c : '_';
    if (out.size() == 180) break;
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out.empty() || out == "input" ? out + "node" : out;
}

/// Numbers with commas between them, `count` of them.
std::vector<float> number_list(const std::string& text, size_t count, const char* key) {
  std::vector<float> out;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    while (at < end && (*at == ' ' || *at == ',')) ++at;
    float value = 0;
    const auto read = std::from_chars(at, end, value);
    if (read.ec != std::errc()) break;
    out.push_back(value);
    at = read.ptr;
  }
  if (at != end || out.size() != count) {
    throw Error({ErrorCode::bad_value, fmt::format("metadata {}", key), "\"" + text + "\"",
                 fmt::format("{} numbers with commas between them", count), ""});
  }
  return out;
}

}  // namespace

FloatNetworkBuilder::FloatNetworkBuilder(const OnnxModel& model, const FloatNetworkOptions& options)
    : model_(model), options_(options), constants_(model.graph), opset_(opset_version(model, "")) {
  for (const OnnxNode& node : model.graph.nodes) {
    for (const std::string& input : node.inputs) ++uses_[input];
  }
  for (const OnnxValueInfo& output : model.graph.outputs) ++uses_[output.name];
}

void FloatNetworkBuilder::unsupported(const OnnxNode& node, std::string found, std::string expected,
                                      std::string hint) {
  throw Error({ErrorCode::unsupported, place_of(node), std::move(found), std::move(expected),
               std::move(hint)});
}

void FloatNetworkBuilder::bad(const OnnxNode& node, std::string found, std::string expected) {
  throw Error({ErrorCode::bad_value, place_of(node), std::move(found), std::move(expected), ""});
}

const FloatValue& FloatNetworkBuilder::activation(const OnnxNode& node, size_t i) const {
  if (i >= node.inputs.size() || node.inputs[i].empty()) {
    bad(node, fmt::format("no input {}", i), "an activation");
  }
  const auto found = values_.find(node.inputs[i]);
  if (found != values_.end()) return found->second;
  if (constants_.known(node.inputs[i])) {
    unsupported(node, fmt::format("constant input \"{}\"", node.inputs[i]), "an activation");
  }
  if (hard_sigmoids.contains(node.inputs[i])) {
    unsupported(node, fmt::format("HardSigmoid \"{}\" as an input", node.inputs[i]),
                "its product with its own input (hard swish)");
  }
  bad(node, fmt::format("input \"{}\" that nothing makes", node.inputs[i]), "a value of the graph");
}

const FloatValue& FloatNetworkBuilder::image(const OnnxNode& node, size_t i) const {
  const FloatValue& value = activation(node, i);
  if (!value.shape.is_image) {
    unsupported(node, "an input of " + to_string(value.shape), "images [batch, C, H, W]");
  }
  return value;
}

const Tensor* FloatNetworkBuilder::constant(const OnnxNode& node, size_t i) const {
  if (i >= node.inputs.size() || node.inputs[i].empty()) return nullptr;
  const Tensor* value = constants_.find(node.inputs[i]);
  if (value == nullptr) {
    unsupported(node, fmt::format("input \"{}\" computed at run time", node.inputs[i]),
                "a constant");
  }
  return value;
}

const Tensor& FloatNetworkBuilder::weights(const OnnxNode& node, size_t i) const {
  const Tensor* value = constant(node, i);
  if (value == nullptr) bad(node, fmt::format("no input {}", i), "its parameters");
  if (value->dtype() != DType::float32) {
    unsupported(node,
                fmt::format("{} values \"{}\"", facsim::to_string(value->dtype()), node.inputs[i]),
                "float values");
  }
  return *value;
}

std::optional<std::vector<int64_t>> FloatNetworkBuilder::integers(const OnnxNode& node, size_t i,
                                                                  std::string_view name) const {
  if (find_attribute(node, name) != nullptr) {
    std::vector<int64_t> values = integers_attribute(node, name, {});
    detail::check_list_length(node, name, static_cast<int64_t>(values.size()));
    return values;
  }
  const Tensor* value = constant(node, i);
  if (value == nullptr) return {};
  if (value->dtype() == DType::float32 || value->shape().rank() > 1) {
    bad(node, fmt::format("{} \"{}\"", name, node.inputs[i]), "a list of integers");
  }
  detail::check_list_length(node, node.inputs[i], value->numel());
  std::vector<int64_t> out;
  for (int64_t k = 0; k < value->numel(); ++k) out.push_back(value->int_at(k));
  return out;
}

int FloatNetworkBuilder::uses(const std::string& value) const {
  const auto found = uses_.find(value);
  return found == uses_.end() ? 0 : found->second;
}

std::string FloatNetworkBuilder::unique_name(std::string name) {
  if (!shapes_.contains(name)) return name;
  int& suffix = suffixes_[name];
  std::string unique;
  do {
    unique = fmt::format("{}_{}", name, ++suffix);
  } while (shapes_.contains(unique));
  return unique;
}

FloatNode FloatNetworkBuilder::layer(const OnnxNode& node, std::string op,
                                     std::vector<std::string> inputs) {
  std::string name = node.name;
  if (name.empty()) {
    name = node.op_type;
    if (!node.outputs.empty()) name += "_" + node.outputs[0];
  }
  FloatNode layer;
  layer.name = unique_name(identifier(name));
  layer.op = std::move(op);
  layer.inputs = std::move(inputs);
  layer.place = place_of(node);
  return layer;
}

FloatValue FloatNetworkBuilder::add(const OnnxNode& node, FloatNode layer,
                                    FloatParameters parameters) {
  std::vector<FloatShape> inputs;
  for (const std::string& input : layer.inputs) inputs.push_back(shapes_.find(input)->second);
  const FloatShape shape = shape_after(layer, inputs);
  const bool has_values = parameters.weight || parameters.bias || parameters.running_mean;
  if (has_values) {
    try {
      check_parameters(layer, parameters);
    } catch (const Error& error) {  // at the file's name
      std::vector<ErrorInfo> infos = error.infos();
      for (ErrorInfo& info : infos) info.place = place_of(node);
      throw Error(std::move(infos));
    }
  }
  const std::string name = layer.name;
  if (has_values) graph_.parameters.emplace(name, std::move(parameters));
  shapes_.emplace(name, shape);
  numbers_.emplace(name, graph_.nodes.size());
  graph_.nodes.push_back(std::move(layer));
  return {name, shape};
}

FloatValue FloatNetworkBuilder::add_before(const OnnxNode& node, FloatNode layer,
                                           std::string_view suffix) {
  layer.name = unique_name(fmt::format("{}_{}", layer.name, suffix));
  return add(node, std::move(layer));
}

void FloatNetworkBuilder::define(const OnnxNode& node, const FloatValue& value) {
  const std::string& name = node.outputs.at(0);
  const FloatShape& s = value.shape;
  values_.insert_or_assign(name, value);
  constants_.set_shape(
      name, s.is_image ? Shape{batch_, s.channels, s.height, s.width} : Shape{batch_, s.channels});
}

bool FloatNetworkBuilder::give_bias(const std::string& onnx_value, const FloatValue& value,
                                    const Tensor& bias) {
  if (uses(onnx_value) != 1) return false;
  const auto number = numbers_.find(value.node);
  if (number == numbers_.end()) return false;
  FloatNode& layer = graph_.nodes[number->second];
  if (layer.bias || layer.out_channels != bias.numel() ||
      (layer.op != "Linear" && layer.op != "Conv2d" && layer.op != "ConvTranspose2d")) {
    return false;
  }
  FloatParameters& parameters = graph_.parameters[layer.name];
  FloatParameters with_bias = parameters;
  with_bias.bias = bias.reshaped({bias.numel()});
  check_parameters(layer, with_bias);
  layer.bias = true;
  parameters = std::move(with_bias);
  return true;
}

void FloatNetworkBuilder::read_input() {
  const OnnxGraph& graph = model_.graph;
  std::vector<const OnnxValueInfo*> inputs;
  for (const OnnxValueInfo& input : graph.inputs) {
    if (!constants_.known(input.name)) inputs.push_back(&input);
  }
  const std::string place = "graph " + graph.name;
  if (inputs.size() != 1) {
    throw Error({ErrorCode::unsupported, place, fmt::format("{} inputs", inputs.size()),
                 "one input of images", ""});
  }
  const OnnxValueInfo& input = *inputs[0];
  const std::string name = fmt::format("input \"{}\"", input.name);
  if (input.type != OnnxType::float32) {
    throw Error({ErrorCode::unsupported, name, to_string(input.type), "float32", ""});
  }
  if (!input.dims || input.dims->size() != 4) {
    throw Error({ErrorCode::unsupported, name,
                 input.dims ? fmt::format("{} dimensions", input.dims->size()) : "no shape",
                 "images [batch, C, H, W]", ""});
  }
  if (const auto* batch = std::get_if<int64_t>(input.dims->data())) batch_ = *batch;
  if (batch_ < 1) {
    throw Error({ErrorCode::bad_value, name, fmt::format("batch {}", batch_), ">= 1", ""});
  }
  for (size_t axis = 0; axis < 3; ++axis) {
    const OnnxDim& dim = (*input.dims)[axis + 1];
    const auto* extent = std::get_if<int64_t>(&dim);
    if (extent == nullptr) {
      const std::string& symbol = std::get<std::string>(dim);
      const auto given = options_.dims.find(symbol);
      if (given == options_.dims.end() || symbol.empty()) {
        throw Error({ErrorCode::bad_value, name, fmt::format("symbolic dimension \"{}\"", symbol),
                     "known channels, height and width",
                     symbol.empty() ? "export it with a fixed image size"
                                    : fmt::format("give --dim {}=N", symbol)});
      }
      extent = &given->second;
    }
    if (*extent < 1 || *extent > 65536) {
      throw Error(
          {ErrorCode::bad_value, name, fmt::format("dimension {}", *extent), "1..65536", ""});
    }
    graph_.input_shape[axis] = *extent;
  }
  const auto& [c, h, w] = graph_.input_shape;
  const FloatShape shape{c, h, w, true};
  values_.emplace(input.name, FloatValue{"input", shape});
  shapes_.emplace("input", shape);
  constants_.set_shape(input.name, {batch_, c, h, w});
}

FloatReader FloatNetworkBuilder::reader_of(const OnnxNode& node) {
  if (!node.domain.empty() && node.domain != "ai.onnx") {
    unsupported(node, fmt::format("op {}.{}", node.domain, node.op_type), "an op of ONNX's own");
  }
  for (const auto find :
       {find_weighted_reader, find_window_reader, find_reshaping_reader, find_elementwise_reader}) {
    if (const FloatReader reader = find(node.op_type)) return reader;
  }
  std::string hint;
  if (node.op_type.ends_with("QuantizeLinear") || node.op_type.ends_with("DequantizeLinear")) {
    hint = "a quantized network runs as it is (facsim run)";
  } else if (node.op_type.ends_with("Softmax")) {
    hint = "export the network up to its logits: training has its own softmax";
  }
  unsupported(node, "op " + node.op_type, "a layer of a float network", std::move(hint));
}

void FloatNetworkBuilder::read_node(const OnnxNode& node) {
  const FloatReader reader = reader_of(node);
  if (node.outputs.empty()) bad(node, "no output", "one");
  for (size_t i = 1; i < node.outputs.size(); ++i) {
    if (uses(node.outputs[i]) > 0) {
      unsupported(node, fmt::format("output {} \"{}\" in use", i, node.outputs[i]),
                  "only the first");
    }
  }
  reader(*this, node);
}

void FloatNetworkBuilder::read_preprocessing() {
  const auto channels = static_cast<size_t>(graph_.input_shape[0]);
  for (const auto& [key, text] : model_.metadata) {
    if (key == "facsim.mean")
      graph_.preprocessing.mean = number_list(text, channels, "facsim.mean");
    if (key == "facsim.std") graph_.preprocessing.std = number_list(text, channels, "facsim.std");
  }
  for (const float std : graph_.preprocessing.std) {
    if (std > 0) continue;
    throw Error(
        {ErrorCode::bad_value, "metadata facsim.std", fmt::format("{}", std), "numbers > 0", ""});
  }
}

void FloatNetworkBuilder::remove_unused(const std::string& output) {
  std::set<std::string, std::less<>> used{output};
  std::vector<FloatNode> kept;
  for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node) {
    if (!used.contains(node->name)) {
      graph_.parameters.erase(node->name);
      continue;
    }
    used.insert(node->inputs.begin(), node->inputs.end());
    kept.push_back(std::move(*node));
  }
  std::reverse(kept.begin(), kept.end());
  graph_.nodes = std::move(kept);
}

FloatGraph FloatNetworkBuilder::build() {
  graph_.name = identifier(model_.graph.name);
  read_input();
  read_preprocessing();
  if (model_.graph.nodes.empty() || model_.graph.nodes.size() > kMostNodes) {
    throw Error({ErrorCode::bad_value, "graph " + model_.graph.name,
                 fmt::format("{} nodes", model_.graph.nodes.size()),
                 fmt::format("1..{}", kMostNodes), ""});
  }
  for (const OnnxNode& node : model_.graph.nodes) {
    const bool follows = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](const auto& name) { return refused_.contains(name); });
    try {
      if (follows) {
        (void)reader_of(node);  // what is wrong with its inputs is said already
        refused_.insert(node.outputs.begin(), node.outputs.end());
      } else if (!constants_.fold(node)) {
        read_node(node);
      }
    } catch (const Error& error) {
      findings_.insert(findings_.end(), error.infos().begin(), error.infos().end());
      refused_.insert(node.outputs.begin(), node.outputs.end());
    }
  }
  if (!findings_.empty()) detail::throw_findings(std::move(findings_));
  if (model_.graph.outputs.size() != 1) {
    throw Error({ErrorCode::unsupported, "graph " + model_.graph.name,
                 fmt::format("{} outputs", model_.graph.outputs.size()), "one output", ""});
  }
  const std::string& output = model_.graph.outputs[0].name;
  const auto found = values_.find(output);
  if (found == values_.end() || found->second.node == "input") {
    throw Error({ErrorCode::unsupported, fmt::format("output \"{}\"", output),
                 found == values_.end() ? "no activation" : "the input itself",
                 "the value of a layer", ""});
  }
  remove_unused(found->second.node);
  graph_.outputs = {found->second.node};
  return std::move(graph_);
}

}  // namespace facsim::backends::onnx
