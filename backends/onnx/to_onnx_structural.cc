// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>

#include "backends/onnx/to_onnx-internal.h"

namespace facsim::backends::detail {

namespace {

const std::vector<int64_t> kNchwFromNhwc{0, 3, 1, 2};

int rank_of(const OnnxBuilder& builder, const IntNode& node) {
  return builder.input(node, 0).shape.rank();
}

std::vector<OnnxAttribute> pool_attributes(const IntNode& node) {
  std::vector<OnnxAttribute> attributes = window_attributes(node.attributes.window);
  if (node.attributes.count_include_pad) {
    attributes.push_back(onnx_attribute("count_include_pad", int64_t{1}));
  }
  return attributes;
}

/// A pool of com.microsoft, or the real one between DequantizeLinear and QuantizeLinear.
void write_average(OnnxBuilder& builder, const IntNode& node, const std::string& op,
                   std::vector<OnnxAttribute> attributes) {
  const bool has_8_bits = builder.input(node, 0).qparams->type.bits == 8 &&
                          builder.output(node).qparams->type.bits == 8;
  if (builder.form() == OnnxForm::qdq || !has_8_bits) {
    builder.real_operator(node, onnx_node(op, {}, std::move(attributes)));
    return;
  }
  const int x = node.inputs[0];
  OnnxNode pool = onnx_node("QLinear" + op,
                            {builder.codes(x), builder.scale(x), builder.zero_point(x),
                             builder.scale(node.output), builder.zero_point(node.output)},
                            std::move(attributes), kMicrosoft);
  pool.name = node.name;
  const std::string out = builder.codes_output(node);
  builder.add(std::move(pool), out);
  builder.finish_codes(node, out);
}

}  // namespace

void write_onnx_max_pool2d(OnnxBuilder& builder, const IntNode& node) {
  builder.code_operator(node, onnx_node("MaxPool", {}, pool_attributes(node)));
}

void write_onnx_avg_pool2d(OnnxBuilder& builder, const IntNode& node) {
  write_average(builder, node, "AveragePool", pool_attributes(node));
}

void write_onnx_global_avg_pool(OnnxBuilder& builder, const IntNode& node) {
  write_average(builder, node, "GlobalAveragePool", {});
}

void write_onnx_mean(OnnxBuilder& builder, const IntNode& node) {
  const int rank = rank_of(builder, node);
  const bool keep = node.attributes.keep_dims;
  const std::vector<int64_t>& axes = node.attributes.axes;
  // Without the reduced axes the rest must have the IntGraph's order.
  const bool reorder = rank == 4 && !keep && axes != std::vector<int64_t>{1, 2};
  std::string x = builder.codes(node.inputs[0]);
  if (reorder) x = builder.to_nhwc(node, x, rank);
  std::vector<int64_t> reduced;
  for (const int64_t axis : axes) reduced.push_back(reorder ? axis : file_axis(axis, rank));
  std::sort(reduced.begin(), reduced.end());
  OnnxNode mean = onnx_node("ReduceMean", {builder.dequantized(node, x, node.inputs[0])},
                            {onnx_attribute("keepdims", int64_t{keep ? 1 : 0})});
  if (builder.opset() >= 18) {
    mean.inputs.push_back(builder.integers(node.name + "/axes", reduced));
  } else {
    mean.attributes.push_back(onnx_attribute("axes", reduced));
  }
  mean.name = node.name;
  builder.quantized(
      node, builder.add(std::move(mean), builder.fresh(builder.output(node).name + "/real")));
}

void write_onnx_pad(OnnxBuilder& builder, const IntNode& node) {
  if (node.attributes.pad_value) {
    builder.unsupported(node, fmt::format("the value {}", *node.attributes.pad_value), "real 0");
  }
  std::vector<int64_t> pads = in_file_order(node.attributes.pad_before);
  const std::vector<int64_t> after = in_file_order(node.attributes.pad_after);
  pads.insert(pads.end(), after.begin(), after.end());
  OnnxNode op = onnx_node("Pad", {builder.integers(node.name + "/pads", std::move(pads))});
  // Real 0, which is what Pad takes without a value.
  if (builder.form() == OnnxForm::qoperator) {
    op.inputs.push_back(builder.zero_point(node.inputs[0]));
  }
  builder.code_operator(node, std::move(op));
}

void write_onnx_concat(OnnxBuilder& builder, const IntNode& node) {
  const int64_t axis = file_axis(node.attributes.axis, rank_of(builder, node));
  const std::vector<OnnxAttribute> attributes{onnx_attribute("axis", axis)};
  const bool equal = std::all_of(node.inputs.begin(), node.inputs.end(), [&](int number) {
    return builder.tensor(number).qparams == builder.output(node).qparams;
  });
  if (equal) {
    std::vector<std::string> values;
    for (const int number : node.inputs) values.push_back(builder.codes(number));
    builder.code_operator(node, values, onnx_node("Concat", {}, attributes));
    return;
  }
  if (builder.form() == OnnxForm::qdq) {
    builder.real_operator(node, onnx_node("Concat", {}, attributes));
    return;
  }
  OnnxNode concat =
      onnx_node("QLinearConcat", {builder.scale(node.output), builder.zero_point(node.output)},
                attributes, kMicrosoft);
  for (const int number : node.inputs) {
    concat.inputs.insert(concat.inputs.end(), {builder.codes(number), builder.scale(number),
                                               builder.zero_point(number)});
  }
  concat.name = node.name;
  builder.add(std::move(concat), builder.output(node).name);
  builder.finish_codes(node, builder.output(node).name);
}

void write_onnx_slice(OnnxBuilder& builder, const IntNode& node) {
  const Shape& shape = builder.input(node, 0).shape;
  std::vector<int64_t> axes, begin, end, strides;
  for (int axis = 1; axis < shape.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    const NodeAttributes& a = node.attributes;
    if (a.begin[i] == 0 && a.end[i] == shape[axis] && a.strides[i] == 1) continue;
    axes.push_back(file_axis(axis, shape.rank()));
    begin.push_back(a.begin[i]);
    end.push_back(a.end[i]);
    strides.push_back(a.strides[i]);
  }
  if (axes.empty()) {
    builder.code_operator(node, onnx_node("Identity", {}));
    return;
  }
  const std::string& name = node.name;
  builder.code_operator(node, onnx_node("Slice", {builder.integers(name + "/begin", begin),
                                                  builder.integers(name + "/end", end),
                                                  builder.integers(name + "/axes", axes),
                                                  builder.integers(name + "/strides", strides)}));
}

void write_onnx_transpose(OnnxBuilder& builder, const IntNode& node) {
  const int rank = rank_of(builder, node);
  std::vector<int64_t> perm(static_cast<size_t>(rank), 0);
  for (int axis = 0; axis < rank; ++axis) {
    perm[static_cast<size_t>(file_axis(axis, rank))] =
        file_axis(node.attributes.permutation[static_cast<size_t>(axis)], rank);
  }
  builder.code_operator(node, onnx_node("Transpose", {}, {onnx_attribute("perm", perm)}));
}

/// nearest: floor of the coordinate, or half up with aligned corners, as TFLite;
/// tf_half_pixel_for_nn is (i + 1/2) * in / out there.
void write_onnx_resize(OnnxBuilder& builder, const IntNode& node) {
  const ResizeAttributes& resize = node.attributes.resize;
  const bool nearest = resize.mode == ResizeAttributes::Mode::nearest;
  const std::string coordinates = resize.align_corners         ? "align_corners"
                                  : !resize.half_pixel_centers ? "asymmetric"
                                  : nearest                    ? "tf_half_pixel_for_nn"
                                                               : "half_pixel";
  std::vector<OnnxAttribute> attributes{
      onnx_attribute("mode", std::string(nearest ? "nearest" : "linear")),
      onnx_attribute("coordinate_transformation_mode", coordinates),
      onnx_attribute("axes", std::vector<int64_t>{2, 3})};
  if (nearest) {
    attributes.push_back(onnx_attribute(
        "nearest_mode", std::string(resize.align_corners ? "round_prefer_ceil" : "floor")));
  }
  const std::string sizes =
      builder.integers(node.name + "/sizes", {resize.size[0], resize.size[1]});
  const bool same = builder.input(node, 0).qparams == builder.output(node).qparams;
  if (nearest && same) {
    builder.code_operator(node, onnx_node("Resize", {"", "", sizes}, std::move(attributes)));
    return;
  }
  OnnxNode op = onnx_node("Resize", {builder.dequantized(node, node.inputs[0]), "", "", sizes},
                          std::move(attributes));
  op.name = node.name;
  builder.quantized(node,
                    builder.add(std::move(op), builder.fresh(builder.output(node).name + "/real")));
}

void write_onnx_reshape(OnnxBuilder& builder, const IntNode& node) {
  const int from = rank_of(builder, node), to = builder.output(node).shape.rank();
  const Shape& shape = builder.input(node, 0).shape;
  if (builder.input(node, 0).qparams != builder.output(node).qparams) {
    builder.unsupported(node, "scales that differ between input and output", "equal scales");
  }
  std::string x = builder.codes(node.inputs[0]);
  const bool channels_last = node.attributes.order == sim::ReshapeParams::Order::nhwc;
  if (from == 4 && channels_last && shape[1] * shape[2] > 1 && shape[3] > 1) {
    x = builder.to_nhwc(node, x, from);
  } else if (from == 3 && !channels_last) {
    OnnxNode transpose =
        onnx_node("Transpose", {x}, {onnx_attribute("perm", std::vector<int64_t>{0, 2, 1})});
    transpose.name = node.name + "/channels_first";
    x = builder.add(std::move(transpose));
  }
  OnnxNode reshape = onnx_node("Flatten", {}, {onnx_attribute("axis", int64_t{1})});
  if (to != 2) {
    std::vector<int64_t> extents = builder.output(node).shape.extents();
    extents[0] = 0;  // as it is: the batch
    reshape = onnx_node("Reshape", {builder.integers(node.name + "/shape", extents)});
  }
  if (to != 4) {
    builder.code_operator(node, {x}, std::move(reshape));
    return;
  }
  reshape.name = node.name + "/reshaped";
  reshape.inputs.insert(reshape.inputs.begin(), x);
  builder.code_operator(node, {builder.add(std::move(reshape))},
                        onnx_node("Transpose", {}, {onnx_attribute("perm", kNchwFromNhwc)}));
}

}  // namespace facsim::backends::detail
