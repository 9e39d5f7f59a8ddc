// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "backends/onnx/quantized_network.h"

namespace facsim::backends::detail {

// What the name of an ONNX value stands for while a network is read.

/// Integer codes in tensor number `tensor` of the IntGraph.
struct Codes {
  int tensor = -1;
};
/// A constant of the file, or folded from constants.
struct Constant {
  const OnnxTensor* tensor = nullptr;
};
/// Reals that DequantizeLinear makes of codes or of a constant.
struct Dequantized {
  std::variant<Codes, Constant> codes;
  quant::QParams qparams;  ///< channel_axis in ONNX's layout
  std::string behind;      ///< an op between over which ONNX Runtime does not move DequantizeLinear
};
/// A float input of the network.
struct FloatInput {
  int tensor = -1;
};
/// A float result that is computed on codes if QuantizeLinear reads it.
struct Pending {
  const OnnxNode* node = nullptr;
};
/// The result of a node that was refused.
struct Refused {};

using OnnxValue = std::variant<Refused, Codes, Constant, Dequantized, FloatInput, Pending>;

/// An operand of a quantized op: codes and how to read them.
struct QuantizedOperand {
  std::variant<Codes, Constant> codes;
  quant::QParams qparams;  ///< channel_axis in ONNX's layout
};

/// Where a quantized op's result goes.
struct QuantizedResult {
  std::string name;
  quant::QParams qparams;
  Activation activation = Activation::none;
};

/// Builds the IntGraph. The handlers of single ops are free functions over it
/// (quantized_layers.cc, quantized_elementwise.cc, quantized_moves.cc); QuantizeLinear and the
/// groups it closes are in quantized_groups.cc.
class QuantizedBuilder {
 public:
  QuantizedBuilder(const OnnxModel& model, const QuantizedNetworkOptions& options)
      : model_(model), options_(options) {}

  const OnnxModel& model() const { return model_; }
  const QuantizedNetworkOptions& options() const { return options_; }
  /// Of ONNX's own domain.
  int64_t opset() const { return opset_version(model_, ""); }
  /// Batch that the file fixes for its inputs; 0 if none.
  int64_t file_batch() const { return file_batch_; }

  [[noreturn]] static void fail(const OnnxNode& node, std::string found, std::string expected = "",
                                ErrorCode code = ErrorCode::bad_value);
  [[noreturn]] static void refuse(const OnnxNode& node, std::string found,
                                  std::string expected = "") {
    fail(node, std::move(found), std::move(expected), ErrorCode::unsupported);
  }

  // Values.
  void set(const std::string& name, OnnxValue value);
  const OnnxValue& value(const OnnxNode& node, size_t input) const;
  static bool has_input(const OnnxNode& node, size_t input) {
    return input < node.inputs.size() && !node.inputs[input].empty();
  }
  /// Whether `code` is the zero point of a tensor's codes. True for a tensor without a scale yet:
  /// build() looks again when all are known, and refuses the padding of `pad` if it is not.
  bool expect_zero_point(const OnnxNode& pad, int tensor, int64_t code);
  [[noreturn]] static void refuse_padding(const OnnxNode& pad) {
    refuse(pad, "padding with another value", "real 0");
  }
  /// How many nodes and graph outputs read a value.
  int readers(const std::string& name) const;
  /// The Pad that makes a value; null for another maker.
  const OnnxNode* pad_before(const OnnxNode& node) const;
  /// Constant of an input, of a type facsim holds. Error unsupported if it is computed.
  const OnnxTensor& constant(const OnnxNode& node, size_t input) const;
  /// Integers of a constant input, at most 1024; nothing if the node leaves it out.
  std::optional<std::vector<int64_t>> integers(const OnnxNode& node, size_t input) const;
  /// A constant made here.
  const OnnxTensor& keep(OnnxTensor tensor);
  /// Counts memory and work that a node causes beyond its own size. Error unsupported above 4 GiB:
  /// a small file of many nodes must not cost more than a large one may.
  void spend(const OnnxNode& node, uint64_t bytes);

