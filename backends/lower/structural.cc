// SPDX-License-Identifier: Apache-2.0
// pad, concat, slice, transpose and resize: codes move, their scale does not change.
#include "backends/lower/node-internal.h"
#include "backends/lower/requantize-internal.h"
#include "backends/lower/tensor_ops.h"
#include "sim/core/error.h"
#include "sim/ops/concat.h"
#include "sim/ops/pad.h"
#include "sim/ops/resize.h"
#include "sim/ops/slice.h"
#include "sim/ops/transpose.h"

namespace facsim::backends {

namespace {

/// One input through the rules' program: (q - zero_point) * s_in / s_out.
sim::Requantizer rescaling_program(const OpRules& rules, const quant::QParams& input,
                                   const quant::QParams& output) {
  detail::LayerValues values;
  values.accumulator_scale = {input.scale.front()};
  values.output_scale = output.scale.front();
  values.real_multiplier = {
      quant::real_multiplier(input.scale.front(), 1.0f, output.scale.front(), rules.multiplier)};
  values.zero_point = output.zero_point.front();
  values.clamp = {output.quant_min, output.quant_max};
  values.output = output.type;
  return detail::bind_after(
      {detail::make_step(sim::StepKind::sub, sim::Operand::constant(input.zero_point.front()))},
      rules, values);
}

}  // namespace

std::shared_ptr<const sim::Op> lower_concat(const Profile& profile, int axis,
                                            const std::vector<quant::QParams>& inputs,
                                            const quant::QParams& output) {
  const OpRules& rules = profile.rules_for("concat", output.type);
  detail::require_output(output, rules);
  sim::ConcatParams params;
  params.axis = axis;
  params.output_dtype = output.type.storage();
  for (const quant::QParams& input : inputs) {
    detail::require_activation("input", input, rules);
    sim::ConcatInput entry;
    entry.dtype = input.type.storage();
    const bool same = input.scale == output.scale && input.zero_point == output.zero_point &&
                      input.type == output.type;
    if (!same) entry.requantize = rescaling_program(rules, input, output);
    params.inputs.push_back(std::move(entry));
  }
  return std::make_shared<sim::Concat>(std::move(params));
}

}  // namespace facsim::backends

namespace facsim::backends::detail {

namespace {

/// Axis of a tensor of at most 8 dimensions; error bad_value elsewhere.
int axis_number(int64_t axis) {
  if (axis < 0 || axis > 7) {
    throw Error({ErrorCode::bad_value, "axis", std::to_string(axis), "0..7", ""});
  }
  return static_cast<int>(axis);
}

/// The type of codes that an op moves, after checking that the profile has the op for it.
sim::IntType moved_type(const NodeView& node) {
  const quant::QParams& input = node.qparams(0);
  node.require_same_qparams();
  require_activation("input", input, node.profile().rules_for(node.node().op, input.type));
  return input.type;
}

}  // namespace

std::shared_ptr<const sim::Op> lower_node_pad(const NodeView& node) {
  sim::PadParams params;
  params.type = moved_type(node);
  params.before = node.attributes().pad_before;
  params.after = node.attributes().pad_after;
  const OpRules& rules = node.profile().rules_for("pad", params.type);
  params.value =
      node.attributes().pad_value.value_or(rules.padding_value(node.qparams(0).zero_point.front()));
  return std::make_shared<sim::Pad>(std::move(params));
}

std::shared_ptr<const sim::Op> lower_node_concat(const NodeView& node) {
  std::vector<quant::QParams> inputs;
  for (size_t i = 0; i < node.input_count(); ++i) inputs.push_back(node.qparams(i));
  return lower_concat(node.profile(), axis_number(node.attributes().axis), inputs, node.output());
}

std::shared_ptr<const sim::Op> lower_node_slice(const NodeView& node) {
  const NodeAttributes& attributes = node.attributes();
  if (attributes.begin.size() != attributes.end.size() ||
      attributes.begin.size() != attributes.strides.size()) {
    throw Error({ErrorCode::shape_mismatch, "slice", "lists of different length",
                 "begin, end and strides for each axis", ""});
  }
  sim::SliceParams params;
  params.dtype = moved_type(node).storage();
  params.axes.emplace_back();  // the batch, whole
  for (size_t i = 1; i < attributes.begin.size(); ++i) {
    params.axes.push_back({attributes.begin[i], attributes.end[i], attributes.strides[i]});
  }
  return std::make_shared<sim::Slice>(std::move(params));
}

std::shared_ptr<const sim::Op> lower_node_transpose(const NodeView& node) {
  sim::TransposeParams params;
  params.dtype = moved_type(node).storage();
  for (const int64_t axis : node.attributes().permutation) {
    params.permutation.push_back(axis_number(axis));
  }
  return std::make_shared<sim::Transpose>(std::move(params));
}

std::shared_ptr<const sim::Op> lower_node_resize(const NodeView& node) {
  const ResizeAttributes& attributes = node.attributes().resize;
  sim::ResizeParams params;
  params.type = moved_type(node);
  const OpRules& rules = node.profile().rules_for("resize", params.type);
  if (rules.algorithm != "tflite.resize") {
    throw Error(
        {ErrorCode::unsupported, "resize", "algorithm \"" + rules.algorithm + "\"", "", ""});
  }
  params.mode = attributes.mode == ResizeAttributes::Mode::nearest
                    ? sim::ResizeParams::Mode::nearest
                    : sim::ResizeParams::Mode::bilinear;
  params.size = attributes.size;
  params.align_corners = attributes.align_corners;
  params.half_pixel_centers = attributes.half_pixel_centers;
  return std::make_shared<sim::Resize>(params);
}

}  // namespace facsim::backends::detail
