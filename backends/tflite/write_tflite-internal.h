// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/tflite/schema-internal.h"

namespace facsim::backends::detail {

/// Options of an operator, in the tables already.
struct TfliteOptions {
  tflite::BuiltinOptions type = tflite::BuiltinOptions::NONE;
  flatbuffers::Offset<void> table;
};
template <class Table>
TfliteOptions tflite_options(flatbuffers::Offset<Table> table) {
  return {tflite::BuiltinOptionsTraits<Table>::enum_value, table.Union()};
}

/// A .tflite while it is made from an IntGraph. Operators are added in order; tensors and buffers
/// as they are used.
class TfliteBuilder {
 public:
  explicit TfliteBuilder(const IntGraph& graph);

  flatbuffers::FlatBufferBuilder& tables() { return tables_; }
  const IntTensor& tensor(int number) const { return graph_.tensors[static_cast<size_t>(number)]; }
  const IntTensor& input(const IntNode& node, size_t i) const { return tensor(node.inputs[i]); }
  const IntTensor& output(const IntNode& node) const { return tensor(node.output); }
  [[noreturn]] static void unsupported(const IntNode& node, std::string found, std::string expected,
                                       std::string hint = "");
  void require_equal_scales(const IntNode& node) const;

  /// Numbers in the file: of an activation or constant as it is, of a node's output,
  int operand(int number);
  int operand(const IntNode& node, size_t i) { return operand(node.inputs[i]); }
  int result(const IntNode& node) { return operand(node.output); }
  /// of weights or a bias with the elements as the file has them (scales on `axis`), one for every
  /// layout and scale that its layers take,
  int layer_constant(int number, const quant::QParams& qparams, const Tensor& elements, int axis);
  /// of a constant that the IntGraph does not have,
  int new_constant(std::string name, const quant::QParams& qparams, const Tensor& codes);
  /// of an integer list (shape, axes), of a tensor between operators, and of one code of its type.
  int integers(std::string name, const std::vector<int64_t>& values);
  int integer_tensor(std::string name, const Tensor& values);
  int between(const IntNode& node, const IntTensor& like, const Shape& shape,
              std::string_view suffix);
  int single_code(const IntNode& node, const IntTensor& like, int64_t code);

  /// Scale, zero point and type of codes in the file: uint8 activations become int8.
  static quant::QParams file_qparams(const quant::QParams& qparams);

  void add(tflite::BuiltinOperator code, int version, const std::vector<int>& inputs, int output,
           TfliteOptions options = {});

  std::string finish();

 private:
  void check_tensors() const;
  int add_tensor(const std::string& name, tflite::TensorType type, const Shape& shape,
                 const quant::QParams* qparams, const Tensor* data, bool has_batch);
  uint32_t add_buffer(const Tensor& elements, tflite::TensorType type);
  std::string fresh(std::string name);

  const IntGraph& graph_;
  flatbuffers::FlatBufferBuilder tables_;
  std::vector<flatbuffers::Offset<tflite::Buffer>> buffers_;
  std::vector<flatbuffers::Offset<tflite::Tensor>> tensors_;
  std::vector<flatbuffers::Offset<tflite::OperatorCode>> codes_;
  std::vector<flatbuffers::Offset<tflite::Operator>> operators_;
  std::map<std::pair<tflite::BuiltinOperator, int>, uint32_t> code_numbers_;
  std::map<int, int> numbers_;
  /// What a constant of the IntGraph was written as. Layouts of equal shape and scales do not
  /// differ: a permutation that keeps the shape of a layer's weights moves axes of extent 1.
  struct Constant {
    Shape shape;
    quant::QParams qparams;
    int number;
  };
  std::map<int, std::vector<Constant>> constants_;
  std::set<std::string, std::less<>> names_;
};

tflite::ActivationFunctionType tflite_activation(Activation activation);

/// The input of a window op as TFLite's padding words can say it: the node's input, or one padded
/// by PAD in front of it.
struct TflitePadded {
  int input = 0;
  tflite::Padding padding = tflite::Padding::VALID;
};
/// `value`: the code around; absent: that of real 0.
TflitePadded tflite_padded(TfliteBuilder& builder, const IntNode& node,
                           std::optional<int64_t> value);
/// PAD or PADV2 of the node's input by attributes of a `pad` node, into tensor `output`.
void write_tflite_pad(TfliteBuilder& builder, const IntNode& node, int output,
                      const std::vector<int64_t>& before, const std::vector<int64_t>& after,
                      std::optional<int64_t> value);

using TfliteOpWriter = void (*)(TfliteBuilder& builder, const IntNode& node);
/// What writes an op, null for one without a line in write_tflite.cc.
TfliteOpWriter find_tflite_writer(std::string_view op);

#define FACSIM_TFLITE_WRITER(name) \
  void write_tflite_##name(TfliteBuilder& builder, const IntNode& node)
FACSIM_TFLITE_WRITER(conv2d);
FACSIM_TFLITE_WRITER(transpose_conv2d);
FACSIM_TFLITE_WRITER(linear);
FACSIM_TFLITE_WRITER(batch_matmul);
FACSIM_TFLITE_WRITER(elementwise);
FACSIM_TFLITE_WRITER(activation);
FACSIM_TFLITE_WRITER(clamp);
FACSIM_TFLITE_WRITER(prelu);
FACSIM_TFLITE_WRITER(softmax);
FACSIM_TFLITE_WRITER(quantizer);
FACSIM_TFLITE_WRITER(max_pool2d);
FACSIM_TFLITE_WRITER(avg_pool2d);
FACSIM_TFLITE_WRITER(mean);
FACSIM_TFLITE_WRITER(pad_op);
FACSIM_TFLITE_WRITER(concat);
FACSIM_TFLITE_WRITER(slice);
FACSIM_TFLITE_WRITER(transpose);
FACSIM_TFLITE_WRITER(resize);
FACSIM_TFLITE_WRITER(reshape);
#undef FACSIM_TFLITE_WRITER

}  // namespace facsim::backends::detail
