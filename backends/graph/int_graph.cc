// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/int_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "backends/graph/int_ops.h"
#include "backends/text/did_you_mean.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

constexpr std::array<std::pair<Activation, std::string_view>, 4> kActivations{{
    {Activation::none, "none"},
    {Activation::relu, "relu"},
    {Activation::relu6, "relu6"},
    {Activation::relu_n1_to_1, "relu_n1_to_1"},
}};

/// One pass over a graph; every function throws at the first finding.
class Checker {
 public:
  explicit Checker(const IntGraph& graph) : graph_(graph) {}

  void run() {
    check_preprocessing();
    check_tensors();
    produced_.assign(graph_.tensors.size(), false);
    for (size_t i = 0; i < graph_.tensors.size(); ++i) {
      produced_[i] = graph_.tensors[i].data.has_value();
    }
    if (graph_.inputs.empty()) fail("network", "no inputs", "at least one");
    if (graph_.outputs.empty()) fail("network", "no outputs", "at least one");
    for (const int input : graph_.inputs) {
      check_index(input, "network inputs");
      if (produced_[static_cast<size_t>(input)]) {
        fail("network inputs", "tensor \"" + tensor(input).name + "\" twice or a constant");
      }
      produced_[static_cast<size_t>(input)] = true;
    }
    std::set<std::string_view> names;
    for (const IntNode& node : graph_.nodes) {
      if (node.name.empty() || !names.insert(node.name).second) {
        fail(place(node), "name empty or used twice", "a name of its own");
      }
      check_node(node);
    }
    for (const int output : graph_.outputs) {
      check_index(output, "network outputs");
      if (!produced_[static_cast<size_t>(output)]) {
        fail("network outputs", "tensor \"" + tensor(output).name + "\" is made by no node");
      }
    }
  }

 private:
  [[noreturn]] static void fail(std::string where, std::string found, std::string expected = "",
                                ErrorCode code = ErrorCode::bad_value, std::string hint = "") {
    throw Error({code, std::move(where), std::move(found), std::move(expected), std::move(hint)});
  }
  static std::string place(const IntNode& node) { return "node \"" + node.name + "\""; }
  static std::string place(const IntTensor& tensor) { return "tensor \"" + tensor.name + "\""; }

  const IntTensor& tensor(int index) const { return graph_.tensors[static_cast<size_t>(index)]; }

  void check_index(int index, const std::string& where) const {
    if (index < 0 || static_cast<size_t>(index) >= graph_.tensors.size()) {
      fail(where, "tensor number " + std::to_string(index),
           fmt::format("0..{}", static_cast<int64_t>(graph_.tensors.size()) - 1));
    }
  }

  void check_preprocessing() const {
    if (!graph_.preprocessing) return;
    const auto& [mean, std] = *graph_.preprocessing;
    if (mean.empty() || mean.size() != std.size()) {
      fail("preprocessing", fmt::format("{} means and {} stds", mean.size(), std.size()),
           "one of each per channel");
    }
    for (size_t c = 0; c < mean.size(); ++c) {
      if (!std::isfinite(mean[c]) || !std::isfinite(std[c]) || std[c] <= 0) {
        fail("preprocessing", fmt::format("mean {} and std {} of channel {}", mean[c], std[c], c),
             "finite values, std > 0");
      }
    }
  }

  void check_tensors() const {
    std::set<std::string_view> names;
    for (const IntTensor& t : graph_.tensors) {
      if (t.name.empty() || !names.insert(t.name).second) {
        fail(place(t), "name empty or used twice", "a name of its own");
      }
      for (const int64_t extent : t.shape) {
        if (extent < 1) fail(place(t), "shape " + to_string(t.shape), "extents >= 1");
      }
      t.shape.numel();  // bounded, or Error
      if (t.data) {
        if (t.data->dtype() != t.dtype || t.data->shape() != t.shape) {
          fail(place(t),
               fmt::format("data {} {}", to_string(t.data->dtype()), to_string(t.data->shape())),
               fmt::format("{} {}", to_string(t.dtype), to_string(t.shape)),
               ErrorCode::shape_mismatch);
        }
      } else if (t.shape.rank() < 1 || t.shape[0] != 1) {
        fail(place(t), "activation of shape " + to_string(t.shape), "batch 1 on axis 0",
             ErrorCode::shape_mismatch);
      }
      if (t.qparams) check_qparams(t);
    }
  }

