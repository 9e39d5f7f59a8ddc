// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/float_onnx.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include "backends/graph/float_shape.h"
#include "backends/graph/permute.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

constexpr int64_t kFloatOpset = 14;

using Integers = std::vector<int64_t>;

Integers pair(const std::array<int64_t, 2>& both) { return {both[0], both[1]}; }
Integers twice(const std::array<int64_t, 2>& both) { return {both[0], both[1], both[0], both[1]}; }

/// [M, KH, KW, C / group] to ONNX's [C, M / group, KH, KW].
Tensor input_first(const Tensor& w, int64_t groups) {
  const Shape& s = w.shape();
  const int64_t out = s[0] / groups, taps = s[1] * s[2], in = s[3];
  Tensor result = Tensor::uninitialized(DType::float32, {in * groups, out, s[1], s[2]});
  const float* from = w.data<float>();
  float* to = result.data<float>();
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t t = 0; t < taps; ++t) {
        for (int64_t i = 0; i < in; ++i) to[((g * in + i) * out + o) * taps + t] = *from++;
      }
    }
  }
  return result;
}

class FloatOnnxWriter {
 public:
  explicit FloatOnnxWriter(const FloatGraph& graph) : graph_(graph) {}

  OnnxModel write() {
    model_.producer_name = "facsim";
    model_.opsets = {{"", kFloatOpset}};
    model_.graph.name = graph_.name;
    const auto& [c, h, w] = graph_.input_shape;
    shapes_["input"] = {c, h, w, true};
    model_.graph.inputs = {
        {"input", OnnxType::float32,
         std::vector<OnnxDim>{OnnxDim("batch"), OnnxDim(c), OnnxDim(h), OnnxDim(w)}}};
    for (const FloatNode& node : graph_.nodes) {
      add(node);
      std::vector<FloatShape> inputs;
      for (const std::string& input : node.inputs) inputs.push_back(shapes_.at(input));
      shapes_[node.name] = shape_after(node, inputs);
    }
    for (const std::string& output : graph_.outputs) {
      const FloatShape& shape = shapes_.at(output);
      std::vector<OnnxDim> dims{OnnxDim("batch"), OnnxDim(shape.channels)};
      if (shape.is_image) dims.insert(dims.end(), {OnnxDim(shape.height), OnnxDim(shape.width)});
      model_.graph.outputs.push_back({output, OnnxType::float32, std::move(dims)});
    }
    const Preprocessing& p = graph_.preprocessing;
    if (!p.mean.empty()) {
      model_.metadata.emplace_back("facsim.mean", fmt::format("{}", fmt::join(p.mean, ", ")));
    }
    if (!p.std.empty()) {
      model_.metadata.emplace_back("facsim.std", fmt::format("{}", fmt::join(p.std, ", ")));
    }
    return std::move(model_);
  }

 private:
  const Tensor& parameter(const FloatNode& node,
                          const std::optional<Tensor> FloatParameters::*which,
                          std::string_view name) const {
    const auto found = graph_.parameters.find(node.name);
    if (found == graph_.parameters.end() || !(found->second.*which)) {
      throw Error({ErrorCode::missing_key, "node " + node.name, "no " + std::string(name),
                   "its values", "train the network first"});
    }
    return *(found->second.*which);
  }

