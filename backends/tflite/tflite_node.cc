// SPDX-License-Identifier: Apache-2.0
#include "backends/tflite/tflite_node-internal.h"

#include <fmt/format.h>

#include <cstring>

#include "backends/graph/int_shape.h"

namespace facsim::backends::detail {

namespace {

/// The codes of a type that a tensor of a quantized network can have.
std::optional<sim::IntType> tensor_codes(tflite::TensorType type) {
  switch (type) {
    case tflite::TensorType::INT4:
      return sim::IntType{4, true};
    case tflite::TensorType::INT8:
      return sim::kInt8;
    case tflite::TensorType::UINT8:
      return sim::kUint8;
    case tflite::TensorType::INT16:
      return sim::kInt16;
    case tflite::TensorType::INT32:
      return sim::kInt32;
    case tflite::TensorType::INT64:
      return sim::IntType{64, true};
    default:
      return {};
  }
}

std::optional<DType> tensor_dtype(tflite::TensorType type) {
  if (type == tflite::TensorType::FLOAT32) return DType::float32;
  if (const auto codes = tensor_codes(type)) return codes->storage();
  return {};
}

std::string type_name(tflite::TensorType type) {
  const std::string name = tflite::EnumNameTensorType(type);
  return name.empty() ? fmt::format("type {}", static_cast<int>(type)) : name;
}

/// Element 2k is the low half of byte k.
Tensor unpack_int4(std::span<const uint8_t> bytes, int64_t count) {
  Tensor codes(DType::int8, Shape{count});
  int8_t* out = codes.data<int8_t>();
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t byte = bytes[static_cast<size_t>(i / 2)];
    const int half = i % 2 == 0 ? byte & 15 : byte >> 4;
    out[i] = static_cast<int8_t>(half >= 8 ? half - 16 : half);
  }
  return codes;
}

/// Bytes that a network may take up, in bytes of its file: int4 doubles, constants that are
/// evaluated become four times as large, and files share equal buffers.
constexpr int64_t kBytesPerFileByte = 16, kSmallNetwork = 1 << 20;

}  // namespace

TfliteGraph::TfliteGraph(const TfliteFile& file)
    : file_(file), activation_(file.tensors().size(), -1) {
  graph_.name = file.name();
  graph_.layout = IntGraph::Layout::nhwc;
  if (file.inputs().empty()) {
    throw Error({ErrorCode::bad_value, file.place() + ": subgraph 0", "missing inputs", "", ""});
  }
  const TfliteTensor& first = tensor(file.inputs().front());
  batch_ = first.shape.rank() == 0 ? 1 : first.shape[0];
  if (batch_ < 1) {
    throw Error({ErrorCode::shape_mismatch, file.place_of(first), "shape " + to_string(first.shape),
                 "extents >= 1", ""});
  }
}

TfliteGraph::Batched TfliteGraph::batched(const TfliteTensor& t) const {
  std::vector<int64_t> extents = t.shape.extents();
  for (const int64_t extent : extents) {
    if (extent < 1) {
      throw Error({ErrorCode::shape_mismatch, file_.place_of(t), "shape " + to_string(t.shape),
                   "extents >= 1", ""});
    }
  }
  const bool has_batch = !extents.empty() && extents[0] == batch_;
  if (has_batch) {
    extents[0] = 1;
    return {Shape(std::move(extents)), 0};
  }
  if ((extents.empty() ? 1 : extents[0]) % batch_ != 0) {
    throw Error({ErrorCode::unsupported, file_.place_of(t), "shape " + to_string(t.shape),
                 fmt::format("the batch of the network's input, {}, on axis 0", batch_),
                 "images must stay apart"});
  }
  if (!extents.empty()) extents[0] /= batch_;
  extents.insert(extents.begin(), 1);
  return {Shape(std::move(extents)), 1};
}

