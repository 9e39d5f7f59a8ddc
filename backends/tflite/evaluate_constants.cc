// SPDX-License-Identifier: Apache-2.0
// Operators whose result does not depend on the network's input: integers that describe shapes, and
// constants between DEQUANTIZE and QUANTIZE.
#include <fmt/format.h>

#include <algorithm>

#include "backends/tflite/tflite_slices-internal.h"

namespace facsim::backends::detail {

namespace {

using enum tflite::BuiltinOperator;

constexpr int64_t kBytesPerKnown = 256;  // beside the values: the element of a map, the shape

using ShapeValues = std::vector<int64_t>;  // integers without scales, the last axis fastest

std::optional<DType> integer_type(const TfliteTensor& t) {
  if (t.type == tflite::TensorType::INT32) return DType::int32;
  if (t.type == tflite::TensorType::INT64) return DType::int64;
  return {};
}

/// The known integers of input i, or nothing if they are computed, real or codes.
std::optional<ShapeValues> shape_values(const TfliteNode& node, size_t i) {
  const TfliteTensor& t = node.input(i);
  if (!integer_type(t) || node.graph().qparams(t)) return {};
  if (!node.graph().known(t.number)) return {};
  return node.integers(i, "values");
}

/// Makes the output known. Error unsupported for other types, more than 1024 integers, and beyond
/// what TfliteGraph::spend allows; bad_value for integers that the type does not hold;
/// shape_mismatch if the output's shape has another count.
void set_integers(TfliteNode& node, const ShapeValues& values) {
  const TfliteTensor& t = node.output();
  const auto dtype = integer_type(t);
  if (!dtype) {
    node.unsupported(fmt::format("integers as {}", tflite::EnumNameTensorType(t.type)),
                     "INT32 or INT64");
  }
  constexpr size_t kMost = 1024;
  if (values.size() > kMost) {
    node.unsupported(fmt::format("{} known integers", values.size()),
                     fmt::format("at most {}", kMost));
  }
  const auto count = static_cast<int64_t>(values.size());
  if (count != t.shape.numel()) {
    node.fail(fmt::format("{} known integers", count),
              fmt::format("as many as the output's shape {} has", to_string(t.shape)),
              ErrorCode::shape_mismatch);
  }
  node.graph().spend(t.name, kBytesPerKnown + count * static_cast<int64_t>(size_of(*dtype)));
  Tensor out(*dtype, t.shape.rank() == 0 ? Shape{1} : t.shape);
  const sim::IntType range = sim::full_range(*dtype);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < range.min() || values[i] > range.max()) {
      node.fail(std::to_string(values[i]), sim::to_string(range));
    }
    out.set_int(static_cast<int64_t>(i), values[i]);
  }
  node.graph().set_known(t.number, std::move(out));
}

/// Known integers with more axes are not moved about: only operators that keep their order take
/// any. Error unsupported.
void require_known_rank(const TfliteNode& node, size_t i, int least, int most) {
  const Shape& shape = node.input(i).shape;
  if (shape.rank() >= least && shape.rank() <= most) return;
  node.unsupported(
      fmt::format("known integers of shape {} (input {})", to_string(shape), i),
      least == most ? fmt::format("rank {}", most) : fmt::format("rank {} to {}", least, most));
}

/// Error unsupported unless `axis` is the only one.
void require_known_axis(const TfliteNode& node, int32_t axis) {
  if (axis == 0 || axis == -1) return;
  node.unsupported(fmt::format("axis {} of known integers", axis), "0");
}

ShapeValues cut_values(const ShapeValues& from, const TfliteCut& cut) {
  ShapeValues out;
  const int64_t end = std::min(cut.end, static_cast<int64_t>(from.size()));
  for (int64_t i = std::max<int64_t>(cut.begin, 0); i < end; i += cut.stride) {
    out.push_back(from[static_cast<size_t>(i)]);
    if (cut.stride >= end - i) break;  // i + stride may not fit
  }
  return out;
}

