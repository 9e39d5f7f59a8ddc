// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/tflite/tflite_file-internal.h"

namespace facsim::backends::detail {

/// The IntGraph that a file becomes: its tensors by their number in the file.
class TfliteGraph {
 public:
  explicit TfliteGraph(const TfliteFile& file);

  const TfliteFile& file() const { return file_; }
  int64_t batch() const { return batch_; }  ///< of the file: axis 0 of its first input
  const TfliteTensor& tensor(int number) const {
    return file_.tensors()[static_cast<size_t>(number)];
  }

  /// Where the axes of an activation are: its shape with batch 1 in front, and how many axes
  /// further back than in the file they are (0 or 1).
  struct Batched {
    Shape shape;
    int shift = 0;
  };
  /// Error unsupported if axis 0 is no multiple of the batch.
  Batched batched(const TfliteTensor& tensor) const;

  /// Scales and zero points of a tensor; nothing for one without. A tensor with a scale per channel
  /// has them on `axis` (-1: where the file says). Error bad_value, unsupported.
  std::optional<quant::QParams> qparams(const TfliteTensor& tensor, int axis = -1);

  /// The elements of a constant in the file's own shape (rank 0 as (1)), int4 unpacked; elements of
  /// tensors that share a buffer are shared. Error unsupported for other types.
  Tensor constant(const TfliteTensor& tensor);
  /// Counts bytes that are copied out of the file, or made from what is in it. Error unsupported
  /// beyond what a file of this size has: what many tensors share must not fill the memory.
  void spend(std::string_view tensor_name, int64_t bytes);
  /// The file's name of a tensor, or "tensor_<number>".
  static std::string name_of(const TfliteTensor& tensor);
  /// Known integers: a constant, or what was evaluated.
  std::optional<Tensor> known(int number);
  void set_known(int number, Tensor value);

  /// Number in the IntGraph of a computed or constant activation. Error if it is not computed yet.
  int operand(int number);
  /// Declares the computed tensor `number`. Error if it exists.
  int result(int number);
  /// A tensor of `like`'s type and scale, named after it, under another shape.
  int temporary(const IntTensor& like, Shape shape, std::string_view suffix);
  int add(IntTensor tensor);
  /// A constant once for every tensor of the file and way to read it, made by `make` at its first
  /// use.
  template <class Make>
  int once(int number, int layout, Make make) {
    const std::pair key{number, layout};
    const auto found = layer_constants_.find(key);
    if (found != layer_constants_.end()) return found->second;
    return layer_constants_[key] = add(make());
  }

  IntGraph& graph() { return graph_; }
  IntTensor& int_tensor(int number) { return graph_.tensors[static_cast<size_t>(number)]; }

 private:
  IntTensor describe(const TfliteTensor& tensor);
  std::string unique(std::string name, int number);

  const TfliteFile& file_;
  IntGraph graph_;
  int64_t batch_ = 1;
  int64_t spent_ = 0;            ///< bytes of constants copied
  std::vector<int> activation_;  ///< number in graph_ of each tensor as an activation, or -1
  std::map<std::pair<int, int>, int> layer_constants_;
  std::map<int, Tensor> known_;
  std::map<std::pair<uint32_t, tflite::TensorType>, Tensor> buffers_;
  std::set<std::string, std::less<>> names_;
};

/// An operator of the file while it is read.
class TfliteNode {
 public:
  TfliteNode(TfliteGraph& graph, const TfliteOperator& op) : graph_(graph), op_(op) {}

  [[noreturn]] void fail(std::string found, std::string expected = "",
                         ErrorCode code = ErrorCode::bad_value, std::string hint = "") const;
  [[noreturn]] void unsupported(std::string found, std::string expected = "",
                                std::string hint = "") const {
    fail(std::move(found), std::move(expected), ErrorCode::unsupported, std::move(hint));
  }

  TfliteGraph& graph() const { return graph_; }
  const TfliteOperator& op() const { return op_; }
  size_t input_count() const { return op_.inputs.size(); }
  size_t output_count() const { return op_.outputs.size(); }
  /// Error unless the operator has inputs from `least` to `most` and `outputs` outputs.
  void require_counts(size_t least, size_t most, size_t outputs = 1) const;
  bool has_input(size_t i) const { return i < op_.inputs.size() && op_.inputs[i] >= 0; }
  const TfliteTensor& input(size_t i) const;
  const TfliteTensor& output(size_t i = 0) const;
  /// Input i as an activation, by number in the IntGraph.
  int operand(size_t i) const;
  const IntTensor& int_input(size_t i) const { return graph_.int_tensor(operand(i)); }
  /// A list of integers that is known; `what` names it in errors. At most 1024.
  std::vector<int64_t> integers(size_t i, const char* what) const;

