// SPDX-License-Identifier: Apache-2.0
// Operators that move codes, and shapes that the file computes: what they become, and that the
// network then runs: codes by hand under tflite-micro.
#include <doctest/doctest.h>

#include "tests/formats/temp_folder.h"
#include "tests/tflite/one_op.h"

namespace facsim::test {
namespace {

TEST_CASE("tflite RESHAPE, SQUEEZE, EXPAND_DIMS: the output has the shape") {
  const auto reshape = [](BuiltinOperator code, std::vector<int32_t> in, std::vector<int32_t> out) {
    OneOp file(std::move(in), std::move(out));
    file.add(code, {file.x}, {file.y});
    return file.read();
  };
  CHECK(only_node(reshape(BuiltinOperator::RESHAPE, {1, 4, 2}, {1, 8})).attributes.extents ==
        std::vector<int64_t>{8});
  CHECK(only_node(reshape(BuiltinOperator::SQUEEZE, {1, 1, 1, 8}, {1, 8})).op == "reshape");
  CHECK(reshape(BuiltinOperator::EXPAND_DIMS, {1, 8}, {1, 1, 8}).tensors[1].shape ==
        Shape{1, 1, 8});
  // Axis 0 holds what the batch is not: an axis of 1 goes in front.
  CHECK(reshape(BuiltinOperator::RESHAPE, {1, 8}, {4, 2}).tensors[1].shape == Shape{1, 4, 2});
  CHECK(reshape(BuiltinOperator::RESHAPE, {2, 6}, {6, 2}).tensors[1].shape == Shape{1, 3, 2});
  CHECK(contains(error_text(ErrorCode::unsupported,
                            [&] {
                              reshape(BuiltinOperator::RESHAPE, {2, 8}, {1, 16});
                            }),
                 "images must stay apart"));
  CHECK(contains(error_text(ErrorCode::shape_mismatch,
                            [&] {
                              reshape(BuiltinOperator::RESHAPE, {1, 8}, {1, 9});
                            }),
                 "operator 0 (RESHAPE)"));
}

TEST_CASE("tflite: shapes that the file computes are evaluated") {
  // SHAPE -> STRIDED_SLICE (its batch) -> PACK with a constant -> RESHAPE: what Keras leaves of
  // Flatten under a dynamic batch.
  OneOp file({1, 2, 3}, {1, 6});
  file.tensor(file.x).shape_signature = {-1, 2, 3};
  file.tensor(file.y).shape_signature = {-1, 6};
  const int shape = file.activation("shape", TensorType::INT32, {3});
  const int first = file.activation("first", TensorType::INT32, {});
  const int target = file.activation("target", TensorType::INT32, {2});
  const int zero = file.int32s("zero", {0}), one = file.int32s("one", {1});
  const int six = file.constant<int32_t>("six", TensorType::INT32, {}, {6});
  tflite::StridedSliceOptionsT slice;
  slice.shrink_axis_mask = 1;
  tflite::PackOptionsT pack;
  pack.values_count = 2;
  file.add(BuiltinOperator::SHAPE, {file.x}, {shape}, tflite::ShapeOptionsT{});
  file.add(BuiltinOperator::STRIDED_SLICE, {shape, zero, one, one}, {first}, slice);
  file.add(BuiltinOperator::PACK, {first, six}, {target}, pack);
  file.add(BuiltinOperator::RESHAPE, {file.x, target}, {file.y});
  const IntGraph graph = file.read();
  CHECK(only_node(graph).op == "reshape");
  CHECK(graph.tensors.size() == 2);
}

/// x (1, 1, 2, 1) -> PAD by "paddings" (4, 2) of this type, which other operators compute -> y.
struct ComputedPaddings : OneOp {
  int paddings;
  explicit ComputedPaddings(TensorType type = TensorType::INT32)
      : OneOp({1, 1, 2, 1}, {1, 2, 3, 1}), paddings(activation("paddings", type, {4, 2})) {}
  Codes padded() {
    add(BuiltinOperator::PAD, {x, paddings}, {y});
    return run(read(), {5, 6});
  }
  void refused(ErrorCode code, const char* where, const char* part) {
    add(BuiltinOperator::PAD, {x, paddings}, {y});
    const std::string text = error_text(code, [&] { read(); });
    CAPTURE(text);
    CHECK(contains(text, where));
    CHECK(contains(text, part));
  }
};

TEST_CASE("tflite: known integers are joined as PACK, CONCATENATION and GATHER order them") {
  // Lists joined behind each other, then reshaped to (4, 2).
  ComputedPaddings joined;
  const int front = joined.int32s("front", {0, 0, 1, 0}),
            back = joined.int32s("back", {0, 1, 0, 0});
  const int list = joined.activation("list", TensorType::INT32, {8});
  const int shape = joined.int32s("shape", {4, 2});
  joined.add(BuiltinOperator::CONCATENATION, {front, back}, {list}, [] {
    tflite::ConcatenationOptionsT o;
    o.axis = -1;
    return o;
  }());
  joined.add(BuiltinOperator::RESHAPE, {list, shape}, {joined.paddings});
  CHECK(joined.padded() == Codes{0, 0, 0, 5, 6, 0});

  ComputedPaddings gathered;
  const int source = gathered.int32s("source", {1, 0});
  const int indices = gathered.int32s("indices", {1, 1, 0, 1, 1, 0, 1, 1});
  const int picked = gathered.activation("picked", TensorType::INT32, {8});
  gathered.add(BuiltinOperator::GATHER, {source, indices}, {picked}, tflite::GatherOptionsT{});
  gathered.add(BuiltinOperator::RESHAPE, {picked, gathered.int32s("shape", {4, 2})},
               {gathered.paddings});
  CHECK(gathered.padded() == Codes{0, 0, 0, 5, 6, 0});
}

TEST_CASE("tflite: known integers of more axes are refused where their order would change") {
  // PACK of (before) and (after) on axis 1 is the columns of the paddings, not its halves.
  for (const int axis : {0, 1}) {
    ComputedPaddings file;
    const int before = file.int32s("before", {0, 1, 0, 0}),
              after = file.int32s("after", {0, 0, 1, 0});
    tflite::PackOptionsT pack;
    pack.values_count = 2;
    pack.axis = axis;
    file.add(BuiltinOperator::PACK, {before, after}, {file.paddings}, pack);
    file.refused(ErrorCode::unsupported, "operator 0 (PACK)", "rank 0");
  }
  {
    ComputedPaddings file;
    const auto column = [&](const char* name, const std::vector<int32_t>& values) {
      return file.constant<int32_t>(name, TensorType::INT32, {4, 1}, values);
    };
    tflite::ConcatenationOptionsT concat;
    concat.axis = 1;
    file.add(BuiltinOperator::CONCATENATION,
             {column("before", {0, 1, 0, 0}), column("after", {0, 0, 1, 0})}, {file.paddings},
             concat);
    file.refused(ErrorCode::unsupported, "operator 0 (CONCATENATION)", "rank 1");
  }
  const auto gather = [](std::vector<int32_t> shape, int axis, int batch_dims, ErrorCode code,
                         const char* part) {
    ComputedPaddings file;
    const int source = file.constant<int32_t>("source", TensorType::INT32, std::move(shape),
                                              std::vector<int32_t>(8, 0));
    tflite::GatherOptionsT options;
    options.axis = axis;
    options.batch_dims = batch_dims;
    file.add(BuiltinOperator::GATHER, {source, file.int32s("i", {0, 1, 2, 3, 4, 5, 6, 7})},
             {file.paddings}, options);
    file.refused(code, "operator 0 (GATHER)", part);
  };
  gather({4, 2}, 0, 0, ErrorCode::unsupported, "rank 1");
  gather({8}, 1, 0, ErrorCode::unsupported, "axis 1");
  gather({8}, 0, 1, ErrorCode::unsupported, "batch_dims 1");
  ComputedPaddings cut;
  const int source =
      cut.constant<int32_t>("source", TensorType::INT32, {4, 2}, std::vector<int32_t>(8, 0));
  cut.add(BuiltinOperator::SLICE, {source, cut.int32s("b", {0, 0}), cut.int32s("s", {-1, -1})},
          {cut.paddings});
  cut.refused(ErrorCode::unsupported, "operator 0 (SLICE)", "rank 1");
}

TEST_CASE("tflite: known integers have as many elements as the shape of their tensor") {
  ComputedPaddings file;
  const int six = file.int32s("six", {0, 0, 1, 0, 0, 1});
  file.add(BuiltinOperator::RESHAPE, {six, file.int32s("shape", {4, 2})}, {file.paddings});
  file.refused(ErrorCode::shape_mismatch, "operator 0 (RESHAPE)", "6 known integers");
}

TEST_CASE("tflite STRIDED_SLICE: strides near 2^63 of known integers") {
  const auto slice = [](ComputedPaddings& file, int64_t stride, int count) {
    const auto list = [&](const char* name, const std::vector<int64_t>& values) {
      return file.constant<int64_t>(name, TensorType::INT64, {static_cast<int32_t>(values.size())},
                                    values);
    };
    const int source = list("source", {9, 0, 0, 1, 0, 0, 1, 0, 0});
    const int cut = file.activation("cut", TensorType::INT64, {count});
    file.add(BuiltinOperator::STRIDED_SLICE,
             {source, list("b", {1}), list("e", {INT64_MAX}), list("s", {stride})}, {cut},
             tflite::StridedSliceOptionsT{});
    file.add(BuiltinOperator::RESHAPE, {cut, file.int32s("shape", {4, 2})}, {file.paddings});
  };
  ComputedPaddings whole(TensorType::INT64);
  slice(whole, 1, 8);
  CHECK(whole.padded() == Codes{0, 0, 0, 5, 6, 0});
  // One element each, and no index behind it.
  for (const int64_t stride : {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, int64_t{8}}) {
    ComputedPaddings one(TensorType::INT64);
    slice(one, stride, 1);
    one.refused(ErrorCode::shape_mismatch, "operator 1 (RESHAPE)", "1 known integers");
  }
}

TEST_CASE("tflite STRIDED_SLICE, SPLIT_V: lengths near 2^63 of codes") {
  const auto list = [](FileBuilder& file, const char* name, const std::vector<int64_t>& values) {
    return file.constant<int64_t>(name, TensorType::INT64, {static_cast<int32_t>(values.size())},
                                  values);
  };
  OneOp cut({1, 4}, {1, 3});
  tflite::StridedSliceOptionsT offset;
  offset.offset = true;
  cut.add(BuiltinOperator::STRIDED_SLICE,
          {cut.x, list(cut, "b", {0, 1}), list(cut, "e", {1, INT64_MAX}), list(cut, "s", {1, 1})},
          {cut.y}, offset);
  CHECK(run(cut.read()) == Codes{1, 2, 3});
  for (const std::vector<int64_t>& sizes : {std::vector<int64_t>{1, INT64_MAX},
                                            {INT64_MAX, INT64_MAX},
                                            {-1, INT64_MIN},
                                            {-1, 5},
                                            {INT64_MIN, -1},
                                            {-1, -1},
                                            {1, 2}}) {
    OneOp file({1, 4}, {1, 3});
    const int front = file.int8("front", {1, 1});
    file.add(BuiltinOperator::SPLIT_V,
             {file.x, list(file, "sizes", sizes), file.int32s("axis", {1})}, {front, file.y},
             tflite::SplitVOptionsT{});
    CHECK(contains(error_text(ErrorCode::shape_mismatch, [&] { file.read(); }), "SPLIT_V"));
  }
}

TEST_CASE("tflite PAD and PADV2") {
  const auto pad = [](const std::vector<int32_t>& paddings, std::vector<int32_t> out,
                      std::optional<int8_t> value) {
    OneOp file({1, 1, 2, 1}, std::move(out));
    const int list = file.constant<int32_t>("paddings", TensorType::INT32, {4, 2}, paddings);
    std::vector<int32_t> operands{file.x, list};
    if (value) {
      operands.push_back(
          file.constant<int8_t>("value", TensorType::INT8, {}, {*value}, {{0.5f}, {0}}));
    }
    file.add(value ? BuiltinOperator::PADV2 : BuiltinOperator::PAD, operands, {file.y});
    return file.read();
  };
  CHECK(run(pad({0, 0, 1, 0, 0, 1, 0, 0}, {1, 2, 3, 1}, {}), {5, 6}) == Codes{0, 0, 0, 5, 6, 0});
  CHECK(run(pad({0, 0, 1, 0, 0, 1, 0, 0}, {1, 2, 3, 1}, int8_t{0}), {5, 6}) ==
        Codes{0, 0, 0, 5, 6, 0});
  CHECK(run(pad({0, 0, 1, 0, 0, 1, 0, 0}, {1, 2, 3, 1}, int8_t{-128}), {5, 6}) ==
        Codes{-128, -128, -128, 5, 6, -128});
  const auto refused = [&](const std::vector<int32_t>& paddings, std::vector<int32_t> out,
                           std::optional<int8_t> value, ErrorCode code, const char* part) {
    CHECK(contains(error_text(code, [&] { pad(paddings, std::move(out), value); }), part));
  };
  refused({1, 0, 0, 0, 0, 0, 0, 0}, {2, 1, 2, 1}, {}, ErrorCode::unsupported, "batch");
  refused({0, 0, -1, 0, 0, 0, 0, 0}, {1, 1, 2, 1}, {}, ErrorCode::shape_mismatch, "PAD");
}

TEST_CASE("tflite CONCATENATION, PACK, UNPACK, SPLIT, SPLIT_V") {
  OneOp concat({1, 2, 2}, {1, 2, 4});
  tflite::ConcatenationOptionsT options;
  options.axis = -1;
  concat.add(BuiltinOperator::CONCATENATION, {concat.x, concat.x}, {concat.y}, options);
  CHECK(run(concat.read()) == Codes{0, 1, 0, 1, 2, 3, 2, 3});

  // SPLIT to two, packed on a new axis, unpacked again.
  OneOp file({1, 4}, {1, 2});
  const int a = file.int8("a", {1, 2}), b = file.int8("b", {1, 2}), p = file.int8("p", {1, 2, 2}),
            u = file.int8("u", {1, 2});
  const int axis = file.constant<int32_t>("axis", TensorType::INT32, {}, {1});
  tflite::SplitOptionsT split;
  split.num_splits = 2;
  tflite::PackOptionsT pack;
  pack.axis = 1;
  pack.values_count = 2;
  tflite::UnpackOptionsT unpack;
  unpack.axis = 2;
  unpack.num = 2;
  file.add(BuiltinOperator::SPLIT, {axis, file.x}, {a, b}, split);
  file.add(BuiltinOperator::PACK, {b, a}, {p}, pack);
  file.add(BuiltinOperator::UNPACK, {p}, {u, file.y}, unpack);
  CHECK(run(file.read()) == Codes{3, 1});

  OneOp pieces({1, 5}, {1, 3});
  const int front = pieces.int8("front", {1, 2});
  const int sizes = pieces.int32s("sizes", {2, -1}), last = pieces.int32s("last", {-1});
  pieces.add(BuiltinOperator::SPLIT_V, {pieces.x, sizes, last}, {front, pieces.y},
             tflite::SplitVOptionsT{});
  CHECK(run(pieces.read()) == Codes{2, 3, 4});

  OneOp uneven({1, 5}, {1, 2});
  const int other = uneven.int8("other", {1, 2});
  const int one = uneven.int32s("one", {1});
  uneven.add(BuiltinOperator::SPLIT, {one, uneven.x}, {other, uneven.y}, split);
  CHECK(contains(error_text(ErrorCode::shape_mismatch, [&] { uneven.read(); }), "equal pieces"));

  // Rows packed on axis 0, which is not the batch.
  OneOp rows({1, 2}, {2, 1, 2});
  pack.axis = 0;
  rows.add(BuiltinOperator::PACK, {rows.x, rows.x}, {rows.y}, pack);
  CHECK(run(rows.read()) == Codes{0, 1, 0, 1});
}

TEST_CASE("tflite SLICE and STRIDED_SLICE: masks, negative indices, shrunk axes") {
  OneOp slice({1, 3, 4}, {1, 2, 2});
  const int begin = slice.int32s("begin", {0, 1, 2}), size = slice.int32s("size", {1, 2, -1});
  slice.add(BuiltinOperator::SLICE, {slice.x, begin, size}, {slice.y});
  CHECK(run(slice.read()) == Codes{6, 7, 10, 11});
  const auto strided = [](std::vector<int32_t> out, const std::vector<int32_t>& from,
                          const std::vector<int32_t>& to, const std::vector<int32_t>& steps,
                          tflite::StridedSliceOptionsT options) {
    OneOp file({1, 3, 4}, std::move(out));
    const int b = file.int32s("b", from), e = file.int32s("e", to), s = file.int32s("s", steps);
    file.add(BuiltinOperator::STRIDED_SLICE, {file.x, b, e, s}, {file.y}, options);
    return file.read();
  };
  tflite::StridedSliceOptionsT plain, masks, shrink, offset, ellipsis;
  CHECK(run(strided({1, 2, 2}, {0, 0, 0}, {1, 3, 4}, {1, 2, 3}, plain)) == Codes{0, 3, 8, 11});
  CHECK(run(strided({1, 1, 2}, {0, -1, -3}, {1, 3, -1}, {1, 1, 1}, plain)) == Codes{9, 10});
  masks.begin_mask = 0b101;
  masks.end_mask = 0b111;
  CHECK(run(strided({1, 2, 4}, {9, 1, 9}, {0, 0, 0}, {1, 1, 1}, masks)) ==
        Codes{4, 5, 6, 7, 8, 9, 10, 11});
  shrink.shrink_axis_mask = 0b010;
  CHECK(run(strided({1, 4}, {0, -1, 0}, {1, 0, 4}, {1, 1, 1}, shrink)) == Codes{8, 9, 10, 11});
  offset.offset = true;
  CHECK(run(strided({1, 1, 2}, {0, 1, 1}, {1, 1, 2}, {1, 1, 1}, offset)) == Codes{5, 6});
  // Fewer entries than axes: the others whole.
  CHECK(run(strided({1, 1, 4}, {0, 2}, {1, 3}, {1, 1}, plain)) == Codes{8, 9, 10, 11});
  const auto refused = [&](auto make, ErrorCode code, const char* part) {
    CHECK(contains(error_text(code, make), part));
  };
  ellipsis.ellipsis_mask = 1;
  refused([&] { strided({1, 3, 4}, {0}, {1}, {1}, ellipsis); }, ErrorCode::unsupported, "ellipsis");
  refused(
      [&] {
        strided({1, 3, 4}, {0, 0, 3}, {1, 3, 0}, {1, 1, -1}, plain);
      },
      ErrorCode::unsupported, "stride -1");
  refused(
      [&] {
        strided({1, 3, 4}, {0, 0, 0}, {1, 3, 4}, {1, 1, 0}, plain);
      },
      ErrorCode::unsupported, "stride 0");
  refused(
      [&] {
        strided({1, 3}, {0, 0, 9}, {1, 3, 4}, {1, 1, 1}, [] {
          tflite::StridedSliceOptionsT o;
          o.shrink_axis_mask = 4;
          return o;
        }());
      },
      ErrorCode::bad_value, "index 9");
  refused(
      [&] {
        strided({1, 0, 4}, {0, 2, 0}, {1, 2, 4}, {1, 1, 1}, plain);
      },
      ErrorCode::unsupported, "one index or more");
}

TEST_CASE("tflite TRANSPOSE: axes, and the batch axis of a single image moves behind") {
  const auto transpose = [](std::vector<int32_t> in, std::vector<int32_t> out,
                            const std::vector<int32_t>& order) {
    OneOp file(std::move(in), std::move(out));
    const int list = file.int32s("order", order);
    file.add(BuiltinOperator::TRANSPOSE, {file.x, list}, {file.y});
    return file.read();
  };
  CHECK(run(transpose({1, 2, 3}, {1, 3, 2}, {0, 2, 1})) == Codes{0, 3, 1, 4, 2, 5});
  CHECK(run(transpose({1, 2, 3}, {2, 1, 3}, {1, 0, 2})) == Codes{0, 1, 2, 3, 4, 5});
  CHECK(run(transpose({1, 2, 3}, {3, 2, 1}, {2, 1, 0})) == Codes{0, 3, 1, 4, 2, 5});
  CHECK(contains(error_text(ErrorCode::unsupported,
                            [&] {
                              transpose({2, 2, 3}, {2, 2, 3}, {1, 0, 2});
                            }),
                 "images must stay apart"));
}

}  // namespace
}  // namespace facsim::test
