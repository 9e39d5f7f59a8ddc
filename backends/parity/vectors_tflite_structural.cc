// SPDX-License-Identifier: Apache-2.0
// minimum, maximum, pad, strided_slice and transpose as TFLite Micro and CMSIS-NN record them.
#include <array>

#include "backends/lower/requantize-internal.h"
#include "backends/lower/tensor_ops.h"
#include "backends/parity/vectors_tflite-internal.h"
#include "sim/ops/pad.h"
#include "sim/ops/slice.h"
#include "sim/ops/transpose.h"

namespace facsim::backends::detail {

namespace {

/// The type of the codes that `op` moves under the profile.
sim::IntType moved_codes(const CaseRun& run, std::string_view op, const Tensor& input) {
  const sim::IntType type = code_type(input);
  require_type("input", type, run.profile.rules_for(op, type).activation_types);
  return type;
}

std::vector<Computed> min_max(const CaseRun& run, std::string_view op) {
  const Tensor& lhs = run.data.array("input1");
  const Tensor& rhs = run.data.array("input2");
  // Codes are compared as they are: any scale and zero point stands for the case's.
  const quant::QParams qparams = tensor_qparams(1.0f, 0, code_type(lhs));
  const auto computed =
      lower_min_max(run.profile, op, qparams, tensor_qparams(1.0f, 0, code_type(rhs)), qparams);
  return {{"", execute(*computed, {&lhs, &rhs}, run.data.golden().shape(), run.context)}};
}

std::vector<Computed> minimum(const CaseRun& run) { return min_max(run, "minimum"); }
std::vector<Computed> maximum(const CaseRun& run) { return min_max(run, "maximum"); }

std::vector<Computed> pad(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  const auto rank = static_cast<size_t>(input.shape().rank());
  sim::PadParams params;
  params.type = moved_codes(run, "pad", input);
  params.before = data.integers("pad_before", rank);
  params.after = data.integers("pad_after", rank);
  params.value = data.integer("pad_value");
  const sim::Pad op(std::move(params));
  return {{"", execute(op, {&input}, data.golden().shape(), run.context)}};
}

std::vector<Computed> transpose(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  sim::TransposeParams params;
  params.dtype = moved_codes(run, "transpose", input).storage();
  for (const int64_t axis : data.integers("perm", static_cast<size_t>(input.shape().rank()))) {
    if (axis < 0 || axis >= input.shape().rank()) {
      data.fail("perm", std::to_string(axis), "an axis of " + to_string(input.shape()));
    }
    params.permutation.push_back(static_cast<int>(axis));
  }
  const sim::Transpose op(std::move(params));
  return {{"", execute(op, {&input}, data.golden().shape(), run.context)}};
}

/// TFLite strided_slice.cc: bit i of begin_mask or end_mask leaves that end of axis i open; bit i
/// of shrink_axis_mask takes the index begin alone and drops the axis.
std::vector<Computed> strided_slice(const CaseRun& run) {
  const CaseData& data = run.data;
  const Tensor& input = data.array("input");
  for (const char* mask : {"ellipsis_mask", "new_axis_mask"}) {
    if (data.integer(mask, 0) == 0) continue;
    throw Error({ErrorCode::unsupported, mask, std::to_string(data.integer(mask)), "0", ""});
  }
  const auto rank = static_cast<size_t>(input.shape().rank());
  const std::vector<int64_t> begin = data.integers("begin", rank);
  const std::vector<int64_t> end = data.integers("end", rank);
  const std::vector<int64_t> strides = data.integers("strides", rank);
  const auto bit = [&](const char* mask, size_t axis) {
    return (static_cast<uint64_t>(data.integer(mask, 0)) >> axis & 1) != 0;
  };
  sim::SliceParams params;
  params.dtype = moved_codes(run, "slice", input).storage();
  std::vector<int64_t> kept;
  for (size_t axis = 0; axis < rank; ++axis) {
    sim::SliceAxis slice{begin[axis], end[axis], strides[axis]};
    const int64_t extent = input.shape()[static_cast<int>(axis)];
    if (bit("begin_mask", axis)) slice.begin.reset();
    if (bit("end_mask", axis)) slice.end.reset();
    if (bit("shrink_axis_mask", axis)) {
      const int64_t index = begin[axis] < 0 ? begin[axis] + extent : begin[axis];
      if (index < 0 || index >= extent) {
        data.fail("begin", std::to_string(begin[axis]), "an index below " + std::to_string(extent));
      }
      slice = {index, index + 1, 1};
    }
    params.axes.push_back(slice);
  }
  const sim::Slice op(std::move(params));
  const Shape whole = op.output_shape(std::array{input.shape()});
  for (size_t axis = 0; axis < rank; ++axis) {
    if (!bit("shrink_axis_mask", axis)) kept.push_back(whole[static_cast<int>(axis)]);
  }
  if (Shape(kept) != data.golden().shape()) {
    throw Error({ErrorCode::shape_mismatch, "output", to_string(Shape(kept)),
                 to_string(data.golden().shape()), ""});
  }
  return {{"", execute(op, {&input}, whole, run.context).reshaped(data.golden().shape())}};
}

constexpr std::array<AdapterEntry, 5> kStructuralAdapters{{
    {"minimum", minimum},
    {"maximum", maximum},
    {"pad", pad},
    {"transpose", transpose},
    {"strided_slice", strided_slice},
}};

}  // namespace

std::span<const AdapterEntry> tflite_structural_adapters() { return kStructuralAdapters; }

}  // namespace facsim::backends::detail
