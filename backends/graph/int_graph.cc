// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/int_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "backends/graph/int_ops.h"
#include "backends/graph/int_shape.h"
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
    if (op->has(Attribute::state)) {
      if (!node.attributes.state) fail(place(node), "a state without scale", "its quantization");
      quant::check(*node.attributes.state, place(node) + " state");
    }
    const Shape expected = int_output_shape(graph_, node);
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
    // Every further operand holds codes; a bias (input 2 of a layer) may be real.
    const bool has_more = node.op == "concat" || node.op == "svdf" || node.op == "lstm";
    const size_t bias = has_more ? node.inputs.size() : 2;
    for (size_t i = 1; i < node.inputs.size() && i < bias; ++i) {
      check_side(tensor(node.inputs[i]), false);
    }
  }

  void check_window(const IntNode& node, const IntOp& op) const {
    if (!op.has(Attribute::window)) return;
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