std::optional<quant::QParams> TfliteGraph::qparams(const TfliteTensor& t, int axis) {
  const auto* table = t.quantization;
  if (table == nullptr) return {};
  const std::string place = file_.place_of(t);
  const auto refuse = [&](std::string found, std::string expected,
                          ErrorCode code = ErrorCode::bad_value) {
    throw Error({code, place, std::move(found), std::move(expected), ""});
  };
  if (table->details_type() != tflite::QuantizationDetails::NONE) {
    refuse("quantization that is not by scale and zero point", "scales and zero points",
           ErrorCode::unsupported);
  }
  if (table->scale() == nullptr || table->scale()->size() == 0) return {};
  const auto type = tensor_codes(t.type);
  if (!type) refuse("scales of " + type_name(t.type), "integers", ErrorCode::unsupported);
  const uint32_t count = table->scale()->size();
  const uint32_t zero_points = table->zero_point() == nullptr ? 0 : table->zero_point()->size();
  if (zero_points != count) {
    refuse(fmt::format("{} scales and {} zero points", count, zero_points), "one of each");
  }
  quant::QParams out;
  if (count > 1) {
    const int own = table->quantized_dimension();
    if (axis < 0 && (own < 0 || own >= t.shape.rank())) {
      refuse(fmt::format("quantized_dimension {}", own),
             fmt::format("an axis of {}", to_string(t.shape)));
    }
    out.channel_axis = axis < 0 ? own : axis;
    if (out.channel_axis >= t.shape.rank() || t.shape[out.channel_axis] != count) {
      refuse(fmt::format("{} scales on axis {}", count, out.channel_axis),
             "one per index of that axis of " + to_string(t.shape), ErrorCode::shape_mismatch);
    }
  }
  constexpr int64_t kBytesPerScale = sizeof(float) + sizeof(int64_t);
  spend(t.name, count * kBytesPerScale);
  out.scale.assign(table->scale()->begin(), table->scale()->end());
  out.zero_point.assign(table->zero_point()->begin(), table->zero_point()->end());
  out.type = *type;
  out.quant_min = type->min();
  out.quant_max = type->max();
  quant::check(out, place);
  return out;
}

void TfliteGraph::spend(std::string_view tensor_name, int64_t bytes) {
  const int64_t limit = kSmallNetwork + kBytesPerFileByte * static_cast<int64_t>(file_.size());
  spent_ += bytes;
  if (spent_ <= limit) return;
  throw Error({ErrorCode::unsupported, fmt::format("{}: tensor \"{}\"", file_.place(), tensor_name),
               "tensors that share bytes too often",
               fmt::format("at most {} bytes in all tensors", limit), ""});
}

Tensor TfliteGraph::constant(const TfliteTensor& t) {
  const std::string place = file_.place_of(t);
  const auto dtype = tensor_dtype(t.type);
  if (!dtype || t.is_sparse) {
    throw Error({ErrorCode::unsupported, place,
                 t.is_sparse ? "sparse data" : "constants of " + type_name(t.type),
                 "INT8, UINT8, INT4, INT16, INT32, INT64 or FLOAT32", ""});
  }
  const int64_t count = t.shape.numel();
  Shape shape = t.shape.rank() == 0 ? Shape{1} : t.shape;
  Tensor& flat = buffers_[{t.buffer, t.type}];
  if (flat.numel() != count || flat.empty()) {
    spend(t.name, count * static_cast<int64_t>(size_of(*dtype)));
    if (t.type == tflite::TensorType::INT4) {
      flat = unpack_int4(t.bytes, count);
    } else {
      flat = Tensor::uninitialized(*dtype, Shape{count});
      if (count > 0) std::memcpy(flat.raw(), t.bytes.data(), flat.bytes());
    }
  }
  return flat.reshaped(std::move(shape));
}

std::optional<Tensor> TfliteGraph::known(int number) {
  const auto found = known_.find(number);
  if (found != known_.end()) return found->second;
  const TfliteTensor& t = tensor(number);
  if (!t.is_constant) return {};
  return constant(t);
}

void TfliteGraph::set_known(int number, Tensor value) {
  const TfliteTensor& t = tensor(number);
  if (t.is_constant || known_.contains(number) || activation_[static_cast<size_t>(number)] >= 0) {
    throw Error({ErrorCode::bad_value, file_.place_of(t), "is written twice", "", ""});
  }
  known_[number] = std::move(value);
}

std::string TfliteGraph::name_of(const TfliteTensor& t) {
  return t.name.empty() ? fmt::format("tensor_{}", t.number) : std::string(t.name);
}

std::string TfliteGraph::unique(std::string name, int number) {
  spend(name, 2 * static_cast<int64_t>(name.size()));
  while (!names_.insert(name).second) name += fmt::format("#{}", number);
  return name;
}

int TfliteGraph::add(IntTensor t) {
  t.name = unique(std::move(t.name), static_cast<int>(graph_.tensors.size()));
  graph_.tensors.push_back(std::move(t));
  return static_cast<int>(graph_.tensors.size()) - 1;
}