/// x[indices] of one axis.
ShapeValues gathered_values(const TfliteNode& node, const ShapeValues& x) {
  require_known_rank(node, 0, 1, 1);
  require_known_rank(node, 1, 0, 1);
  if (const auto* options = node.find_options<tflite::GatherOptions>(); options != nullptr) {
    require_known_axis(node, options->axis());
    if (options->batch_dims() != 0) {
      node.unsupported(fmt::format("batch_dims {}", options->batch_dims()), "0");
    }
  }
  ShapeValues out;
  for (const int64_t index : node.integers(1, "indices")) {
    if (index < 0 || index >= static_cast<int64_t>(x.size())) {
      node.fail(fmt::format("index {}", index), fmt::format("below {}", x.size()));
    }
    out.push_back(x[static_cast<size_t>(index)]);
  }
  return out;
}

/// PACK of scalars, CONCATENATION of lists; nothing if one of them is not known.
std::optional<ShapeValues> joined_values(const TfliteNode& node) {
  ShapeValues out;
  for (size_t i = 0; i < node.input_count(); ++i) {
    const auto piece = shape_values(node, i);
    if (!piece) return {};
    out.insert(out.end(), piece->begin(), piece->end());
  }
  const bool is_pack = node.op().code == PACK;
  const int rank = is_pack ? 0 : 1;
  for (size_t i = 0; i < node.input_count(); ++i) require_known_rank(node, i, rank, rank);
  if (is_pack) {
    const auto* options = node.find_options<tflite::PackOptions>();
    if (options != nullptr) require_known_axis(node, options->axis());
    return out;
  }
  const auto* options = node.find_options<tflite::ConcatenationOptions>();
  if (options == nullptr) return out;
  require_known_axis(node, options->axis());
  if (options->fused_activation_function() != tflite::ActivationFunctionType::NONE) {
    node.unsupported("a fused activation on known integers", "NONE");
  }
  return out;
}

/// Result of an operator on known integers; nothing for one that is not evaluated.
std::optional<ShapeValues> evaluated(const TfliteNode& node, const ShapeValues& x) {
  const Shape line{static_cast<int64_t>(x.size())};
  switch (node.op().code) {
    case RESHAPE:
    case SQUEEZE:
    case EXPAND_DIMS:
      return x;
    case SLICE:
      require_known_rank(node, 0, 1, 1);
      return cut_values(x, tflite_slice_cuts(node, line).front());
    case STRIDED_SLICE:
      require_known_rank(node, 0, 1, 1);
      return cut_values(x, tflite_strided_cuts(node, line).front());
    case GATHER:
      return gathered_values(node, x);
    case PACK:
    case CONCATENATION:
      return joined_values(node);
    default:
      return {};
  }
}

/// DEQUANTIZE: scale * (code - zero point). QUANTIZE: value / scale, half_away_from_zero, as
/// TFLite's kernels do (reference/quantize.h).
bool evaluate_scales(TfliteNode& node) {
  const bool is_quantize = node.op().code == QUANTIZE;
  if (!is_quantize && node.op().code != DEQUANTIZE) return false;
  node.require_counts(1, 1);
  const auto value = node.graph().known(node.input(0).number);
  if (!value || is_quantize != (value->dtype() == DType::float32)) return false;
  const auto qparams = node.graph().qparams(is_quantize ? node.output() : node.input(0));
  if (!qparams) node.fail("no scale", "a scale and a zero point");
  const size_t bytes = size_of(is_quantize ? qparams->type.storage() : DType::float32);
  node.graph().spend(node.output().name,
                     kBytesPerKnown + value->numel() * static_cast<int64_t>(bytes));
  if (!is_quantize) {
    node.graph().set_known(node.output().number, quant::dequantize(*value, *qparams));
    return true;
  }
  quant::TensorSpec spec;
  spec.type = qparams->type;
  spec.rounding = sim::Rounding::half_away_from_zero;
  node.graph().set_known(node.output().number, quant::quantize(*value, *qparams, spec));
  return true;
}

}  // namespace

bool evaluate_tflite_constants(TfliteNode& node) {
  if (node.input_count() == 0 || !node.has_input(0) || node.output_count() != 1) return false;
  if (node.op().code == SHAPE) {
    node.require_counts(1, 1);
    const Shape& shape = node.input(0).shape;
    set_integers(node, shape.extents());
    return true;
  }
  if (evaluate_scales(node)) return true;
  const auto x = shape_values(node, 0);
  if (!x) return false;
  const auto result = evaluated(node, *x);
  if (!result) return false;
  set_integers(node, *result);
  return true;
}

}  // namespace facsim::backends::detail
