// SPDX-License-Identifier: Apache-2.0
// ONNX's QuantizeLinear, DequantizeLinear (per tensor, per axis, blocked) and
// DynamicQuantizeLinear.
#include <array>

#include "backends/lower/blocked.h"
#include "backends/lower/requantize-internal.h"
#include "backends/parity/vectors_onnx-internal.h"
#include "sim/core/error.h"
#include "sim/ops/dynamic_quantize.h"

namespace facsim::backends::detail {

namespace {

/// The axis of a case's scales, 0..rank-1.
int scale_axis(const CaseData& data, const Shape& x) {
  const int64_t axis = data.integer("axis", 1);
  const int64_t rank = x.rank();
  if (axis < -rank || axis >= rank) data.fail("axis", std::to_string(axis), "an axis of x");
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

/// Scales and zero points as the profile's ops take them; `blocks` is set for blocked cases.
struct LinearQuantization {
  quant::QParams qparams;
  std::optional<ScaleBlocks> blocks;
};

LinearQuantization linear_quantization(const CaseData& data, const Tensor& x, Roles scale_roles,
                                       Roles zero_point_roles, sim::IntType type) {
  const Tensor& scale = data.any(scale_roles);
  LinearQuantization out;
  const int64_t block_size = data.integer("block_size", 0);
  const int axis = scale.numel() == 1 ? -1 : scale_axis(data, x.shape());
  out.qparams = onnx_qparams(data, scale_roles, zero_point_roles, type, axis);
  if (out.qparams.zero_point.size() != static_cast<size_t>(scale.numel())) {
    throw Error({ErrorCode::shape_mismatch, "zero point",
                 std::to_string(out.qparams.zero_point.size()), std::to_string(scale.numel()), ""});
  }
  if (block_size != 0) {
    out.blocks = ScaleBlocks{scale.shape(), scale_axis(data, x.shape()), block_size};
  } else if (axis >= 0 && scale.shape().rank() != 1) {
    throw Error({ErrorCode::shape_mismatch, "scale", to_string(scale.shape()),
                 "one scale per index of the axis", ""});
  }
  return out;
}

std::vector<Computed> quantize_linear(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& x = data.any({"in_x"});
  const sim::IntType type =
      data.type("logical_dtypes/y_zero_point").value_or(code_type(data.golden()));
  const LinearQuantization to =
      linear_quantization(data, x, {"const_s", "in_y_scale"}, {"const_z", "in_y_zero_point"}, type);
  const auto op = to.blocks ? lower_quantize_blocked(run.profile, to.qparams, *to.blocks)
                            : lower_quantize(run.profile, to.qparams);
  return {{"", execute(*op, {&x}, data.golden().shape(), run.context)}};
}

std::vector<Computed> dequantize_linear(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& x = data.any({"in_x"});
  const sim::IntType type = data.type("logical_dtypes/x").value_or(code_type(x));
  const LinearQuantization from =
      linear_quantization(data, x, {"const_s", "const_x_scale", "in_x_scale"},
                          {"const_z", "const_x_zp", "in_x_zero_point"}, type);
  const auto op = from.blocks ? lower_dequantize_blocked(run.profile, from.qparams, *from.blocks)
                              : lower_dequantize(run.profile, from.qparams);
  return {{"", execute(*op, {&x}, data.golden().shape(), run.context)}};
}

std::vector<Computed> dynamic_quantize_linear(const CaseRun& run) {
  using Output = sim::DynamicQuantize::Output;
  const CaseData& data = run.data;
  const Tensor& x = data.any({"in_x"});
  require_type("output", sim::kUint8, run.profile.rules("dynamic_quantize").activation_types);
  const auto compute = [&](Output output, const Shape& shape) {
    return execute(sim::DynamicQuantize(output), {&x}, shape, run.context);
  };
  return {{"codes", compute(Output::codes, data.golden().shape())},
          {"scale", compute(Output::scale, {1}), "golden_1"},
          {"zero point", compute(Output::zero_point, {1}), "golden_2"}};
}

constexpr std::array<AdapterEntry, 3> kOnnxQuantizeAdapters{{
    {"QuantizeLinear", quantize_linear},
    {"DequantizeLinear", dequantize_linear},
    {"DynamicQuantizeLinear", dynamic_quantize_linear},
}};

}  // namespace

std::span<const AdapterEntry> onnx_quantize_adapters() { return kOnnxQuantizeAdapters; }

}  // namespace facsim::backends::detail
