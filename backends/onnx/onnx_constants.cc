// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/onnx_constants-internal.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "backends/graph/permute.h"

namespace facsim::backends::onnx {

namespace {

constexpr int64_t kMostElements = int64_t{1} << 20;
constexpr int64_t kMostListed = 1024;  ///< extents, axes, starts

using Inputs = std::vector<const Tensor*>;  // null: an optional one left out
using Result = std::optional<Tensor>;
using Integers = std::vector<int64_t>;

Tensor integers(const Integers& values) {
  return Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values);
}

Result integers_of(const Tensor& t) {
  if (t.dtype() == DType::float32) return {};
  Tensor out = Tensor::uninitialized(DType::int64, t.shape());
  for (int64_t i = 0; i < t.numel(); ++i) out.set_int(i, t.int_at(i));
  return out;
}

/// The elements of a known list of integers, input `i`, or an attribute of that name.
std::optional<Integers> list(const OnnxNode& node, const Inputs& inputs, size_t i,
                             std::string_view name) {
  if (i < inputs.size() && inputs[i] != nullptr) {
    if (inputs[i]->dtype() == DType::float32 || inputs[i]->numel() > kMostListed) return {};
    Integers out;
    for (int64_t k = 0; k < inputs[i]->numel(); ++k) out.push_back(inputs[i]->int_at(k));
    return out;
  }
  const OnnxAttribute* attribute = find_attribute(node, name);
  if (attribute == nullptr) return {};
  const auto* values = std::get_if<Integers>(&attribute->value);
  const bool fits = values != nullptr && values->size() <= kMostListed;
  return fits ? std::optional(*values) : std::nullopt;
}

std::optional<int> axis_of(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) return {};
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

/// out[i] = in[source[i]], elements of any type.
Tensor gathered(const Tensor& in, Shape shape, std::span<const int64_t> source) {
  Tensor out = Tensor::uninitialized(in.dtype(), std::move(shape));
  const size_t bytes = size_of(in.dtype());
  auto* to = static_cast<std::byte*>(out.raw());
  const auto* from = static_cast<const std::byte*>(in.raw());
  for (size_t i = 0; i < source.size(); ++i) {
    std::memcpy(to + i * bytes, from + static_cast<size_t>(source[i]) * bytes, bytes);
  }
  return out;
}

Result constant(const OnnxNode& node, const Inputs& /*inputs*/) {
  if (node.attributes.size() != 1) return {};
  const OnnxAttribute& a = node.attributes[0];
  if (const auto* t = std::get_if<OnnxTensor>(&a.value)) {
    return storage_of(t->type) ? Result(t->values) : std::nullopt;
  }
  if (const auto* v = std::get_if<int64_t>(&a.value)) {
    return Tensor::from<int64_t>(Shape{}, std::span(v, 1));
  }
  if (const auto* v = std::get_if<float>(&a.value)) {
    return Tensor::from<float>(Shape{}, std::span(v, 1));
  }
  if (const auto* v = std::get_if<Integers>(&a.value)) return integers(*v);
  if (const auto* v = std::get_if<std::vector<float>>(&a.value)) {
    return Tensor::from<float>({static_cast<int64_t>(v->size())}, *v);
  }
  return {};
}

Result identity(const OnnxNode& /*node*/, const Inputs& inputs) { return *inputs[0]; }

Result shape_of_constant(const OnnxNode& node, const Inputs& inputs) {
  if (!node.attributes.empty()) return {};  // start, end
  return integers(inputs[0]->shape().extents());
}

Result cast(const OnnxNode& node, const Inputs& inputs) {
  const int64_t to = integer_attribute(node, "to", 0);
  const Tensor& x = *inputs[0];
  if (to == static_cast<int64_t>(OnnxType::int64) || to == static_cast<int64_t>(OnnxType::int32)) {
    return integers_of(x);
  }
  if (to != static_cast<int64_t>(OnnxType::float32)) return {};
  if (x.dtype() == DType::float32) return x;
  Tensor out = Tensor::uninitialized(DType::float32, x.shape());
  for (int64_t i = 0; i < x.numel(); ++i) {
    out.data<float>()[i] = static_cast<float>(x.int_at(i));
  }
  return out;
}

Result gather(const OnnxNode& node, const Inputs& inputs) {
  const Tensor& x = *inputs[0];
  const Tensor& indices = *inputs[1];
  const auto axis = axis_of(integer_attribute(node, "axis", 0), x.shape().rank());
  if (!axis || indices.dtype() == DType::float32 || x.numel() == 0) return {};
  if (x.numel() > kMostElements || indices.numel() > kMostElements) return {};
  int64_t outer = 1, inner = 1;
  Integers extents;
  for (int a = 0; a < x.shape().rank(); ++a) {
    if (a == *axis) {
      extents.insert(extents.end(), indices.shape().begin(), indices.shape().end());
      continue;
    }
    (a < *axis ? outer : inner) *= x.shape()[a];
    extents.push_back(x.shape()[a]);
  }
  const int64_t count = x.shape()[*axis];
  if (outer * inner * indices.numel() > kMostElements) return {};
  Integers source;
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t k = 0; k < indices.numel(); ++k) {
      int64_t index = indices.int_at(k);
      if (index < -count || index >= count) return {};
      index += index < 0 ? count : 0;
      for (int64_t i = 0; i < inner; ++i) source.push_back((o * count + index) * inner + i);
    }
  }
  return gathered(x, Shape(extents), source);
}