  /// Scale and zero point of inputs `scale` and `scale + 1` of a node for codes of `type` whose
  /// axis `axis` has `extent` entries (axis < 0: one scale only).
  quant::QParams qparams(const OnnxNode& node, size_t scale, size_t zero_point, sim::IntType type,
                         int axis, int64_t extent) const;
  /// The element type of codes. Error unsupported for other types.
  sim::IntType codes_type(const OnnxNode& node, const std::variant<Codes, Constant>& codes) const;
  /// Shape in ONNX's layout, batch 1.
  Shape shape_of(const std::variant<Codes, Constant>& codes) const;
  Shape onnx_shape(int tensor) const;
  /// An input that holds codes: a tensor or a constant.
  std::variant<Codes, Constant> codes(const OnnxNode& node, size_t input) const;
  /// Operand from the inputs `x`, `x + 1` (scale), `x + 2` (zero point) of a QLinear node.
  QuantizedOperand operand(const OnnxNode& node, size_t x, int axis = -1) const;

  // The graph.
  /// The operand as a tensor of the graph that has its quantization parameters.
  int tensor_of(const OnnxNode& node, const QuantizedOperand& operand);
  /// An activation's tensor with these parameters, which it gets if it has none yet.
  int bound(const OnnxNode& node, int tensor, const quant::QParams& qparams);
  /// The constant that `make` makes of a tensor of the file, with internal layout (`form` names
  /// it); the same one for the same form and parameters.
  enum class Form { activation, ohwi, matrix, bias };
  template <class Make>
  int add_constant(const OnnxNode& node, const OnnxTensor& tensor, Form form,
                   const quant::QParams& qparams, const Make& make) {
    for (const KnownConstant& known : constants_[&tensor]) {
      if (known.form == form && known.qparams == qparams) return known.number;
    }
    return keep_constant(node, tensor, form, qparams, make());
  }
  /// A node and its output of `qparams` (none: those of its input); gives the output's number.
  int add(const OnnxNode& source, std::string op, std::vector<int> inputs,
          NodeAttributes attributes, const std::string& output,
          const std::optional<quant::QParams>& qparams);
  /// A node that only moves codes; both tensors have the same parameters, now or later.
  int add_move(const OnnxNode& source, std::string op, int input, NodeAttributes attributes,
               const std::string& output);
  IntGraph& graph() { return graph_; }
  const IntTensor& tensor(int number) const { return graph_.tensors[static_cast<size_t>(number)]; }

  /// ONNX axis -> axis inside.
  static int inner_axis(int onnx_axis, int rank);
  static Shape inner_shape(const Shape& onnx);
  static Tensor inner_data(const Tensor& onnx);

  IntGraph build();

 private:
  void read_inputs();
  void read_input(const OnnxValueInfo& info);
  void read_node(const OnnxNode& node);
  void dispatch(const OnnxNode& node);
  void read_outputs();
  void read_output(const std::string& name);
  void name_output(int tensor, const std::string& name);

  /// The reals that a move makes of reals: `emit` moves their codes.
  template <class Emit>
  Dequantized moved(const OnnxNode& node, const Dequantized& reals, const Emit& emit);
  void split(const OnnxNode& node);
  void dequantize(const OnnxNode& node);
  void quantize(const OnnxNode& node);
  /// Codes of the float value `name` under `result`, as QuantizeLinear gives them.
  OnnxValue quantized(const OnnxNode& reader, const std::string& name,
                      const QuantizedResult& result);
  OnnxValue quantized_node(const OnnxNode& node, QuantizedResult result);
  OnnxValue quantized_group(const OnnxNode& node, const QuantizedResult& result);
  /// Whether ONNX Runtime makes the Pad in front of a Conv a part of it.
  bool pads_within(const OnnxNode& conv, const Dequantized& input) const;
  OnnxValue quantized_activation(const OnnxNode& node, QuantizedResult result);
  /// Values of a constant or of codes that QuantizeLinear makes of DequantizeLinear's reals.
  OnnxValue requantized(const OnnxNode& reader, const Dequantized& reals,
                        const QuantizedResult& result);
  /// Adds a finding for a node that stays in float, and for those before it that do.
  void refuse_float(const std::string& name, const std::string& reason);
  void add_findings(const Error& error);
  void check_expected_zero_points();

  struct KnownConstant {
    Form form;
    quant::QParams qparams;
    int number;
  };
  int keep_constant(const OnnxNode& node, const OnnxTensor& tensor, Form form,
                    const quant::QParams& qparams, Tensor data);
  std::string unique_tensor_name(const std::string& wanted);
  std::string unique_node_name(const std::string& wanted);
  int add_tensor(IntTensor tensor);
  void set_qparams(int tensor, const quant::QParams& qparams);

