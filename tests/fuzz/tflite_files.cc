// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/tflite_files.h"

#include "tests/tflite/file_builder.h"

namespace facsim::fuzz {

namespace {

namespace tflite = backends::tflite;
using test::FileBuilder;
using tflite::BuiltinOperator;
using tflite::TensorType;

/// A convolution, a depthwise one, a pool, a fully connected layer.
std::string layers() {
  FileBuilder file;
  const int x = file.int8("x", {1, 6, 6, 2}), a = file.int8("a", {1, 6, 6, 3}),
            b = file.int8("b", {1, 3, 3, 3}), c = file.int8("c", {1, 1, 1, 3}),
            y = file.int8("y", {1, 4});
  const int w =
      file.constant<int8_t>("w", TensorType::INT8, {3, 3, 3, 2}, std::vector<int8_t>(54, 3),
                            {{0.1f, 0.2f, 0.3f}, {0, 0, 0}, 0});
  const int bias = file.constant<int32_t>("bias", TensorType::INT32, {3}, {1, 2, 3},
                                          {{0.05f, 0.1f, 0.15f}, {0, 0, 0}, 0});
  const int d = file.constant<int8_t>("d", TensorType::INT8, {1, 3, 3, 3},
                                      std::vector<int8_t>(27, -2), {{0.1f}, {0}});
  const int f = file.constant<int8_t>("f", TensorType::INT8, {4, 3}, std::vector<int8_t>(12, 1),
                                      {{0.1f}, {0}});
  tflite::Conv2DOptionsT conv;
  conv.stride_w = conv.stride_h = 1;
  conv.fused_activation_function = tflite::ActivationFunctionType::RELU6;
  file.add(BuiltinOperator::CONV_2D, {x, w, bias}, {a}, conv);
  tflite::DepthwiseConv2DOptionsT depthwise;
  depthwise.stride_w = depthwise.stride_h = 2;
  depthwise.depth_multiplier = 1;
  file.add(BuiltinOperator::DEPTHWISE_CONV_2D, {a, d, -1}, {b}, depthwise);
  tflite::Pool2DOptionsT pool;
  pool.filter_width = pool.filter_height = 3;
  pool.stride_w = pool.stride_h = 1;
  pool.padding = tflite::Padding::VALID;
  file.add(BuiltinOperator::AVERAGE_POOL_2D, {b}, {c}, pool);
  file.add(BuiltinOperator::FULLY_CONNECTED, {c, f, -1}, {y}, tflite::FullyConnectedOptionsT{});
  file.inputs({x});
  file.outputs({y});
  return file.bytes();
}

/// Operators that move or cut codes, a computed shape, real numbers at both ends.
std::string structure() {
  FileBuilder file;
  const int x = file.activation("x", TensorType::FLOAT32, {1, 4, 6});
  const int q = file.int8("q", {1, 4, 6}), cut = file.int8("cut", {1, 2, 6}),
            turned = file.int8("turned", {1, 6, 2}), joined = file.int8("joined", {1, 6, 4}),
            flat = file.int8("flat", {1, 24});
  const int y = file.activation("y", TensorType::FLOAT32, {1, 24});
  const int shape = file.activation("shape", TensorType::INT32, {3});
  const int begin = file.int32s("begin", {0, 1, 0}), end = file.int32s("end", {1, 3, 6}),
            one = file.int32s("one", {1, 1, 1}), order = file.int32s("order", {0, 2, 1});
  file.add(BuiltinOperator::QUANTIZE, {x}, {q});
  file.add(BuiltinOperator::STRIDED_SLICE, {q, begin, end, one}, {cut},
           tflite::StridedSliceOptionsT{});
  file.add(BuiltinOperator::TRANSPOSE, {cut, order}, {turned});
  tflite::ConcatenationOptionsT concat;
  concat.axis = 2;
  file.add(BuiltinOperator::CONCATENATION, {turned, turned}, {joined}, concat);
  file.add(BuiltinOperator::SHAPE, {joined}, {shape});
  file.add(BuiltinOperator::RESHAPE, {joined, shape}, {flat});
  file.add(BuiltinOperator::DEQUANTIZE, {flat}, {y});
  file.inputs({x});
  file.outputs({y});
  return file.bytes();
}

/// Operators with several outputs, with integers as inputs, with two operands.
std::string pieces() {
  FileBuilder file;
  const int x = file.int8("x", {1, 4, 4, 2});
  const int a = file.int8("a", {1, 4, 2, 2}), b = file.int8("b", {1, 4, 2, 2}),
            padded = file.int8("padded", {1, 4, 4, 2}), both = file.int8("both", {1, 2, 4, 2, 2}),
            first = file.int8("first", {1, 4, 2, 2}), second = file.int8("second", {1, 4, 2, 2}),
            wide = file.int8("wide", {1, 8, 4, 2}), large = file.int8("large", {1, 4, 4, 2}),
            mean = file.int8("mean", {1, 2}), y = file.int8("y", {1, 4, 4, 2});
  const int axis = file.constant<int32_t>("axis", TensorType::INT32, {}, {2}),
            paddings = file.constant<int32_t>("paddings", TensorType::INT32, {4, 2},
                                              {0, 0, 0, 0, 1, 1, 0, 0}),
            shape = file.int32s("shape", {1, 8, 4, 2}), size = file.int32s("size", {4, 4}),
            axes = file.int32s("axes", {1, 2});
  const int w = file.constant<int8_t>("w", TensorType::INT8, {2, 2, 2, 2},
                                      std::vector<int8_t>(16, 5), {{0.1f}, {0}});
  const int alpha =
      file.constant<int8_t>("alpha", TensorType::INT8, {1, 1, 2}, {3, -4}, {{0.1f}, {0}});
  tflite::SplitOptionsT split;
  split.num_splits = 2;
  tflite::PackOptionsT pack;
  pack.axis = 1;
  tflite::UnpackOptionsT unpack;
  unpack.axis = 1;
  tflite::TransposeConvOptionsT transposed;
  transposed.stride_h = 2;
  transposed.stride_w = 2;
  file.add(BuiltinOperator::SPLIT, {axis, x}, {a, b}, split);
  file.add(BuiltinOperator::PACK, {a, b}, {both}, pack);
  file.add(BuiltinOperator::UNPACK, {both}, {first, second}, unpack);
  file.add(BuiltinOperator::PAD, {first, paddings}, {padded});
  file.add(BuiltinOperator::TRANSPOSE_CONV, {shape, w, second}, {wide}, transposed);
  file.add(BuiltinOperator::RESIZE_BILINEAR, {wide, size}, {large},
           tflite::ResizeBilinearOptionsT{});
  file.add(BuiltinOperator::MEAN, {large, axes}, {mean}, tflite::ReducerOptionsT{});
  const int sum = file.int8("sum", {1, 4, 4, 2});
  file.add(BuiltinOperator::ADD, {padded, mean}, {sum}, tflite::AddOptionsT{});
  file.add(BuiltinOperator::PRELU, {sum, alpha}, {y});
  file.inputs({x});
  file.outputs({y});
  return file.bytes();
}

/// Paddings that are evaluated from int64 lists: cut, gathered, packed, joined, reshaped.
std::string known() {
  FileBuilder file;
  const int x = file.int8("x", {1, 4, 2}), y = file.int8("y", {1, 5, 4});
  const auto list = [&](const char* name, const std::vector<int64_t>& values) {
    return file.constant<int64_t>(name, TensorType::INT64, {static_cast<int32_t>(values.size())},
                                  values);
  };
  const auto result = [&](const char* name, std::vector<int32_t> shape) {
    return file.activation(name, TensorType::INT64, std::move(shape));
  };
  const int source = list("source", {0, 7, 0, 1, 2, 7}), begin = list("begin", {0}),
            end = list("end", {6}), step = list("step", {2}), indices = list("indices", {0, 3});
  const int cut = result("cut", {3}), picked = result("picked", {2}), first = result("first", {}),
            zeros = result("zeros", {2}), all = result("all", {7}), six = result("six", {6}),
            paddings = result("paddings", {3, 2}), row = result("row", {1, 2});
  tflite::StridedSliceOptionsT shrink;
  shrink.shrink_axis_mask = 1;
  file.add(BuiltinOperator::STRIDED_SLICE, {source, begin, end, step}, {cut},
           tflite::StridedSliceOptionsT{});
  file.add(BuiltinOperator::STRIDED_SLICE, {source, begin, end, step}, {first}, shrink);
  file.add(BuiltinOperator::GATHER, {source, indices}, {picked}, tflite::GatherOptionsT{});
  file.add(BuiltinOperator::PACK, {first, first}, {zeros}, tflite::PackOptionsT{});
  file.add(BuiltinOperator::CONCATENATION, {zeros, picked, cut}, {all},
           tflite::ConcatenationOptionsT{});
  file.add(BuiltinOperator::SLICE, {all, begin, end}, {six});
  file.add(BuiltinOperator::RESHAPE, {six, list("shape", {3, 2})}, {paddings});
  const int padded = file.int8("padded", {1, 5, 2}), front = file.int8("front", {1, 5, 1}),
            back = file.int8("back", {1, 5, 1});
  file.add(BuiltinOperator::PAD, {x, paddings}, {padded});
  file.add(BuiltinOperator::SPLIT_V, {padded, list("sizes", {1, -1}), list("axis", {2})},
           {front, back}, tflite::SplitVOptionsT{});
  tflite::ConcatenationOptionsT join;
  join.axis = 2;
  const int joined = file.int8("joined", {1, 5, 2});
  file.add(BuiltinOperator::CONCATENATION, {back, front}, {joined}, join);
  file.add(BuiltinOperator::EXPAND_DIMS, {picked, begin}, {row});
  file.add(BuiltinOperator::CONCATENATION, {joined, padded}, {y}, join);
  file.inputs({x});
  file.outputs({y});
  return file.bytes();
}

/// A filter with states.
std::string states() {
  FileBuilder file;
  const int x = file.int8("x", {1, 2}), y = file.int8("y", {1, 2});
  const int features =
      file.constant<int8_t>("features", TensorType::INT8, {2, 2}, {1, 2, 3, -4}, {{0.5f}, {0}});
  const int time = file.constant<int16_t>("time", TensorType::INT16, {2, 3}, {5, 6, 7, 8, 9, 10},
                                          {{0.25f}, {0}});
  const int state = file.activation("state", TensorType::INT16, {1, 6}, {{0.25f}, {0}});
  file.tensor(state).is_variable = true;
  tflite::SVDFOptionsT options;
  options.rank = 1;
  file.add(BuiltinOperator::SVDF, {x, features, time, -1, state}, {y}, options);
  file.inputs({x});
  file.outputs({y});
  return file.bytes();
}

}  // namespace

std::vector<std::string> tflite_files() {
  return {layers(), structure(), pieces(), states(), known()};
}

}  // namespace facsim::fuzz