Result concat(const OnnxNode& node, const Inputs& inputs) {
  const Tensor& first = *inputs[0];
  const auto axis = axis_of(integer_attribute(node, "axis", 0), first.shape().rank());
  if (!axis || *axis != 0) return {};
  Shape shape = first.shape();
  shape[0] = 0;
  Shape rest = shape;
  std::vector<Tensor> parts;
  int64_t count = 0;
  for (const Tensor* input : inputs) {
    if (input == nullptr || input->shape().rank() != rest.rank()) return {};
    if (input->numel() == 0 && rest.rank() != 1) return {};
    Shape other = input->shape();
    other[0] = 0;
    if (other != rest) return {};
    const bool is_float = input->dtype() == DType::float32;
    if (is_float != (first.dtype() == DType::float32)) return {};
    parts.push_back(is_float ? *input : *integers_of(*input));
    shape[0] += input->shape()[0];
    count += input->numel();
  }
  if (count > kMostElements) return {};
  Tensor out = Tensor::uninitialized(parts[0].dtype(), shape);
  auto* to = static_cast<std::byte*>(out.raw());
  for (const Tensor& part : parts) {
    if (part.bytes() > 0) std::memcpy(to, part.raw(), part.bytes());
    to += part.bytes();
  }
  return out;
}

Result reshape(const OnnxNode& node, const Inputs& inputs) {
  const Tensor& x = *inputs[0];
  auto extents = list(node, inputs, 1, "shape");
  if (!extents || integer_attribute(node, "allowzero", 0) != 0) return {};
  int64_t known = 1;
  std::optional<size_t> free;
  for (size_t i = 0; i < extents->size(); ++i) {
    int64_t& extent = (*extents)[i];
    if (extent == 0 && static_cast<int>(i) < x.shape().rank()) {
      extent = x.shape()[static_cast<int>(i)];
    }
    if (extent == -1 && !free) {
      free = i;
    } else if (extent < 1 || known > kMostElements / extent) {
      return {};
    } else {
      known *= extent;
    }
  }
  if (free && x.numel() % known == 0) {
    (*extents)[*free] = x.numel() / known;
    known = x.numel();
  }
  if (known != x.numel() || (free && (*extents)[*free] < 0)) return {};
  return x.reshaped(Shape(*extents));
}

Result unsqueeze(const OnnxNode& node, const Inputs& inputs) {
  const auto axes = list(node, inputs, 1, "axes");
  if (!axes) return {};
  const int rank = inputs[0]->shape().rank() + static_cast<int>(axes->size());
  std::vector<bool> fresh(static_cast<size_t>(rank), false);
  for (const int64_t a : *axes) {
    const auto axis = axis_of(a, rank);
    if (!axis || fresh[static_cast<size_t>(*axis)]) return {};
    fresh[static_cast<size_t>(*axis)] = true;
  }
  Integers extents;
  int from = 0;
  for (const bool one : fresh) extents.push_back(one ? 1 : inputs[0]->shape()[from++]);
  return inputs[0]->reshaped(Shape(extents));
}

Result squeeze(const OnnxNode& node, const Inputs& inputs) {
  const Shape& shape = inputs[0]->shape();
  const auto axes = list(node, inputs, 1, "axes");
  Integers extents;
  for (int a = 0; a < shape.rank(); ++a) {
    const bool named = !axes || std::any_of(axes->begin(), axes->end(), [&](int64_t axis) {
      return axis_of(axis, shape.rank()) == a;
    });
    if (named && shape[a] == 1) continue;
    if (named && axes) return {};
    extents.push_back(shape[a]);
  }
  return inputs[0]->reshaped(Shape(extents));
}