  /// The operator's options, or null if it has none. Error bad_value for those of another operator.
  template <class Options>
  const Options* find_options() const {
    const Options* options = op_.table->template builtin_options_as<Options>();
    if (options == nullptr && op_.table->builtin_options_type() != tflite::BuiltinOptions::NONE) {
      fail("options of another operator",
           tflite::EnumNameBuiltinOptions(tflite::BuiltinOptionsTraits<Options>::enum_value));
    }
    return options;
  }
  /// The same; Error bad_value if there are none.
  template <class Options>
  const Options& options() const {
    const Options* options = find_options<Options>();
    if (options == nullptr) {
      fail("no options",
           tflite::EnumNameBuiltinOptions(tflite::BuiltinOptionsTraits<Options>::enum_value));
    }
    return *options;
  }
  Activation activation(tflite::ActivationFunctionType type) const;
  /// Axis `axis` of the file's tensor (negative: from the end) as one of the IntGraph's; Error if
  /// outside or the batch.
  int64_t inner_axis(const TfliteTensor& tensor, int64_t axis) const;

  /// Adds the node that computes output `output` of the operator; a reshape follows where the op
  /// keeps axes of 1 that the file leaves out, or the other way round. Error shape_mismatch if the
  /// file's tensor has another shape.
  void emit(std::string op, std::vector<int> inputs, NodeAttributes attributes = {},
            size_t output = 0);
  /// Adds a node whose result the file does not have; it has `like`'s type and scale. Its number.
  int emit_between(std::string op, std::vector<int> inputs, NodeAttributes attributes,
                   const IntTensor& like);
  /// `number` under another shape (reshape); itself if it has it.
  int reshaped(int number, const Shape& shape);

 private:
  IntNode make_node(std::string op, std::vector<int> inputs, NodeAttributes attributes);
  Shape shape_of(const IntNode& node) const;
  void push(IntNode node, int output);

  TfliteGraph& graph_;
  const TfliteOperator& op_;
  int emitted_ = 0;
};

using TfliteOpReader = void (*)(TfliteNode& node);
/// Null for an operator without a line in tflite_ops.cc.
TfliteOpReader find_tflite_op(tflite::BuiltinOperator code);

/// Integers that describe shapes (SHAPE of a tensor, and what is computed from known integers
/// without scales), and constants that pass DEQUANTIZE or QUANTIZE: evaluated, no nodes. False if
/// the operator computes activations.
bool evaluate_tflite_constants(TfliteNode& node);

#define FACSIM_TFLITE_READER(name) void read_tflite_##name(TfliteNode& node)
FACSIM_TFLITE_READER(conv_2d);
FACSIM_TFLITE_READER(depthwise_conv_2d);
FACSIM_TFLITE_READER(transpose_conv);
FACSIM_TFLITE_READER(fully_connected);
FACSIM_TFLITE_READER(batch_matmul);
FACSIM_TFLITE_READER(add);
FACSIM_TFLITE_READER(sub);
FACSIM_TFLITE_READER(mul);
FACSIM_TFLITE_READER(minimum);
FACSIM_TFLITE_READER(maximum);
FACSIM_TFLITE_READER(prelu);
FACSIM_TFLITE_READER(average_pool_2d);
FACSIM_TFLITE_READER(max_pool_2d);
FACSIM_TFLITE_READER(mean);
FACSIM_TFLITE_READER(softmax);
FACSIM_TFLITE_READER(logistic);
FACSIM_TFLITE_READER(tanh);
FACSIM_TFLITE_READER(hard_swish);
FACSIM_TFLITE_READER(relu);
FACSIM_TFLITE_READER(relu6);
FACSIM_TFLITE_READER(relu_n1_to_1);
FACSIM_TFLITE_READER(leaky_relu);
FACSIM_TFLITE_READER(quantize);
FACSIM_TFLITE_READER(dequantize);
FACSIM_TFLITE_READER(reshape);
FACSIM_TFLITE_READER(pad);
FACSIM_TFLITE_READER(concatenation);
FACSIM_TFLITE_READER(slice);
FACSIM_TFLITE_READER(strided_slice);
FACSIM_TFLITE_READER(split);
FACSIM_TFLITE_READER(split_v);
FACSIM_TFLITE_READER(pack);
FACSIM_TFLITE_READER(unpack);
FACSIM_TFLITE_READER(transpose);
FACSIM_TFLITE_READER(resize);
FACSIM_TFLITE_READER(svdf);
FACSIM_TFLITE_READER(unidirectional_sequence_lstm);
#undef FACSIM_TFLITE_READER

}  // namespace facsim::backends::detail