  const OnnxModel& model_;
  const QuantizedNetworkOptions& options_;
  IntGraph graph_;
  int64_t file_batch_ = 0;
  std::unordered_map<std::string, OnnxValue> values_;
  std::unordered_map<std::string, int> readers_;
  std::unordered_map<std::string, const OnnxNode*> pads_;  ///< by output
  std::deque<OnnxTensor> kept_;
  /// Names taken, with the number that the next of the same name gets behind it.
  std::unordered_map<std::string, int> tensor_names_, node_names_;
  std::map<const OnnxTensor*, std::vector<KnownConstant>> constants_;
  struct ExpectedZeroPoint {
    const OnnxNode* pad;
    int tensor;
    int64_t code;
  };
  std::vector<ExpectedZeroPoint> expected_zero_points_;
  uint64_t spent_ = 0;
  int depth_ = 0;                        ///< of ops between a float value and its QuantizeLinear
  std::vector<std::vector<int>> moved_;  ///< per tensor: those with the same codes, moved
  std::set<int> provisional_;            ///< tensors with the name of a float value
  std::set<std::string> refused_;
  std::vector<ErrorInfo> findings_;
};

// Layers. `result` names the output and its parameters.
int emit_conv(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& x,
              const QuantizedOperand& w, const OnnxTensor* bias, const QuantizedResult& result);
int emit_gemm(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& a,
              const QuantizedOperand& b, const OnnxTensor* bias, const QuantizedResult& result);
int emit_matmul(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& a,
                const QuantizedOperand& b, const QuantizedResult& result);
/// Axis of the output channels of Gemm's second operand.
int gemm_channel_axis(const OnnxNode& node);

// Elementwise ops and pools.
int emit_binary(QuantizedBuilder& builder, const OnnxNode& node, const char* op,
                const QuantizedOperand& a, const QuantizedOperand& b,
                const QuantizedResult& result);
int emit_unary(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& x,
               const QuantizedResult& result);
int emit_concat(QuantizedBuilder& builder, const OnnxNode& node,
                const std::vector<QuantizedOperand>& inputs, const QuantizedResult& result);
/// Bounds of Relu and Clip.
struct ClipBounds {
  float min, max;
};
ClipBounds clip_bounds(const QuantizedBuilder& builder, const OnnxNode& node);
/// Codes of Relu or Clip of dequantized codes, by a table computed in float32.
int emit_clip_table(QuantizedBuilder& builder, const OnnxNode& node, const QuantizedOperand& x,
                    const QuantizedResult& result);
/// Relu or Clip of codes themselves.
int emit_code_clip(QuantizedBuilder& builder, const OnnxNode& node, int x,
                   const std::string& output);

// Groups.
/// Relu or Clip.
bool is_clip(const OnnxNode& node);
/// Float ops of which ONNX Runtime fuses DequantizeLinear-op-QuantizeLinear into one op on codes.
bool is_group_op(const OnnxNode& node);

// Moves: the same codes in another order or shape.
bool is_move(const OnnxNode& node);
/// Whether ONNX Runtime moves QuantizeLinear and DequantizeLinear over the op (qdq_propagation.cc).
bool is_transparent(const OnnxNode& node, int64_t opset);
int emit_move(QuantizedBuilder& builder, const OnnxNode& node, int x, const std::string& output);
/// Part `part` of a Split.
int emit_split(QuantizedBuilder& builder, const OnnxNode& node, int x, size_t part,
               const std::string& output);
/// A move of a constant; nothing for ops that are not folded here.
std::optional<OnnxTensor> moved_constant(QuantizedBuilder& builder, const OnnxNode& node,
                                         const OnnxTensor& tensor);
int emit_reshape(QuantizedBuilder& builder, const OnnxNode& node, int x, const Shape& shape,
                 const std::string& output);
/// Pads of a Pad: those before each axis, then those behind. Error if they do not fit `rank`.
std::vector<int64_t> pads_of(const QuantizedBuilder& builder, const OnnxNode& node, int rank);
/// Window of Conv and of pools over an input of shape (1, C, H, W); `width`: the node has one axis,
/// H is 1.
enum class WindowAxes { both, width };
sim::Window2d window_of(const OnnxNode& node, const Shape& x, std::array<int64_t, 2> kernel,
                        WindowAxes axes);
std::array<int64_t, 2> kernel_of(const OnnxNode& node);

}  // namespace facsim::backends::detail