  void check_qparams(const IntTensor& t) const {
    quant::check(*t.qparams, place(t));
    if (t.qparams->type.storage() != t.dtype) {
      fail(place(t),
           fmt::format("{} bits {} in {}", t.qparams->type.bits,
                       t.qparams->type.is_signed ? "signed" : "unsigned", to_string(t.dtype)),
           std::string(to_string(t.qparams->type.storage())));
    }
    if (!t.qparams->per_channel()) return;
    const int axis = t.qparams->channel_axis;
    if (axis >= t.shape.rank() || t.shape[axis] != static_cast<int64_t>(t.qparams->scale.size())) {
      fail(place(t), fmt::format("{} scales on axis {}", t.qparams->scale.size(), axis),
           "one per index of that axis of " + to_string(t.shape), ErrorCode::shape_mismatch);
    }
  }

  void check_node(const IntNode& node) {
    const IntOp* op = find_int_op(node.op);
    if (op == nullptr) {
      std::vector<std::string> words;
      for (const IntOp& known : int_ops()) words.emplace_back(known.name);
      fail(place(node), "op \"" + node.op + "\" is not an op of a quantized network", "",
           ErrorCode::bad_value, did_you_mean_hint(node.op, words));
    }
    if (node.inputs.size() < op->min_inputs || node.inputs.size() > op->max_inputs) {
      fail(place(node), fmt::format("{} inputs of {}", node.inputs.size(), node.op),
           op->min_inputs == op->max_inputs
               ? std::to_string(op->min_inputs)
               : fmt::format("{} to {}", op->min_inputs, op->max_inputs));
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      check_index(node.inputs[i], place(node));
      const IntTensor& input = tensor(node.inputs[i]);
      if (!produced_[static_cast<size_t>(node.inputs[i])]) {
        fail(place(node), "input \"" + input.name + "\" is not made by an earlier node",
             "nodes in topological order");
      }
      if (i >= op->first_constant && !input.data) {
        fail(place(node), "input \"" + input.name + "\"", "a constant");
      }
    }
    check_index(node.output, place(node));
    if (produced_[static_cast<size_t>(node.output)]) {
      fail(place(node), "output \"" + tensor(node.output).name + "\" exists already");
    }
    check_types(node);
    check_window(node, *op);
    const Shape expected = output_shape(node);
    if (expected != tensor(node.output).shape) {
      fail(place(node),
           fmt::format("output \"{}\" of shape {}", tensor(node.output).name,
                       to_string(tensor(node.output).shape)),
           to_string(expected), ErrorCode::shape_mismatch);
    }
    produced_[static_cast<size_t>(node.output)] = true;
  }

  /// Codes need quantization parameters on both sides, except where only their order changes.
  void check_types(const IntNode& node) const {
    const bool real_input = node.op == "quantize";
    const bool real_output = node.op == "dequantize";
    const auto check_side = [&](const IntTensor& t, bool real) {
      if ((t.dtype == DType::float32) != real) {
        fail(place(node), fmt::format("tensor \"{}\" is {}", t.name, to_string(t.dtype)),
             real ? "float32" : "integers");
      }
      if (!real && !t.qparams) {
        fail(place(node), "tensor \"" + t.name + "\" has no quantization parameters");
      }
    };
    check_side(tensor(node.inputs[0]), real_input);
    check_side(tensor(node.output), real_output);
    if (node.op == "add") check_side(tensor(node.inputs[1]), false);
    if (node.op == "conv2d" || node.op == "linear") check_side(tensor(node.inputs[1]), false);
  }

  void check_window(const IntNode& node, const IntOp& op) const {
    if (!op.window) return;
    constexpr int64_t kMax = 65536;  // keeps every product below 2^40
    const sim::Window2d& w = node.attributes.window;
    for (size_t axis = 0; axis < 2; ++axis) {
      for (const int64_t value : {w.kernel[axis], w.stride[axis], w.dilation[axis]}) {
        if (value < 1 || value > kMax) {
          fail(place(node), fmt::format("kernel, stride or dilation {}", value), "1..65536");
        }
      }
    }
    for (const int64_t pad : {w.padding.top, w.padding.left, w.padding.bottom, w.padding.right}) {
      if (pad < 0 || pad > kMax) {
        fail(place(node), fmt::format("padding {}", pad), "0..65536");
      }
    }
  }

  void need_rank(const IntNode& node, const Shape& shape, int rank) const {
    if (shape.rank() != rank) {
      fail(place(node), "tensor of shape " + to_string(shape), fmt::format("rank {}", rank),
           ErrorCode::shape_mismatch);
    }
  }