IntTensor TfliteGraph::describe(const TfliteTensor& t) {
  IntTensor out;
  out.name = name_of(t);
  const auto dtype = tensor_dtype(t.type);
  if (!dtype) {
    throw Error({ErrorCode::unsupported, file_.place_of(t), "a tensor of " + type_name(t.type),
                 "INT8, UINT8, INT16, INT32 or FLOAT32", ""});
  }
  if (t.is_variable) {
    throw Error({ErrorCode::unsupported, file_.place_of(t), "a variable tensor",
                 "tensors without state", "only operators with a state of their own have one"});
  }
  out.dtype = *dtype;
  out.qparams = qparams(t);
  return out;
}

int TfliteGraph::operand(int number) {
  const TfliteTensor& t = tensor(number);
  int& own = activation_[static_cast<size_t>(number)];
  if (own >= 0) return own;
  std::optional<Tensor> value = known(number);
  if (!value) {
    throw Error({ErrorCode::bad_value, file_.place_of(t), "is used before it is computed",
                 "operators in the order of their execution", ""});
  }
  IntTensor constant = describe(t);
  constant.shape = value->shape();
  constant.data = std::move(value);
  return own = add(std::move(constant));
}

int TfliteGraph::result(int number) {
  const TfliteTensor& t = tensor(number);
  int& own = activation_[static_cast<size_t>(number)];
  if (own >= 0 || t.is_constant || known_.contains(number)) {
    throw Error({ErrorCode::bad_value, file_.place_of(t), "is written twice",
                 "each tensor computed by one operator", ""});
  }
  IntTensor computed = describe(t);
  computed.shape = batched(t).shape;
  return own = add(std::move(computed));
}

int TfliteGraph::temporary(const IntTensor& like, Shape shape, std::string_view suffix) {
  IntTensor t;
  t.name = fmt::format("{}/{}", like.name, suffix);
  t.dtype = like.dtype;
  t.qparams = like.qparams;
  t.shape = std::move(shape);
  return add(std::move(t));
}

void TfliteNode::fail(std::string found, std::string expected, ErrorCode code,
                      std::string hint) const {
  throw Error(
      {code, graph_.file().place_of(op_), std::move(found), std::move(expected), std::move(hint)});
}

void TfliteNode::require_counts(size_t least, size_t most, size_t outputs) const {
  if (input_count() < least || input_count() > most) {
    fail(fmt::format("{} inputs", input_count()),
         least == most ? std::to_string(least) : fmt::format("{} to {}", least, most));
  }
  if (output_count() != outputs) {
    fail(fmt::format("{} outputs", output_count()), std::to_string(outputs));
  }
}

const TfliteTensor& TfliteNode::input(size_t i) const {
  if (i >= op_.inputs.size()) {
    fail(fmt::format("{} inputs", op_.inputs.size()), fmt::format("at least {}", i + 1));
  }
  if (op_.inputs[i] < 0) {
    fail(fmt::format("input {}: tensor {}", i, op_.inputs[i]), "a tensor: it is not optional");
  }
  return graph_.tensor(op_.inputs[i]);
}

const TfliteTensor& TfliteNode::output(size_t i) const {
  if (i >= op_.outputs.size()) {
    fail(fmt::format("{} outputs", op_.outputs.size()), fmt::format("at least {}", i + 1));
  }
  return graph_.tensor(op_.outputs[i]);
}

int TfliteNode::operand(size_t i) const {
  const TfliteTensor& t = input(i);
  try {
    return graph_.operand(t.number);
  } catch (const Error& error) {
    ErrorInfo info = error.infos().front();
    if (info.code == ErrorCode::bad_value && info.found.starts_with("is used")) {
      fail(fmt::format("input {}: tensor {} \"{}\" {}", i, t.number, t.name, info.found),
           info.expected);
    }
    throw;
  }
}

std::vector<int64_t> TfliteNode::integers(size_t i, const char* what) const {
  constexpr int64_t kMost = 1024;
  const TfliteTensor& t = input(i);
  const std::optional<Tensor> value = graph_.known(t.number);
  if (!value) {
    unsupported(fmt::format("{} that are computed (input {})", what, i), "a constant");
  }
  if (value->dtype() == DType::float32 || value->numel() > kMost) {
    fail(fmt::format("{} {} {} (input {})", what, to_string(value->dtype()),
                     to_string(value->shape()), i),
         fmt::format("at most {} integers", kMost));
  }
  std::vector<int64_t> out;
  for (int64_t k = 0; k < value->numel(); ++k) out.push_back(value->int_at(k));
  return out;
}