Result transpose(const OnnxNode& node, const Inputs& inputs) {
  const int rank = inputs[0]->shape().rank();
  Integers permutation;
  for (int a = rank - 1; a >= 0; --a) permutation.push_back(a);
  permutation = integers_attribute(node, "perm", permutation);
  std::vector<int> axes;
  for (const int64_t a : permutation) {
    if (a < 0 || a >= rank || std::find(axes.begin(), axes.end(), a) != axes.end()) return {};
    axes.push_back(static_cast<int>(a));
  }
  if (static_cast<int>(axes.size()) != rank) return {};
  return permuted(*inputs[0], axes);
}

/// Along one axis of a list or matrix, any step; the file's own rules for bounds outside.
Result slice(const OnnxNode& node, const Inputs& inputs) {
  const Tensor& x = *inputs[0];
  const auto starts = list(node, inputs, 1, "starts");
  const auto ends = list(node, inputs, 2, "ends");
  const auto axes = list(node, inputs, 3, "axes");
  const auto steps = list(node, inputs, 4, "steps");
  if (!starts || !ends || starts->size() != 1 || ends->size() != 1) return {};
  const auto axis = axis_of(axes && axes->size() == 1 ? (*axes)[0] : 0, x.shape().rank());
  const int64_t step = steps && steps->size() == 1 ? (*steps)[0] : 1;
  if (!axis || step == 0 || step == INT64_MIN || (axes && axes->size() != 1)) return {};
  const int64_t count = x.shape()[*axis];
  const auto bound = [&](int64_t v, int64_t low, int64_t high) {
    return std::clamp(v < 0 ? v + count : v, low, high);
  };
  Integers kept;
  if (step > 0) {
    const int64_t end = bound((*ends)[0], 0, count);
    for (int64_t i = bound((*starts)[0], 0, count); i < end;) {
      kept.push_back(i);
      if (step >= end - i) break;
      i += step;
    }
  } else {
    const int64_t end = bound((*ends)[0], -1, count - 1);
    for (int64_t i = bound((*starts)[0], 0, count - 1); i > end;) {
      kept.push_back(i);
      if (step <= end - i) break;
      i += step;
    }
  }
  OnnxNode take;
  take.attributes.push_back({"axis", int64_t{*axis}});
  const Tensor indices = integers(kept);
  return gather(take, {&x, &indices});
}

Result constant_of_shape(const OnnxNode& node, const Inputs& inputs) {
  const auto extents = list(node, inputs, 0, "");
  if (!extents) return {};
  int64_t count = 1;
  for (const int64_t extent : *extents) {
    if (extent < 0 || (extent > 0 && count > kMostElements / extent)) return {};
    count *= extent;
  }
  const OnnxAttribute* attribute = find_attribute(node, "value");
  const auto* given = attribute == nullptr ? nullptr : std::get_if<OnnxTensor>(&attribute->value);
  Tensor value(DType::float32, {1});
  if (given != nullptr) value = given->values;
  if (value.numel() != 1) return {};
  Tensor out = Tensor::uninitialized(value.dtype(), Shape(*extents));
  const size_t bytes = size_of(value.dtype());
  auto* to = static_cast<std::byte*>(out.raw());
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(to + static_cast<size_t>(i) * bytes, value.raw(), bytes);
  return out;
}

/// Integers, of one shape or with one side a single number.
Result arithmetic(const Inputs& inputs, bool (*op)(int64_t, int64_t, int64_t*)) {
  const Result a = integers_of(*inputs[0]), b = integers_of(*inputs[1]);
  if (!a || !b) return {};
  const bool one_a = a->numel() == 1, one_b = b->numel() == 1;
  if (!one_a && !one_b && a->shape() != b->shape()) return {};
  const bool like_b = one_a && (!one_b || b->shape().rank() > a->shape().rank());
  Tensor out = Tensor::uninitialized(DType::int64, like_b ? b->shape() : a->shape());
  for (int64_t i = 0; i < out.numel(); ++i) {
    if (!op(a->int_at(one_a ? 0 : i), b->int_at(one_b ? 0 : i), out.data<int64_t>() + i)) return {};
  }
  return out;
}