  std::string constant(const FloatNode& node, std::string_view name, Tensor values) {
    const std::string full = fmt::format("{}.{}", node.name, name);
    const OnnxType type = values.dtype() == DType::int64 ? OnnxType::int64 : OnnxType::float32;
    model_.graph.initializers.push_back({full, type, std::move(values)});
    return full;
  }
  std::string constant(const FloatNode& node, std::string_view name, const Integers& values) {
    return constant(node, name,
                    Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values));
  }
  std::string constant(const FloatNode& node, std::string_view name,
                       const std::vector<float>& values) {
    return constant(node, name, Tensor::from<float>({static_cast<int64_t>(values.size())}, values));
  }

  void emit(const FloatNode& node, std::string op, std::vector<std::string> more = {},
            std::vector<OnnxAttribute> attributes = {}) {
    std::vector<std::string> inputs = node.inputs;
    inputs.insert(inputs.end(), more.begin(), more.end());
    model_.graph.nodes.push_back(
        {std::move(op), "", node.name, std::move(inputs), {node.name}, std::move(attributes)});
  }

  static std::vector<OnnxAttribute> window(const FloatNode& node) {
    return {{"kernel_shape", pair(node.kernel_size)},
            {"strides", pair(node.stride)},
            {"pads", twice(node.padding)}};
  }

  void add_convolution(const FloatNode& node, bool transposed) {
    const Tensor& w = parameter(node, &FloatParameters::weight, "weight");
    std::vector<std::string> more{constant(
        node, "weight",
        transposed ? input_first(w, node.groups) : permuted(w, std::array<int, 4>{0, 3, 1, 2}))};
    if (node.bias) {
      more.push_back(constant(node, "bias", parameter(node, &FloatParameters::bias, "bias")));
    }
    std::vector<OnnxAttribute> attributes = window(node);
    attributes.push_back({"dilations", pair(node.dilation)});
    attributes.push_back({"group", node.groups});
    if (transposed) attributes.push_back({"output_padding", pair(node.output_padding)});
    emit(node, transposed ? "ConvTranspose" : "Conv", std::move(more), std::move(attributes));
  }

  void add_linear(const FloatNode& node) {
    std::vector<std::string> more{
        constant(node, "weight", parameter(node, &FloatParameters::weight, "weight"))};
    if (node.bias) {
      more.push_back(constant(node, "bias", parameter(node, &FloatParameters::bias, "bias")));
    }
    emit(node, "Gemm", std::move(more), {{"transB", int64_t{1}}});
  }

  void add_batch_norm(const FloatNode& node) {
    emit(node, "BatchNormalization",
         {constant(node, "weight", parameter(node, &FloatParameters::weight, "weight")),
          constant(node, "bias", parameter(node, &FloatParameters::bias, "bias")),
          constant(node, "running_mean",
                   parameter(node, &FloatParameters::running_mean, "running_mean")),
          constant(node, "running_var",
                   parameter(node, &FloatParameters::running_var, "running_var"))},
         {{"epsilon", node.eps}, {"momentum", 1 - node.momentum.value_or(0.1f)}});
  }

  void add_upsample(const FloatNode& node) {
    const std::vector<float> scales{1, 1, static_cast<float>(node.scale_factor[0]),
                                    static_cast<float>(node.scale_factor[1])};
    const bool nearest = node.mode == ResizeAttributes::Mode::nearest;
    const std::string coordinates = nearest              ? "asymmetric"
                                    : node.align_corners ? "align_corners"
                                                         : "half_pixel";
    std::vector<OnnxAttribute> attributes{{"mode", std::string(nearest ? "nearest" : "linear")},
                                          {"coordinate_transformation_mode", coordinates}};
    if (nearest) attributes.push_back({"nearest_mode", std::string("floor")});
    emit(node, "Resize", {"", constant(node, "scales", scales)}, std::move(attributes));
  }

  void add(const FloatNode& node) {
    const std::string& op = node.op;
    if (op == "Conv2d") return add_convolution(node, false);
    if (op == "ConvTranspose2d") return add_convolution(node, true);
    if (op == "Linear") return add_linear(node);
    if (op.ends_with("BatchNorm2d") || op == "BatchNorm1d") return add_batch_norm(node);
    if (op == "Upsample") return add_upsample(node);
    if (op == "ReLU") return emit(node, "Relu");
    if (op == "ReLU6") {
      return emit(node, "Clip",
                  {constant(node, "min", Tensor::from<float>(Shape{}, std::array{0.0f})),
                   constant(node, "max", Tensor::from<float>(Shape{}, std::array{6.0f}))});
    }
    if (op == "LeakyReLU") return emit(node, "LeakyRelu", {}, {{"alpha", node.negative_slope}});
    if (op == "Hardswish") return emit(node, "HardSwish");
    if (op == "Sigmoid") return emit(node, "Sigmoid");
    if (op == "Add") return emit(node, "Add");
    if (op == "Concat") return emit(node, "Concat", {}, {{"axis", int64_t{1}}});
    if (op == "Flatten") return emit(node, "Flatten", {}, {{"axis", int64_t{1}}});
    if (op == "AdaptiveAvgPool2d") return emit(node, "GlobalAveragePool");
    if (op == "MaxPool2d" || op == "AvgPool2d") {
      std::vector<OnnxAttribute> attributes = window(node);
      if (op == "AvgPool2d") {
        attributes.push_back({"count_include_pad", int64_t{1}});
      } else {
        attributes.push_back({"dilations", pair(node.dilation)});
      }
      return emit(node, op == "MaxPool2d" ? "MaxPool" : "AveragePool", {}, std::move(attributes));
    }
    if (op == "ZeroPad2d") {
      const auto& [left, right, top, bottom] = node.pad;
      return emit(node, "Pad",
                  {constant(node, "pads", Integers{0, 0, top, left, 0, 0, bottom, right})});
    }
    throw Error(
        {ErrorCode::unsupported, "node " + node.name, "op " + op, "a layer that ONNX has", ""});
  }

  const FloatGraph& graph_;
  OnnxModel model_;
  std::map<std::string, FloatShape, std::less<>> shapes_;
};

}  // namespace

OnnxModel float_onnx(const FloatGraph& graph) { return FloatOnnxWriter(graph).write(); }

}  // namespace facsim::backends
