// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/onnx_model.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "backends/onnx/onnx_tensor-internal.h"
#include "backends/text/utf8.h"
#include "tests/formats/temp_folder.h"
#include "tests/onnx/wire.h"

namespace facsim::backends {
namespace {

using test::contains;
using test::error_text;
using test::field;
using test::little_endian;
using test::TempFolder;
using test::wire_model;
using test::wire_node;
using test::wire_value;

/// x -> Relu -> y, and whatever else the graph has.
std::string relu_model(std::string_view more = "") {
  return wire_model(wire_node("Relu", {"x"}, {"y"}) + wire_value(11, "x") + wire_value(12, "y") +
                    std::string(more));
}

std::string parse_error(ErrorCode code, const std::string& bytes) {
  return error_text(code, [&] { parse_onnx_model(bytes, "m.onnx"); });
}

/// The error of a model whose initializer is `tensor`.
std::string tensor_error(const std::string& tensor, ErrorCode code = ErrorCode::bad_value) {
  return parse_error(code, relu_model(field(5, tensor)));
}

Tensor integers(DType dtype, const Shape& shape, std::initializer_list<int64_t> values) {
  Tensor out(dtype, shape);
  int64_t i = 0;
  for (const int64_t value : values) out.set_int(i++, value);
  return out;
}

Tensor reals(const Shape& shape, std::initializer_list<float> values) {
  return Tensor::from<float>(shape, {values.begin(), values.size()});
}

bool same_values(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

bool same(const OnnxTensor& a, const OnnxTensor& b) {
  return a.name == b.name && a.type == b.type && same_values(a.values, b.values);
}

TEST_CASE("onnx model: everything reads back as written") {
  OnnxModel model;
  model.producer_name = "facsim";
  model.producer_version = "1";
  model.opsets = {{"", 21}, {"com.microsoft", 1}};
  model.metadata = {{"key", "wért"}};
  OnnxGraph& graph = model.graph;
  graph.name = "g";
  graph.inputs = {{"x", OnnxType::float32, {{"batch", int64_t{3}, ""}}}};
  graph.outputs = {{"y", OnnxType::int8, {}}};
  graph.values = {{"t", OnnxType::int4, std::vector<OnnxDim>{}}};
  graph.initializers = {
      {"f32", OnnxType::float32, reals({2, 1}, {-0.0f, 1e-40f})},
      {"f16", OnnxType::float16, reals({2}, {65504.0f, -0x1p-24f})},
      {"bf16", OnnxType::bfloat16, reals({2}, {0x1.fep127f, -0.0f})},
      {"f64", OnnxType::float64, reals({}, {1.5f})},
      {"i8", OnnxType::int8, integers(DType::int8, {3}, {-128, 0, 127})},
      {"u8", OnnxType::uint8, integers(DType::uint8, {2}, {0, 255})},
      {"i16", OnnxType::int16, integers(DType::int16, {2}, {-32768, 32767})},
      {"u16", OnnxType::uint16, integers(DType::uint16, {1}, {65535})},
      {"i32", OnnxType::int32, integers(DType::int32, {1}, {INT32_MIN})},
      {"i64", OnnxType::int64, integers(DType::int64, {2}, {INT64_MIN, INT64_MAX})},
      {"u32", OnnxType::uint32, integers(DType::int64, {1}, {UINT32_MAX})},
      {"u64", OnnxType::uint64, integers(DType::int64, {1}, {INT64_MAX})},
      {"bool", OnnxType::boolean, integers(DType::uint8, {2}, {0, 1})},
      {"i4", OnnxType::int4, integers(DType::int8, {3}, {-8, 7, -1})},
      {"u4", OnnxType::uint4, integers(DType::uint8, {4}, {15, 0, 1, 8})},
      {"i2", OnnxType::int2, integers(DType::int8, {5}, {-2, 1, -1, 0, 1})},
      {"u2", OnnxType::uint2, integers(DType::uint8, {1}, {3})},
      {"none", OnnxType::float32, Tensor(DType::float32, {0, 4})},
  };
  OnnxNode node;
  node.op_type = "Op";
  node.domain = "com.microsoft";
  node.name = "n";
  node.inputs = {"x", "", "i8"};
  node.outputs = {"t", "y"};
  node.attributes = {{"i", int64_t{-5}},
                     {"zero", int64_t{0}},
                     {"f", 0.5f},
                     {"s", std::string("a\0b\xff", 4)},
                     {"t", OnnxTensor{"", OnnxType::int4, integers(DType::int8, {1}, {-3})}},
                     {"ints", std::vector<int64_t>{1, -2, 3}},
                     {"no_ints", std::vector<int64_t>{}},
                     {"floats", std::vector<float>{1.5f, -2.5f}},
                     {"strings", std::vector<std::string>{"", "b"}}};
  graph.nodes = {node};

  const TempFolder folder;
  write_onnx_model(folder / "m.onnx", model);
  const OnnxModel read = read_onnx_model(folder / "m.onnx");
  CHECK(read.ir_version == 8);
  CHECK(read.producer_name == "facsim");
  CHECK(read.producer_version == "1");
  CHECK(read.metadata == model.metadata);
  CHECK(opset_version(read, "ai.onnx") == 21);
  CHECK(opset_version(read, "com.microsoft") == 1);
  CHECK(opset_version(read, "other") == 0);
  CHECK(read.graph.name == "g");
  REQUIRE(read.graph.inputs.size() == 1);
  CHECK(read.graph.inputs[0].type == OnnxType::float32);
  CHECK(read.graph.inputs[0].dims == graph.inputs[0].dims);
  CHECK(!read.graph.outputs[0].dims);
  REQUIRE(read.graph.values[0].dims);
  CHECK(read.graph.values[0].dims->empty());
  REQUIRE(read.graph.initializers.size() == graph.initializers.size());
  for (size_t i = 0; i < graph.initializers.size(); ++i) {
    CAPTURE(graph.initializers[i].name);
    CHECK(same(read.graph.initializers[i], graph.initializers[i]));
  }
  REQUIRE(read.graph.nodes.size() == 1);
  const OnnxNode& back = read.graph.nodes[0];
  CHECK(back.op_type == "Op");
  CHECK(back.domain == "com.microsoft");
  CHECK(back.name == "n");
  CHECK(back.inputs == node.inputs);
  CHECK(back.outputs == node.outputs);
  CHECK(integer_attribute(back, "i", 0) == -5);
  CHECK(integer_attribute(back, "zero", 7) == 0);
  CHECK(integer_attribute(back, "absent", 7) == 7);
  CHECK(real_attribute(back, "f", 0) == 0.5f);
  CHECK(std::get<std::string>(find_attribute(back, "s")->value) == std::string("a\0b\xff", 4));
  CHECK(same(std::get<OnnxTensor>(find_attribute(back, "t")->value),
             std::get<OnnxTensor>(node.attributes[4].value)));
  CHECK(integers_attribute(back, "ints", {}) == std::vector<int64_t>{1, -2, 3});
  CHECK(integers_attribute(back, "no_ints", {4}).empty());
  CHECK(std::get<std::vector<float>>(find_attribute(back, "floats")->value) ==
        std::vector<float>{1.5f, -2.5f});
  CHECK(std::get<std::vector<std::string>>(find_attribute(back, "strings")->value) ==
        std::vector<std::string>{"", "b"});
  CHECK(contains(error_text(ErrorCode::bad_value, [&] { integer_attribute(back, "f", 0); }),
                 "node \"n\" (Op): attribute \"f\" of another type"));
  CHECK(onnx_bytes(read) == onnx_bytes(model));
}

TEST_CASE("onnx model: typed fields hold what raw data hold") {
  const auto read = [](const std::string& tensor) {
    return parse_onnx_model(relu_model(field(5, tensor)), "m").graph.initializers.at(0).values;
  };
  using test::varint;
  const std::string dims2 = field(1, 2), name = field(8, "w");
  CHECK(same_values(read(dims2 + field(2, 1) + field(4, little_endian({1.5f, -2.0f})) + name),
                    reals({2}, {1.5f, -2.0f})));
  // Not packed: one field each.
  CHECK(same_values(read(dims2 + field(2, 3) + field(5, -7) + field(5, 127) + name),
                    integers(DType::int8, {2}, {-7, 127})));
  CHECK(same_values(read(dims2 + field(2, 2) + field(5, varint(7) + varint(255)) + name),
                    integers(DType::uint8, {2}, {7, 255})));
  CHECK(same_values(read(dims2 + field(2, 7) + field(7, -7) + field(7, 9) + name),
                    integers(DType::int64, {2}, {-7, 9})));
  CHECK(same_values(read(dims2 + field(2, 12) + field(11, varint(7) + varint(UINT32_MAX)) + name),
                    integers(DType::int64, {2}, {7, UINT32_MAX})));
  CHECK(same_values(read(dims2 + field(2, 11) + field(10, little_endian({0.1, 2.0})) + name),
                    reals({2}, {0.1f, 2.0f})));
  // 1.0 and -2.0 as float16; two int4 in one byte.
  CHECK(same_values(read(dims2 + field(2, 10) + field(5, varint(0x3c00) + varint(0xc000)) + name),
                    reals({2}, {1.0f, -2.0f})));
  CHECK(same_values(read(dims2 + field(2, 22) + field(5, 0x9f) + name),
                    integers(DType::int8, {2}, {-1, -7})));
  // A type without values here is kept by name.
  const OnnxModel model = parse_onnx_model(relu_model(field(5, dims2 + field(2, 8) + name)), "m");
  CHECK(to_string(model.graph.initializers[0].type) == "string");
  CHECK(model.graph.initializers[0].values.empty());
}

TEST_CASE("onnx model: 16-bit floats: every pattern there and back, and ties to even") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = detail::from_float16(half);
    if (std::isnan(value)) {
      CHECK(std::isnan(detail::from_float16(detail::to_float16(value))));
    } else {
      if (detail::to_float16(value) != half) FAIL_CHECK("float16 " << bits);
    }
    const float wide = detail::from_bfloat16(half);
    if (!std::isnan(wide) && detail::to_bfloat16(wide) != half) FAIL_CHECK("bfloat16 " << bits);
  }
  // Midpoints between neighbours go to the even pattern, a little more or less to the nearest.
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = detail::from_float16(static_cast<uint16_t>(bits));
    const float high = detail::from_float16(static_cast<uint16_t>(bits + 1));
    const float middle = low + (high - low) / 2;  // exact in float32
    const uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    if (detail::to_float16(middle) != even ||
        detail::to_float16(std::nextafter(middle, high)) != bits + 1 ||
        detail::to_float16(std::nextafter(middle, low)) != bits) {
      FAIL_CHECK("tie above float16 " << bits);
    }
  }
  CHECK(detail::to_float16(65519.0f) == 0x7bff);
  CHECK(detail::to_float16(65520.0f) == 0x7c00);
  CHECK(detail::to_float16(-1e30f) == 0xfc00);
}