Result add(const OnnxNode&, const Inputs& inputs) {
  return arithmetic(inputs, [](int64_t a, int64_t b, int64_t* out) {
    return !__builtin_add_overflow(a, b, out);
  });
}
Result sub(const OnnxNode&, const Inputs& inputs) {
  return arithmetic(inputs, [](int64_t a, int64_t b, int64_t* out) {
    return !__builtin_sub_overflow(a, b, out);
  });
}
Result mul(const OnnxNode&, const Inputs& inputs) {
  return arithmetic(inputs, [](int64_t a, int64_t b, int64_t* out) {
    return !__builtin_mul_overflow(a, b, out);
  });
}
Result div(const OnnxNode&, const Inputs& inputs) {
  return arithmetic(inputs, [](int64_t a, int64_t b, int64_t* out) {
    if (b == 0 || (b == -1 && a == INT64_MIN)) return false;
    *out = a / b;
    return true;
  });
}

/// Bytes of a constant with its shape.
uint64_t cost_of(const Tensor& t) {
  return t.bytes() + static_cast<uint64_t>(t.shape().rank()) * sizeof(int64_t);
}

struct Folding {
  std::string_view op;
  size_t inputs;  ///< that must be there
  Result (*evaluate)(const OnnxNode&, const Inputs&);
};
constexpr Folding kFoldings[] = {
    {"Constant", 0, constant},
    {"Identity", 1, identity},
    {"Shape", 1, shape_of_constant},
    {"Cast", 1, cast},
    {"Gather", 2, gather},
    {"Concat", 1, concat},
    {"Reshape", 1, reshape},
    {"Unsqueeze", 1, unsqueeze},
    {"Squeeze", 1, squeeze},
    {"Transpose", 1, transpose},
    {"Slice", 1, slice},
    {"ConstantOfShape", 1, constant_of_shape},
    {"Add", 2, add},
    {"Sub", 2, sub},
    {"Mul", 2, mul},
    {"Div", 2, div},
};

}  // namespace

OnnxConstants::OnnxConstants(const OnnxGraph& graph) {
  for (const OnnxTensor& tensor : graph.initializers) {
    if (storage_of(tensor.type)) values_.emplace(tensor.name, tensor.values);
  }
}

const Tensor* OnnxConstants::find(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? nullptr : &found->second;
}

void OnnxConstants::set_shape(const std::string& name, const Shape& shape) {
  shapes_.insert_or_assign(name, shape);
}

void OnnxConstants::spend(const OnnxNode& node, uint64_t bytes) {
  constexpr uint64_t kMost = uint64_t{1} << 30;
  if (bytes > kMost - spent_) {
    spent_ = kMost;  // nothing after this one is worth its work
    throw Error({ErrorCode::unsupported, place_of(node), "constants computed of more than 1 GiB",
                 "a smaller network", ""});
  }
  spent_ += bytes;
}

bool OnnxConstants::fold(const OnnxNode& node) {
  if (node.outputs.size() != 1 || !(node.domain.empty() || node.domain == "ai.onnx")) return false;
  if (node.op_type == "Shape" && node.inputs.size() == 1 && node.attributes.empty()) {
    if (const auto shape = shapes_.find(node.inputs[0]); shape != shapes_.end()) {
      values_.insert_or_assign(node.outputs[0], integers(shape->second.extents()));
      return true;
    }
  }
  const auto* folding = std::find_if(std::begin(kFoldings), std::end(kFoldings),
                                     [&](const Folding& f) { return f.op == node.op_type; });
  if (folding == std::end(kFoldings) || node.inputs.size() < folding->inputs) return false;
  Inputs inputs;
  for (const std::string& name : node.inputs) {
    const Tensor* value = name.empty() ? nullptr : find(name);
    if (value == nullptr && (!name.empty() || inputs.size() < folding->inputs)) return false;
    inputs.push_back(value);
  }
  uint64_t read = 0;
  for (const Tensor* input : inputs) read += input == nullptr ? 0 : cost_of(*input);
  spend(node, read);
  Result result = folding->evaluate(node, inputs);
  if (!result) return false;
  const bool is_own = folding->inputs == 0;  // in the file as it is
  if (!is_own) spend(node, cost_of(*result) - std::min(read, cost_of(*result)));
  values_.insert_or_assign(node.outputs[0], std::move(*result));
  return true;
}

}  // namespace facsim::backends::onnx