  void check_bias(const IntNode& node, int64_t channels) const {
    if (node.inputs.size() < 3) return;
    const Shape& bias = tensor(node.inputs[2]).shape;
    if (bias != Shape{channels}) {
      fail(place(node), "bias of shape " + to_string(bias), to_string(Shape{channels}),
           ErrorCode::shape_mismatch);
    }
  }

  Shape output_shape(const IntNode& node) const {
    const Shape& x = tensor(node.inputs[0]).shape;
    if (node.op == "conv2d") return conv2d_shape(node, x);
    if (node.op == "linear") return linear_shape(node, x);
    if (node.op == "add") return add_shape(node, x);
    if (node.op == "max_pool2d" || node.op == "avg_pool2d") {
      need_rank(node, x, 4);
      const auto [oh, ow] = extent_after(node, x);
      return {1, oh, ow, x[3]};
    }
    if (node.op == "global_avg_pool") {
      need_rank(node, x, 4);
      return {1, 1, 1, x[3]};
    }
    if (node.op == "flatten") return {1, x.numel()};
    if (node.op == "reshape") return reshaped(node, x);
    return x;
  }

  std::array<int64_t, 2> extent_after(const IntNode& node, const Shape& x) const {
    try {
      return node.attributes.window.output_extent(x[1], x[2]);
    } catch (const Error& error) {
      fail(place(node), error.infos().front().found, error.infos().front().expected,
           ErrorCode::shape_mismatch);
    }
  }

  Shape conv2d_shape(const IntNode& node, const Shape& x) const {
    const Shape& w = tensor(node.inputs[1]).shape;
    need_rank(node, x, 4);
    need_rank(node, w, 4);
    const int64_t groups = node.attributes.groups;
    if (groups < 1 || groups > x[3] || w[3] * groups != x[3] || w[0] % groups != 0) {
      fail(place(node),
           fmt::format("weights {} with {} groups on {} channels", to_string(w), groups, x[3]),
           "(OC, KH, KW, channels / groups), OC a multiple of groups", ErrorCode::shape_mismatch);
    }
    if (node.attributes.window.kernel != std::array<int64_t, 2>{w[1], w[2]}) {
      fail(place(node), "kernel differs from the weights' shape " + to_string(w));
    }
    check_bias(node, w[0]);
    const auto [oh, ow] = extent_after(node, x);
    return {1, oh, ow, w[0]};
  }

  Shape linear_shape(const IntNode& node, const Shape& x) const {
    const Shape& w = tensor(node.inputs[1]).shape;
    need_rank(node, w, 2);
    if (x.rank() < 2 || x.numel() != w[1]) {
      fail(place(node), fmt::format("input {} for weights {}", to_string(x), to_string(w)),
           "trailing extents that multiply to the weights' second", ErrorCode::shape_mismatch);
    }
    check_bias(node, w[0]);
    return {1, w[0]};
  }

  Shape add_shape(const IntNode& node, const Shape& x) const {
    const Shape& y = tensor(node.inputs[1]).shape;
    if (x != y) {
      fail(place(node), fmt::format("inputs {} and {}", to_string(x), to_string(y)), "equal shapes",
           ErrorCode::shape_mismatch);
    }
    return x;
  }

  Shape reshaped(const IntNode& node, const Shape& x) const {
    std::vector<int64_t> extents{1};
    int64_t known = 1;
    size_t open = 0;
    for (const int64_t extent : node.attributes.extents) {
      if (extent == -1 && open == 0) {
        open = extents.size();
      } else if (extent < 1 || extent > x.numel()) {
        fail(place(node), fmt::format("extent {}", extent), "positive, or one -1",
             ErrorCode::shape_mismatch);
      } else {
        known = extent > x.numel() / known ? x.numel() + 1 : known * extent;
      }
      extents.push_back(extent);
    }
    if (open != 0) {
      extents[open] = x.numel() / known;
      known *= extents[open];
    }
    if (known != x.numel()) {
      fail(place(node), "reshape of " + to_string(x), "extents with the same number of elements",
           ErrorCode::shape_mismatch);
    }
    return Shape(std::move(extents));
  }

  const IntGraph& graph_;
  std::vector<bool> produced_;
};

}  // namespace

std::string_view to_string(Activation activation) {
  for (const auto& [value, word] : kActivations) {
    if (value == activation) return word;
  }
  return "?";
}

std::optional<Activation> activation_from_string(std::string_view word) {
  for (const auto& [value, name] : kActivations) {
    if (name == word) return value;
  }
  return {};
}

void check(const IntGraph& graph) { Checker(graph).run(); }

}  // namespace facsim::backends