TEST_CASE("onnx model: nodes come out in topological order, the file's where it is one") {
  const std::string b = wire_node("B", {"a"}, {"b"}), a = wire_node("A", {"x"}, {"a"}),
                    c = wire_node("C", {"x", ""}, {"c"});
  const auto order = [](const std::string& nodes) {
    std::string out;
    const OnnxModel model =
        parse_onnx_model(wire_model(nodes + wire_value(11, "x") + wire_value(12, "b")), "m");
    for (const OnnxNode& node : model.graph.nodes) out += node.op_type;
    return out;
  };
  CHECK(order(a + b + c) == "ABC");
  CHECK(order(c + a + b) == "CAB");
  CHECK(order(b + a + c) == "ABC");
}

TEST_CASE("utf8: shortest forms, no surrogates, at most U+10FFFF") {
  for (const char* good : {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
                           "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    CHECK(is_utf8(good));
  }
  for (const char* bad :
       {"\x80", "\xc3", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80",
        "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\xff", "\xc3("}) {
    CHECK(!is_utf8(bad));
  }
}

TEST_CASE("onnx model: row 49: empty, random and truncated files") {
  CHECK(contains(parse_error(ErrorCode::bad_value, ""), "m.onnx: not an ONNX model: no graph"));
  CHECK(contains(parse_error(ErrorCode::bad_value, "\xff"), "m.onnx@1: not an ONNX model: trunc"));
  CHECK(contains(parse_error(ErrorCode::bad_value, std::string(11, '\xff')), "10 bytes"));
  CHECK(contains(parse_error(ErrorCode::bad_value, "hello, world, how are you"), "m.onnx@"));
  // A field of 2^31 - 1 and of 2^63 bytes.
  CHECK(contains(parse_error(ErrorCode::bad_value, "\x3a" + test::varint(INT32_MAX)),
                 "m.onnx@6: not an ONNX model: truncated: field 7 of 2147483647 bytes"));
  CHECK(contains(parse_error(ErrorCode::bad_value, "\x3a" + test::varint(uint64_t{1} << 63)),
                 "truncated"));
  // Every prefix of a model is refused, or lacks only its last whole fields.
  const std::string bytes = relu_model();
  const auto opset_at = bytes.size() - field(8, field(2, 13)).size();
  for (size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    const std::string text = parse_error(ErrorCode::bad_value, bytes.substr(0, size));
    if (size == opset_at) CHECK(contains(text, "no opset_import"));
  }
  CHECK(contains(parse_error(ErrorCode::bad_value, "\x08\x08\x03"), "field number 0"));
  CHECK(contains(parse_error(ErrorCode::bad_value, "\x0b"), "wire type 3"));
  CHECK(contains(parse_error(ErrorCode::bad_value, field(7, 5)), "field 7 has wire type 0"));
}

TEST_CASE("onnx model: row 50: nesting and size") {
  const auto nested = [](int levels) {
    std::string graph;
    for (int i = 0; i < levels; ++i) {
      graph = field(1, field(4, "If") + field(5, field(1, "then_branch") + field(6, graph)));
    }
    return wire_model(graph);
  };
  CHECK(contains(parse_error(ErrorCode::bad_value, nested(101)), "nesting of more than 100"));
  CHECK(parse_onnx_model(nested(3), "m").graph.nodes.size() == 1);
  const TempFolder folder;
  folder.write("big.onnx", "");
  std::filesystem::resize_file(folder / "big.onnx", (uint64_t{1} << 31) + 1);  // sparse
  CHECK(contains(error_text(ErrorCode::io, [&] { read_onnx_model(folder / "big.onnx"); }),
                 "file of 2147483649 bytes; expected at most 2147483648"));
}

TEST_CASE("onnx model: row 51: initializers") {
  const std::string f32 = field(2, 1), i8 = field(2, 3), name = field(8, "w");
  CHECK(contains(tensor_error(field(1, -2) + i8 + name), "initializer \"w\": shape (-2,)"));
  CHECK(contains(tensor_error(field(1, int64_t{1} << 62) + field(1, 4) + i8 + name),
                 "too many elements"));
  CHECK(contains(tensor_error(field(1, 4294967296) + field(1, 4294967296) + i8 + name),
                 "too many elements"));
  CHECK(contains(tensor_error(field(1, 3) + i8 + field(9, "ab") + name),
                 "data of 2 bytes; expected 3 for int8 (3,)"));
  CHECK(contains(tensor_error(field(1, 3) + field(2, 22) + field(9, "a") + name),
                 "data of 1 bytes; expected 2 for int4 (3,)"));
  CHECK(contains(tensor_error(field(1, 1) + i8 + name), "data of 0 bytes; expected 1"));
  CHECK(contains(tensor_error(field(1, 1 << 30) + field(1, 4) + f32 + name),
                 "data of 0 bytes; expected 17179869184"));
  CHECK(contains(tensor_error(field(1, 1) + i8 + field(9, "a") + field(5, 1) + name),
                 "elements in two places"));
  CHECK(contains(tensor_error(field(1, 1) + i8 + field(5, 300) + name),
                 "value 300 at element 0; expected int8, -128..127"));
  CHECK(contains(tensor_error(field(1, 1) + field(2, 9) + field(9, "\x02") + name),
                 "value 2 at element 0; expected bool, 0..1"));
  CHECK(contains(tensor_error(field(1, 2) + i8 + field(5, 1) + name), "too few elements"));
  CHECK(contains(tensor_error(field(1, 1) + i8 + field(5, 1) + field(5, 1) + name),
                 "more than 1 elements"));
  CHECK(contains(tensor_error(field(1, 1) + i8 + field(7, 1) + name), "int8 elements in field 7"));
  CHECK(contains(tensor_error(field(1, 2) + i8 + field(5, 1) + field(7, 1) + name), "two fields"));
  CHECK(contains(tensor_error(field(1, 1) + f32 + field(4, "abc") + name), "3 bytes of values"));
  CHECK(contains(tensor_error(field(1, 1) + field(2, 0) + field(9, "a") + name),
                 "element type number 0; expected one of 1..26"));
  CHECK(contains(tensor_error(field(1, 1) + field(2, 99) + field(9, "a") + name),
                 "element type number 99"));
  CHECK(contains(tensor_error(field(1, 1) + name), "element type number 0"));
  CHECK(contains(tensor_error(field(1, std::string(33, '\1')) + i8 + name), "32 dimensions"));
  CHECK(contains(tensor_error(i8 + field(3, "") + name), "segments"));
  CHECK(contains(parse_error(ErrorCode::bad_value, relu_model(field(5, field(1, 0) + i8 + name) +
                                                              field(5, field(1, 0) + i8 + name))),
                 "initializer \"w\" twice"));
  CHECK(contains(tensor_error(field(1, 0) + i8), "initializer without a name"));
  CHECK(contains(parse_error(ErrorCode::unsupported, relu_model(field(15, ""))), "sparse"));
}

std::string external(std::string_view location, std::string_view more = "") {
  const auto entry = [](std::string_view key, std::string_view value) {
    return field(13, field(1, key) + field(2, value));
  };
  return relu_model(field(5, field(1, 3) + field(2, 3) + field(8, "w") + field(14, 1) +
                                 entry("location", location) + std::string(more)));
}

std::string entry(std::string_view key, std::string_view value) {
  return field(13, field(1, key) + field(2, value));
}

TEST_CASE("onnx model: external data come from inside the model's folder") {
  const TempFolder folder;
  std::filesystem::create_directory(folder / "sub");
  folder.write("sub/w.bin", "..abc");
  folder.write("m.onnx", external("sub/w.bin", entry("offset", "2") + entry("length", "3")));
  const OnnxModel model = read_onnx_model(folder / "m.onnx");
  CHECK(
      same_values(model.graph.initializers[0].values, integers(DType::int8, {3}, {'a', 'b', 'c'})));
  CHECK(contains(error_text(ErrorCode::unsupported,
                            [&] { parse_onnx_model(external("sub/w.bin"), "memory"); }),
                 "external data"));
}

TEST_CASE("onnx model: row 52: external data elsewhere, or that do not fit") {
  namespace fs = std::filesystem;
  const TempFolder outer;
  outer.write("secret", "abc");
  fs::create_directory(outer / "in");
  fs::create_directory(outer / "in/real");
  outer.write("in/w.bin", "abcde");
  outer.write("in/real/w.bin", "abc");
  fs::create_symlink("../secret", outer / "in/link.bin");
  fs::create_symlink("w.bin", outer / "in/inside.bin");
  fs::create_directory_symlink("..", outer / "in/up");
  fs::create_directory_symlink("real", outer / "in/same");
  fs::create_hard_link(outer / "secret", outer / "in/hard.bin");
  const auto refused = [&](const std::string& bytes, ErrorCode code = ErrorCode::bad_value) {
    outer.write("in/m.onnx", bytes);
    return error_text(code, [&] { read_onnx_model(outer / "in/m.onnx"); });
  };
  for (const std::string location :
       {"../secret", "../../../etc/shadow", "real/../w.bin", "/etc/shadow", "link.bin",
        "inside.bin", "up/secret", "same/w.bin", "hard.bin", "", ".", "real//w.bin", "real",
        "w.bin/", "a\\b"}) {
    CAPTURE(location);
    const std::string text = refused(external(location));
    CHECK(contains(text, "initializer \"w\""));
    CHECK(contains(text, "external data must be inside the model's directory"));
  }
  CHECK(contains(refused(external(std::string("w.bin\0x", 7))), "NUL"));
  CHECK(contains(refused(external("missing.bin"), ErrorCode::io), "missing.bin"));
  CHECK(contains(refused(external("w.bin", entry("offset", "-1"))), "offset \"-1\""));
  CHECK(contains(refused(external("w.bin", entry("offset", "x"))), "offset \"x\""));
  CHECK(contains(refused(external("w.bin", entry("offset", "6"))), "reach past the end"));
  CHECK(contains(refused(external("w.bin", entry("offset", "3"))), "reach past the end"));
  CHECK(contains(refused(external("w.bin", entry("length", "4"))), "length 4; expected 3"));
  CHECK(contains(refused(external("w.bin", entry("length", "99999999"))), "length 99999999"));
  CHECK(contains(refused(external("w.bin", entry("offset", "9223372036854775807"))),
                 "reach past the end"));
  CHECK(contains(refused(external("w.bin", entry("offset", "18446744073709551615"))), "offset"));
  CHECK(contains(refused(external("w.bin", field(9, "abc"))), "two places"));
}

TEST_CASE("onnx model: row 53: names, cycles and numbers of nodes") {
  const std::string x = wire_value(11, "x");
  const auto refused = [&](const std::string& graph) {
    return parse_error(ErrorCode::bad_value, wire_model(graph + x));
  };
  CHECK(contains(refused(wire_node("Relu", {"nothing"}, {"y"})),
                 "node that makes \"y\" (Relu): input \"nothing\" is made by nothing"));
  CHECK(contains(refused(wire_node("A", {"x"}, {"y"}) + wire_node("B", {"x"}, {"y"})),
                 "node that makes \"y\" (B): output \"y\" exists already"));
  CHECK(contains(refused(wire_node("A", {"x"}, {"x"})), "output \"x\" exists already"));
  CHECK(contains(refused(wire_node("A", {"b"}, {"a"}) + wire_node("B", {"a"}, {"b"})), "a cycle"));
  CHECK(contains(refused(wire_node("Self", {"a", "x"}, {"a"})), "(Self): a cycle"));
  CHECK(contains(refused(wire_node("", {"x"}, {"a"})), "empty op_type"));
  CHECK(contains(refused(wire_value(12, "y")), "graph output \"y\" is made by nothing"));
  CHECK(contains(refused(wire_value(11, "x")), "graph input \"x\" exists already"));
  CHECK(contains(refused(wire_node("A", {"x"}, {"a"}, field(7, "org.other"))),
                 "domain \"org.other\" is not imported"));
  CHECK(contains(refused(wire_node(std::string(1 << 20, 'n'), {"x"}, {"a"})),
                 "text of 1048576 bytes; expected at most 65535"));
  CHECK(contains(refused(wire_node("A\xff", {"x"}, {"a"})), "not UTF-8"));
  CHECK(contains(refused(wire_node("A", {"x"}, {"a"},
                                   field(5, field(1, "k") + field(3, 1)) +
                                       field(5, field(1, "k") + field(3, 1)))),
                 "attribute \"k\" twice"));
  CHECK(contains(
      refused(wire_node("A", {"x"}, {"a"}, field(5, field(1, "k") + field(3, 1) + field(20, 1)))),
      "attribute \"k\" of type 1 with a value of type 2"));
  CHECK(contains(
      refused(wire_node("A", {"x"}, {"a"}, field(5, field(1, "k") + field(3, 1) + field(4, "s")))),
      "two values"));
  std::string many;
  for (int i = 0; i < 1'000'000; ++i) many += field(1, field(4, "A"));
  CHECK(contains(refused(many), "more than 131072 nodes"));
}

TEST_CASE("onnx model: row 56: versions") {
  const auto versions = [](int64_t ir, const std::string& opsets, ErrorCode code) {
    return parse_error(code, field(1, ir) + field(7, "") + opsets);
  };
  CHECK(contains(versions(8, "", ErrorCode::bad_value), "no opset_import"));
  CHECK(contains(versions(8, field(8, field(2, 0)), ErrorCode::unsupported),
                 "opset 0 not supported"));
  CHECK(contains(versions(8, field(8, field(2, 999)), ErrorCode::unsupported),
                 "m.onnx: opset 999 not supported; expected 1..26"));
  CHECK(contains(versions(8, field(8, field(1, "ai.onnx") + field(2, 999)), ErrorCode::unsupported),
                 "opset 999 not supported"));
  CHECK(contains(versions(0, field(8, field(2, 13)), ErrorCode::unsupported), "IR version 0"));
  CHECK(contains(versions(99, field(8, field(2, 13)), ErrorCode::unsupported), "IR version 99"));
  CHECK(contains(versions(8, field(8, field(2, 13)) + field(8, field(2, 14)), ErrorCode::bad_value),
                 "imported twice"));
}

TEST_CASE("onnx model: many attributes and many domains cost no more than their number") {
  // 300 000 attributes of one node, the last one twice: a comparison of all pairs takes minutes.
  std::string attributes;
  const auto attribute = [](int i) {
    return field(5, field(1, "a" + std::to_string(i)) + field(3, 1) + field(20, 2));
  };
  constexpr int kMany = 300'000;
  for (int i = 0; i < kMany; ++i) attributes += attribute(i);
  const auto model = [](const std::string& more) {
    return wire_model(wire_node("Relu", {"x"}, {"y"}, more) + wire_value(11, "x") +
                      wire_value(12, "y"));
  };
  CHECK(parse_onnx_model(model(attributes), "m.onnx").graph.nodes[0].attributes.size() == kMany);
  CHECK(contains(parse_error(ErrorCode::bad_value, model(attributes + attribute(kMany - 1))),
                 "attribute \"a299999\" twice"));
  std::string domains;
  for (int i = 0; i < 257; ++i) {
    domains += field(8, field(1, "d" + std::to_string(i)) + field(2, 1));
  }
  CHECK(contains(parse_error(ErrorCode::unsupported, field(1, 8) + field(7, "") + domains),
                 "m.onnx: 257 domains imported; expected at most 256"));
}

TEST_CASE("onnx model: what cannot be written is refused by name") {
  OnnxModel model;
  model.opsets = {{"", 13}};
  model.graph.initializers = {{"w", OnnxType::string, {}}};
  CHECK(contains(error_text(ErrorCode::unsupported, [&] { onnx_bytes(model); }),
                 "tensor \"w\": tensor of string"));
  model.graph.initializers = {{"w", OnnxType::int4, integers(DType::int8, {1}, {8})}};
  CHECK(contains(error_text(ErrorCode::bad_value, [&] { onnx_bytes(model); }),
                 "value 8 at element 0; expected int4, -8..7"));
  model.graph.initializers = {{"w", OnnxType::int4, integers(DType::uint8, {1}, {8})}};
  CHECK(contains(error_text(ErrorCode::bad_value, [&] { onnx_bytes(model); }), "uint8 values"));
  model.graph.initializers.clear();
  OnnxNode node;
  node.op_type = "If";
  node.outputs = {"y"};
  node.attributes = {{"then_branch", OnnxOpaque{5}}};
  model.graph.nodes = {node};
  CHECK(contains(error_text(ErrorCode::unsupported, [&] { onnx_bytes(model); }), "then_branch"));
}

}  // namespace
}  // namespace facsim::backends
