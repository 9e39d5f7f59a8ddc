// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/graph/float_graph.h"
#include "backends/graph/float_shape.h"
#include "backends/onnx/float_network.h"
#include "backends/onnx/onnx_constants-internal.h"
#include "backends/onnx/onnx_model.h"

namespace facsim::backends::onnx {

/// What an ONNX value is in the float network: a node's output (or "input").
struct FloatValue {
  std::string node;
  FloatShape shape;
};

class FloatNetworkBuilder;
/// Adds the layers of one ONNX node.
using FloatReader = void (*)(FloatNetworkBuilder&, const OnnxNode&);

/// The float network under construction; each layer's reader adds to it.
class FloatNetworkBuilder {
 public:
  FloatNetworkBuilder(const OnnxModel& model, const FloatNetworkOptions& options);
  FloatGraph build();

  // For the readers of single nodes (float_layers_*.cc).

  const OnnxConstants& constants() const { return constants_; }
  int64_t opset() const { return opset_; }
  int64_t batch() const { return batch_; }

  /// Input i as an activation. Error unsupported for a constant, with the node's name.
  const FloatValue& activation(const OnnxNode& node, size_t i) const;
  const FloatValue& image(const OnnxNode& node, size_t i) const;
  /// Input i as a known tensor; null where it is left out. Error unsupported if it is computed.
  const Tensor* constant(const OnnxNode& node, size_t i) const;
  /// A float constant that must be there.
  const Tensor& weights(const OnnxNode& node, size_t i) const;
  /// The elements of a constant list, at most 1024: input i or the attribute `name` of older
  /// versions.
  std::optional<std::vector<int64_t>> integers(const OnnxNode& node, size_t i,
                                               std::string_view name) const;
  /// Counts memory or work that a node causes beyond its own size; OnnxConstants::spend().
  void spend(const OnnxNode& node, uint64_t bytes) { constants_.spend(node, bytes); }
  /// Nodes that read a value; the graph's output counts as one.
  int uses(const std::string& value) const;

  /// A layer `op` fed by `inputs`, named after the ONNX node; fill in its fields, then `add` it.
  FloatNode layer(const OnnxNode& node, std::string op, std::vector<std::string> inputs);
  /// Appends a layer: its shape is worked out from its inputs', its parameters are checked.
  /// Returns the value; `define` makes it the ONNX node's output.
  FloatValue add(const OnnxNode& node, FloatNode layer, FloatParameters parameters = {});
  /// The node's first output is this value.
  void define(const OnnxNode& node, const FloatValue& value);
  /// A layer before a node, for what ONNX has in one op and PyTorch in two.
  FloatValue add_before(const OnnxNode& node, FloatNode layer, std::string_view suffix);
  /// Gives the layer that made `value` a bias, if it is a linear op without one that nobody else
  /// reads. False otherwise.
  bool give_bias(const std::string& onnx_value, const FloatValue& value, const Tensor& bias);

  /// x of outputs of HardSigmoid(alpha 1/6, beta 1/2), which wait for their product with x.
  std::map<std::string, std::string> hard_sigmoids;

  [[noreturn]] static void unsupported(const OnnxNode& node, std::string found,
                                       std::string expected = "", std::string hint = "");
  [[noreturn]] static void bad(const OnnxNode& node, std::string found, std::string expected);

 private:
  void read_input();
  /// Error unsupported for an op that is no layer.
  static FloatReader reader_of(const OnnxNode& node);
  void read_node(const OnnxNode& node);
  void read_preprocessing();
  std::string unique_name(std::string name);
  void remove_unused(const std::string& output);

  const OnnxModel& model_;
  const FloatNetworkOptions& options_;
  OnnxConstants constants_;
  int64_t opset_ = 0;
  int64_t batch_ = 1;
  FloatGraph graph_;
  std::map<std::string, FloatValue, std::less<>> values_;  ///< by ONNX name
  std::map<std::string, FloatShape, std::less<>> shapes_;  ///< by node name
  std::map<std::string, size_t, std::less<>> numbers_;     ///< places in graph_.nodes, by name
  std::map<std::string, int, std::less<>> suffixes_;       ///< last one given, by name
  std::map<std::string, int, std::less<>> uses_;
  std::set<std::string, std::less<>> refused_;  ///< values of nodes with findings
  std::vector<ErrorInfo> findings_;
};

/// The reader of an op; null: none in this file.
FloatReader find_weighted_reader(std::string_view op);     // float_layers_weighted.cc
FloatReader find_window_reader(std::string_view op);       // float_layers_window.cc
FloatReader find_reshaping_reader(std::string_view op);    // float_layers_reshaping.cc
FloatReader find_elementwise_reader(std::string_view op);  // float_layers_elementwise.cc

/// Geometry attributes that convolutions and pools share, checked: strides and dilations 1..2^16,
/// pads 0..2^16, auto_pad resolved for an image of this size.
struct Window {
  std::array<int64_t, 2> kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  std::array<int64_t, 4> pads{0, 0, 0, 0};  ///< top, left, bottom, right
  bool symmetric() const { return pads[0] == pads[2] && pads[1] == pads[3]; }
  bool padded() const { return pads != std::array<int64_t, 4>{0, 0, 0, 0}; }
  void set(FloatNode& layer) const;
};
/// `kernel`: of the weights; without it kernel_shape must be there.
Window read_window(const OnnxNode& node, std::optional<std::array<int64_t, 2>> kernel,
                   const FloatShape& input);
/// Input image of a window op, behind a ZeroPad2d where the padding's sides differ, whose pads are
/// then 0.
FloatValue padded_input(FloatNetworkBuilder& builder, const OnnxNode& node, const FloatValue& x,
                        Window& window);

}  // namespace facsim::backends::onnx
