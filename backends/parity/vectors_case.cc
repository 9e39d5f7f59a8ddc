// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "backends/json/object_reader-internal.h"
#include "backends/parity/vectors_case-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends::detail {

namespace {

/// Bounds every integer attribute so that sums and products of a few stay in 64 bits.
constexpr int64_t kMaxAttribute = int64_t{1} << 32;

std::optional<int64_t> to_integer(const json::Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (!value.is_number_integer()) return {};
  const auto number = value.get<int64_t>();
  if (number < -kMaxAttribute || number > kMaxAttribute) return {};
  return number;
}

}  // namespace

CaseData::CaseData(const VectorSuite& suite, const VectorCase& vector_case, const NpzFile& npz)
    : suite_(suite), case_(vector_case) {
  for (const auto& [role, described] : case_.arrays) {
    Tensor tensor = npz.read(described.key);
    if (tensor.dtype() != described.dtype || tensor.shape() != described.shape) {
      const auto text = [](DType dtype, const Shape& shape) {
        return std::string(to_string(dtype)) + " " + to_string(shape);
      };
      throw Error({ErrorCode::shape_mismatch,
                   suite_.manifest.place(json::child(json::child(case_.pointer, "arrays"), role)),
                   case_.npz + " holds " + text(tensor.dtype(), tensor.shape()),
                   text(described.dtype, described.shape), ""});
    }
    arrays_.emplace(role, std::move(tensor));
  }
}

const Tensor* CaseData::find(std::initializer_list<std::string_view> roles) const {
  for (const std::string_view role : roles) {
    const auto found = arrays_.find(role);
    if (found != arrays_.end()) return &found->second;
  }
  return nullptr;
}

const Tensor& CaseData::any(std::initializer_list<std::string_view> roles) const {
  if (const Tensor* tensor = find(roles)) return *tensor;
  throw Error({ErrorCode::missing_key, suite_.manifest.place(case_.pointer + "/arrays"),
               "no array \"" + std::string(*roles.begin()) + "\"", "", ""});
}

const Tensor& CaseData::array(std::string_view role) const { return any({role}); }

const json::Json* CaseData::attribute(std::string_view name) const {
  const json::Json::json_pointer pointer(case_.pointer + "/attrs/" + std::string(name));
  if (!suite_.manifest.value.contains(pointer)) return nullptr;
  return &suite_.manifest.value.at(pointer);
}

void CaseData::fail(std::string_view name, std::string found, std::string expected) const {
  throw Error({ErrorCode::bad_value,
               suite_.manifest.place(case_.pointer + "/attrs/" + std::string(name)),
               std::move(found), std::move(expected), ""});
}

void CaseData::miss(std::string_view name, std::string expected) const {
  std::vector<std::string> names;
  const json::Json::json_pointer attributes(case_.pointer + "/attrs");
  for (const auto& [key, value] : suite_.manifest.value.at(attributes).items()) {
    names.push_back(key);
  }
  const std::string near = did_you_mean(name, names);
  throw Error({ErrorCode::missing_key, suite_.manifest.place(case_.pointer + "/attrs"),
               "no \"" + std::string(name) + "\", which " + case_.op + " needs",
               std::move(expected), near.empty() ? "" : "is it \"" + near + "\" misspelt?"});
}

void CaseData::require_same(const std::string& name, const json::Json& value) const {
  const json::Json& all =
      suite_.manifest.value.at(json::Json::json_pointer(case_.pointer + "/attrs"));
  const auto found = all.find(name);
  if (found == all.end() || *found == value) return;
  throw Error({ErrorCode::bad_value,
               suite_.manifest.place(json::child(case_.pointer + "/attrs", name)),
               json::excerpt(*found), value.dump() + " as in " + case_.model, ""});
}

bool CaseData::has(std::string_view name) const { return attribute(name) != nullptr; }

int64_t CaseData::integer(std::string_view name, std::optional<int64_t> fallback) const {
  const json::Json* value = attribute(name);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr) miss(name, "an integer");
  if (const auto number = to_integer(*value)) return *number;
  fail(name, json::excerpt(*value), "an integer within 2^32");
}

float CaseData::real(std::string_view name) const {
  const json::Json* value = attribute(name);
  if (value == nullptr) miss(name, "a number");
  const double number = value->is_number() ? value->get<double>() : HUGE_VAL;
  if (!(std::abs(number) <= std::numeric_limits<float>::max())) {
    fail(name, json::excerpt(*value), "a number, finite in float32");
  }
  return static_cast<float>(number);
}

std::vector<int64_t> CaseData::integers(std::string_view name, size_t count,
                                        std::optional<std::vector<int64_t>> fallback) const {
  const json::Json* value = attribute(name);
  if (value == nullptr && fallback) return *fallback;
  const std::string expected = std::to_string(count) + " integers";
  if (value == nullptr) miss(name, expected);
  if (!value->is_array() || value->size() != count) fail(name, json::excerpt(*value), expected);
  return integers(name);
}

std::vector<int64_t> CaseData::integers(std::string_view name) const {
  const json::Json* value = attribute(name);
  if (value == nullptr) miss(name, "integers");
  std::vector<int64_t> numbers;
  if (value->is_array()) {
    for (const json::Json& element : *value) {
      if (const auto number = to_integer(element)) numbers.push_back(*number);
    }
  }
  if (!value->is_array() || numbers.size() != value->size()) {
    fail(name, json::excerpt(*value), "a list of integers within 2^32");
  }
  return numbers;
}

std::string_view CaseData::word(std::string_view name,
                                std::initializer_list<std::string_view> words) const {
  const json::Json* value = attribute(name);
  if (value == nullptr) return {};
  const std::string found = value->is_string() ? value->get<std::string>() : "";
  std::string expected;
  for (const std::string_view word : words) {
    if (found == word) return word;
    expected += (expected.empty() ? "one of " : ", ") + std::string(word);
  }
  fail(name, json::excerpt(*value), std::move(expected));
}

