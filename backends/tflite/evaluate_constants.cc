// SPDX-License-Identifier: Apache-2.0
// Operators whose result does not depend on the network's input: integers that describe shapes, and
// constants between DEQUANTIZE and QUANTIZE.
#include <fmt/format.h>

#include <algorithm>

#include "backends/tflite/tflite_slices-internal.h"

namespace facsim::backends::detail {

namespace {

using enum tflite::BuiltinOperator;

/// Integers without scales, of at most one axis.
struct ShapeValues {
  std::vector<int64_t> values;
  bool is_scalar = false;
};

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
  return ShapeValues{node.integers(i, "values"), t.shape.rank() == 0};
}

void set_integers(TfliteNode& node, const std::vector<int64_t>& values) {
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
  Tensor out(*dtype, Shape{static_cast<int64_t>(values.size())});
  const sim::IntType range = sim::full_range(*dtype);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < range.min() || values[i] > range.max()) {
      node.fail(std::to_string(values[i]), sim::to_string(range));
    }
    out.set_int(static_cast<int64_t>(i), values[i]);
  }
  node.graph().set_known(t.number, std::move(out));
}

std::vector<int64_t> cut_values(const ShapeValues& from, const TfliteCut& cut) {
  std::vector<int64_t> out;
  const int64_t end = std::min(cut.end, static_cast<int64_t>(from.values.size()));
  for (int64_t i = std::max<int64_t>(cut.begin, 0); i < end; i += cut.stride) {
    out.push_back(from.values[static_cast<size_t>(i)]);
  }
  return out;
}

/// Result of an operator on known integers; nothing for one that is not evaluated.
std::optional<std::vector<int64_t>> evaluated(TfliteNode& node, const ShapeValues& x) {
  const Shape line{static_cast<int64_t>(x.values.size())};
  switch (node.op().code) {
    case RESHAPE:
    case SQUEEZE:
    case EXPAND_DIMS:
      return x.values;
    case SLICE:
      return cut_values(x, tflite_slice_cuts(node, line).front());
    case STRIDED_SLICE:
      return cut_values(x, tflite_strided_cuts(node, line).front());
    case GATHER: {
      std::vector<int64_t> out;
      for (const int64_t index : node.integers(1, "indices")) {
        if (index < 0 || index >= line[0]) {
          node.fail(fmt::format("index {}", index), fmt::format("below {}", line[0]));
        }
        out.push_back(x.values[static_cast<size_t>(index)]);
      }
      return out;
    }
    case PACK:
    case CONCATENATION: {
      std::vector<int64_t> out;
      for (size_t i = 0; i < node.input_count(); ++i) {
        const auto piece = shape_values(node, i);
        if (!piece) return {};
        out.insert(out.end(), piece->values.begin(), piece->values.end());
      }
      return out;
    }
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
  const int64_t bytes_of_result = is_quantize ? 1 : 4;
  node.graph().spend(node.output().name, value->numel() * bytes_of_result);
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