Activation TfliteNode::activation(tflite::ActivationFunctionType type) const {
  switch (type) {
    case tflite::ActivationFunctionType::NONE:
      return Activation::none;
    case tflite::ActivationFunctionType::RELU:
      return Activation::relu;
    case tflite::ActivationFunctionType::RELU6:
      return Activation::relu6;
    case tflite::ActivationFunctionType::RELU_N1_TO_1:
      return Activation::relu_n1_to_1;
    default:
      break;
  }
  const std::string name = tflite::EnumNameActivationFunctionType(type);
  unsupported("fused activation " + (name.empty() ? std::to_string(static_cast<int>(type)) : name),
              "NONE, RELU, RELU6 or RELU_N1_TO_1");
}

int64_t TfliteNode::inner_axis(const TfliteTensor& t, int64_t axis) const {
  const int rank = t.shape.rank();
  if (axis < -rank || axis >= rank) {
    fail(fmt::format("axis {}", axis), fmt::format("an axis of {}", to_string(t.shape)));
  }
  if (axis < 0) axis += rank;
  const int64_t inner = axis + graph_.batched(t).shift;
  if (inner == 0 || (axis == 0 && graph_.batch() > 1)) {
    unsupported(fmt::format("axis {} of {}", axis, to_string(t.shape)), "not the batch",
                "images must stay apart");
  }
  return inner;
}

IntNode TfliteNode::make_node(std::string op, std::vector<int> inputs, NodeAttributes attributes) {
  for (const int input : inputs) {
    const IntTensor& t = graph_.int_tensor(input);
    if (t.dtype != DType::float32 || op == "quantize") continue;
    unsupported("tensor \"" + t.name + "\" of real numbers", "codes",
                "floating-point and hybrid networks are not integer networks");
  }
  IntNode node;
  node.name = fmt::format("{}_{}", operator_name(op_), op_.number);
  if (emitted_++ > 0) node.name += fmt::format("_{}", emitted_);
  node.op = std::move(op);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  return node;
}

Shape TfliteNode::shape_of(const IntNode& node) const {
  try {
    return int_output_shape(graph_.graph(), node);
  } catch (const Error& error) {
    const ErrorInfo& info = error.infos().front();
    fail(info.found, info.expected, info.code, info.hint);
  }
}

void TfliteNode::push(IntNode node, int output) {
  node.output = output;
  graph_.graph().nodes.push_back(std::move(node));
}

namespace {

std::vector<int64_t> without_ones(const Shape& shape) {
  std::vector<int64_t> extents = shape.extents();
  std::erase(extents, 1);
  return extents;
}

}  // namespace

void TfliteNode::emit(std::string op, std::vector<int> inputs, NodeAttributes attributes,
                      size_t output) {
  const int number = graph_.result(this->output(output).number);
  IntNode node = make_node(std::move(op), std::move(inputs), std::move(attributes));
  const Shape computed = shape_of(node);
  const Shape expected = graph_.int_tensor(number).shape;
  if (computed == expected) return push(std::move(node), number);
  // A fully connected layer gives rows, however many axes its input had.
  const bool agrees = node.op == "linear" ? computed.numel() == expected.numel()
                                          : without_ones(computed) == without_ones(expected);
  if (!agrees) {
    fail(fmt::format("output of shape {}", to_string(this->output(output).shape)),
         fmt::format("{} for a batch of 1", to_string(computed)), ErrorCode::shape_mismatch);
  }
  const int between = graph_.temporary(graph_.int_tensor(number), computed, "before_reshape");
  push(std::move(node), between);
  NodeAttributes reshape;
  reshape.extents.assign(expected.begin() + 1, expected.end());
  push(make_node("reshape", {between}, std::move(reshape)), number);
}

int TfliteNode::emit_between(std::string op, std::vector<int> inputs, NodeAttributes attributes,
                             const IntTensor& like) {
  IntNode node = make_node(std::move(op), std::move(inputs), std::move(attributes));
  const Shape computed = shape_of(node);
  const int number = graph_.temporary(like, computed, node.name);
  push(std::move(node), number);
  return number;
}

int TfliteNode::reshaped(int number, const Shape& shape) {
  const IntTensor like = graph_.int_tensor(number);
  if (like.shape == shape) return number;
  NodeAttributes attributes;
  attributes.extents.assign(shape.begin() + 1, shape.end());
  return emit_between("reshape", {number}, std::move(attributes), like);
}

}  // namespace facsim::backends::detail