void CaseData::require_layout(std::string_view name, std::string_view layout) const {
  const std::string_view found =
      word(name, {"NHWC", "NCHW", "OHWI", "OIHW", "HWIO", "1HWC", "OI", "IO"});
  if (found.empty() || found == layout) return;
  throw Error({ErrorCode::unsupported,
               suite_.manifest.place(case_.pointer + "/attrs/" + std::string(name)),
               std::string(found), std::string(layout), ""});
}

Pair CaseData::steps(std::string_view name, std::optional<Pair> fallback) const {
  constexpr int64_t kLargest = int64_t{1} << 24;
  const Pair values = pair(name, fallback);
  for (const int64_t value : values) {
    if (value < 1 || value > kLargest) {
      fail(name, std::to_string(value), "1.." + std::to_string(kLargest));
    }
  }
  return values;
}

Pair CaseData::pair(std::string_view name, std::optional<Pair> fallback) const {
  std::optional<std::vector<int64_t>> list;
  if (fallback) list = {(*fallback)[0], (*fallback)[1]};
  const std::vector<int64_t> numbers = integers(name, 2, std::move(list));
  return {numbers[0], numbers[1]};
}

std::optional<sim::IntType> CaseData::type(std::string_view name) const {
  const json::Json* value = attribute(name);
  if (value == nullptr) return {};
  const std::string found = value->is_string() ? value->get<std::string>() : "";
  for (const int bits : {2, 4, 8, 16, 32}) {
    for (const bool is_signed : {true, false}) {
      const std::string lower = (is_signed ? "int" : "uint") + std::to_string(bits);
      const std::string upper = (is_signed ? "INT" : "UINT") + std::to_string(bits);
      if (found == lower || found == upper) return sim::IntType{bits, is_signed};
    }
  }
  throw Error({ErrorCode::unsupported,
               suite_.manifest.place(case_.pointer + "/attrs/" + std::string(name)),
               json::excerpt(*value), "an integer type of 2, 4, 8, 16 or 32 bits", ""});
}

void check_output_shape(const CaseData& data) {
  if (!data.has("output_shape")) return;
  const Shape& golden = data.golden().shape();
  const std::vector<int64_t> extents = data.integers("output_shape");
  if (extents == golden.extents()) return;
  data.fail("output_shape", to_string(Shape(extents)),
            to_string(golden) + ", the shape of " + data.description().golden);
}

Adapter find_adapter(std::string_view op) {
  for (const auto table :
       {tflite_layer_adapters(), tflite_elementwise_adapters(), tflite_structural_adapters(),
        tflite_activation_adapters(), tflite_recurrent_adapters(), onnx_layer_adapters(),
        onnx_elementwise_adapters(), onnx_qdq_adapters(), onnx_quantize_adapters(),
        generated_adapters()}) {
    for (const AdapterEntry& entry : table) {
      if (entry.op == op) return entry.compute;
    }
  }
  return nullptr;
}

Tensor execute(const sim::Op& op, std::initializer_list<const Tensor*> inputs,
               const Shape& expected, const sim::RunContext& context) {
  std::vector<Shape> shapes;
  int index = 0;
  for (const Tensor* input : inputs) {
    const std::optional<DType> dtype = op.input_dtype(index);
    if (dtype && *dtype != input->dtype()) {
      throw Error({ErrorCode::bad_value, "input " + std::to_string(index),
                   std::string(to_string(input->dtype())), std::string(to_string(*dtype)), ""});
    }
    shapes.push_back(input->shape());
    ++index;
  }
  const Shape shape = op.output_shape(shapes);
  if (shape != expected) {
    throw Error({ErrorCode::shape_mismatch, "output", to_string(shape) + " by the attributes",
                 to_string(expected) + " as the golden array", ""});
  }
  Tensor output(op.output_dtype(), shape);
  op.run({inputs.begin(), inputs.size()}, output, context);
  return output;
}

std::vector<int64_t> integers_of(const Tensor& tensor) {
  code_type(tensor);
  std::vector<int64_t> values(static_cast<size_t>(tensor.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = tensor.int_at(static_cast<int64_t>(i));
  return values;
}

std::vector<float> reals_of(const Tensor& tensor) {
  if (tensor.dtype() != DType::float32) {
    throw Error({ErrorCode::bad_value, "", "array of " + std::string(to_string(tensor.dtype())),
                 "float32", ""});
  }
  const auto values = tensor.values<float>();
  return {values.begin(), values.end()};
}

sim::IntType code_type(const Tensor& tensor) {
  if (tensor.dtype() == DType::float32) {
    throw Error({ErrorCode::bad_value, "", "array of float32", "integers", ""});
  }
  return sim::full_range(tensor.dtype());
}

quant::QParams make_qparams(std::vector<float> scale, std::vector<int64_t> zero_point,
                            sim::IntType type, int axis) {
  if (scale.empty() || zero_point.empty()) {
    throw Error({ErrorCode::bad_value, "", "empty scale or zero point", "at least one value", ""});
  }
  quant::QParams qparams;
  if (zero_point.size() == 1) zero_point.resize(scale.size(), zero_point.front());
  if (scale.size() == 1) scale.resize(zero_point.size(), scale.front());
  qparams.channel_axis = scale.size() > 1 ? axis : -1;
  qparams.scale = std::move(scale);
  qparams.zero_point = std::move(zero_point);
  qparams.type = type;
  qparams.quant_min = type.min();
  qparams.quant_max = type.max();
  return qparams;
}

}  // namespace facsim::backends::detail
