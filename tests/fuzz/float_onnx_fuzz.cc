// SPDX-License-Identifier: Apache-2.0
// A float network in ONNX: read, turned into layers, written and read again. Random changes to a
// file rarely leave a model that parses, so the same bytes are also taken as changes to a parsed
// one.
#include <string_view>

#include "backends/onnx/float_network.h"
#include "backends/onnx/float_onnx.h"
#include "sim/core/check.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

namespace {

using backends::FloatGraph;
using backends::FloatNode;
using backends::OnnxModel;

FloatNode layer(std::string op, std::string name, std::vector<std::string> inputs) {
  FloatNode node;
  node.op = std::move(op);
  node.name = std::move(name);
  node.inputs = std::move(inputs);
  return node;
}

FloatNode conv(std::string op, std::string name, std::string input) {
  FloatNode node = layer(std::move(op), std::move(name), {std::move(input)});
  node.in_channels = node.out_channels = 2;
  node.kernel_size = {3, 3};
  node.padding = {1, 1};
  return node;
}

OnnxModel network() {
  FloatGraph graph;
  graph.name = "seed";
  graph.input_shape = {2, 4, 4};
  graph.preprocessing = {{0.5f, 0.25f}, {1, 2}};
  FloatNode norm = layer("BatchNorm2d", "b", {"c"});
  norm.in_channels = norm.out_channels = 2;
  FloatNode pad = layer("ZeroPad2d", "p", {"r"});
  pad.pad = {1, 0, 0, 1};
  FloatNode up = layer("Upsample", "u", {"p"});
  up.scale_factor = {2, 2};
  FloatNode pool = layer("MaxPool2d", "m", {"u"});
  pool.kernel_size = pool.stride = {2, 2};
  FloatNode linear = layer("Linear", "l", {"f"});
  linear.in_channels = 4;
  linear.out_channels = 3;
  graph.nodes = {conv("Conv2d", "c", "input"),
                 norm,
                 layer("ReLU6", "r", {"b"}),
                 pad,
                 up,
                 pool,
                 conv("ConvTranspose2d", "t", "m"),
                 layer("Add", "s", {"t", "m"}),
                 layer("Concat", "cat", {"s", "m"}),
                 layer("AdaptiveAvgPool2d", "g", {"cat"}),
                 layer("Flatten", "f", {"g"}),
                 linear};
  graph.outputs = {"l"};
  const auto ones = [](const Shape& shape) {
    Tensor t(DType::float32, shape);
    for (float& v : t.values<float>()) v = 1;
    return t;
  };
  for (const char* name : {"c", "t"}) {
    graph.parameters[name] = {ones({2, 3, 3, 2}), ones({2}), {}, {}};
  }
  graph.parameters["b"] = {ones({2}), ones({2}), ones({2}), ones({2})};
  graph.parameters["l"] = {ones({3, 4}), ones({3}), {}, {}};
  OnnxModel model = backends::float_onnx(graph);
  model.graph.initializers.push_back(
      {"numbers", backends::OnnxType::int64, Tensor(DType::int64, {4})});
  return model;
}

/// Values that readers must check.
int64_t extreme(uint8_t byte) {
  constexpr int64_t kValues[] = {
      0,         -1,       1, 2, 3, 65536, 65537, 1 << 24, int64_t{1} << 31, int64_t{1} << 40,
      INT64_MAX, INT64_MIN};
  return byte < 12 ? kValues[byte] : byte - 128;
}

/// Each four bytes change one thing: an attribute's number, an input, an op, a tensor's shape.
void change(OnnxModel& model, const uint8_t* data, size_t size) {
  auto& graph = model.graph;
  static constexpr const char* kOps[] = {
      "Reshape",    "Squeeze", "Pad",       "Concat",   "MatMul",         "Slice", "Unsqueeze",
      "Gather",     "Cast",    "Mul",       "Shape",    "Resize",         "Clip",  "Gemm",
      "ReduceMean", "Div",     "Transpose", "Identity", "ConstantOfShape"};
  for (size_t i = 0; i + 4 <= size && i < 64; i += 4) {
    auto& node = graph.nodes[data[i + 1] % graph.nodes.size()];
    auto& tensor = graph.initializers[data[i + 1] % graph.initializers.size()];
    const auto& other = graph.nodes[data[i + 3] % graph.nodes.size()];
    switch (data[i] % 7) {
      case 0:
        if (node.attributes.empty()) break;
        if (auto* list = std::get_if<std::vector<int64_t>>(
                &node.attributes[data[i + 2] % node.attributes.size()].value)) {
          if (!list->empty()) (*list)[data[i + 2] / 16 % list->size()] = extreme(data[i + 3]);
        } else {
          node.attributes[data[i + 2] % node.attributes.size()].value = extreme(data[i + 3]);
        }
        break;
      case 1:
        if (node.inputs.empty()) break;
        node.inputs[data[i + 2] % node.inputs.size()] = data[i + 3] % 2 == 0    ? tensor.name
                                                        : other.outputs.empty() ? std::string()
                                                                                : other.outputs[0];
        break;
      case 2:
        node.op_type = kOps[data[i + 2] % std::size(kOps)];
        break;
      case 3: {
        const Shape& s = tensor.values.shape();
        if (s.rank() < 1 || tensor.values.numel() == 0) break;
        tensor.values = tensor.values.reshaped(
            data[i + 2] % 2 == 0 ? Shape{tensor.values.numel()} : Shape{1, tensor.values.numel()});
        break;
      }
      case 4:
        if (tensor.values.dtype() == DType::int64 && tensor.values.numel() > 0) {
          tensor.values.set_int(data[i + 2] % tensor.values.numel(), extreme(data[i + 3]));
        } else if (tensor.values.dtype() == DType::float32 && tensor.values.numel() > 0) {
          tensor.values.data<float>()[data[i + 2] % tensor.values.numel()] =
              static_cast<float>(extreme(data[i + 3]));
        }
        break;
      case 5:
        node.inputs.push_back(tensor.name);
        break;
      default:
        graph.inputs[0].dims->at(data[i + 2] % 4) = extreme(data[i + 3]);
    }
  }
}

/// What was read can be written, and reads back with the same parameters.
void check_read(const OnnxModel& model) {
  FloatGraph graph;
  try {
    graph = backends::float_network(model);
  } catch (const Error&) {
    return;
  }
  const std::string again = backends::onnx_bytes(backends::float_onnx(graph));
  const FloatGraph read = backends::float_network(backends::parse_onnx_model(again, "again"));
  FACSIM_CHECK(backends::parameters_hash(read) == backends::parameters_hash(graph));
}

}  // namespace

void check_bytes(std::string_view bytes) {
  try {
    check_read(backends::parse_onnx_model(bytes, "input"));
  } catch (const Error&) {
  }
}

void check_changed(const uint8_t* data, size_t size) {
  OnnxModel model = network();
  change(model, data, size);
  check_read(model);
}

std::vector<std::string> seeds() {
  std::string changes;
  for (int i = 0; i < 64; ++i) changes += static_cast<char>(i * 37);
  return {backends::onnx_bytes(network()), changes};
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  facsim::fuzz::check_bytes({reinterpret_cast<const char*>(data), size});
  facsim::fuzz::check_changed(data, size);
  return 0;
}
