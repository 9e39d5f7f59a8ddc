// SPDX-License-Identifier: Apache-2.0
// Hostile and damaged .tflite files: each is refused with the error that names what is wrong.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <functional>
#include <limits>

#include "backends/tflite/read_tflite.h"
#include "tests/formats/temp_folder.h"
#include "tests/tflite/file_builder.h"

namespace facsim::test {
namespace {

using tflite::BuiltinOperator;
using tflite::TensorType;

/// x (1, 4, 4, 2) -> CONV_2D 3x3 SAME, 3 filters -> y (1, 4, 4, 3): tensors x, w, b, y.
struct ConvFile : FileBuilder {
  static constexpr int x = 0, w = 1, b = 2, y = 3;
  ConvFile() {
    int8("x", {1, 4, 4, 2});
    constant<int8_t>("w", TensorType::INT8, {3, 3, 3, 2}, std::vector<int8_t>(54, 1),
                     {{0.1f, 0.2f, 0.3f}, {0, 0, 0}, 0});
    constant<int32_t>("b", TensorType::INT32, {3}, {1, 2, 3}, {{0.05f, 0.1f, 0.15f}, {0, 0, 0}, 0});
    int8("y", {1, 4, 4, 3});
    tflite::Conv2DOptionsT options;
    options.stride_w = options.stride_h = 1;
    add(BuiltinOperator::CONV_2D, {x, w, b}, {y}, options);
    inputs({x});
    outputs({y});
  }
  tflite::Conv2DOptionsT& options() { return *op(0).builtin_options.AsConv2DOptions(); }
  tflite::QuantizationParametersT& scales(int number) { return *tensor(number).quantization; }
};

/// Checks that the file is refused with this code, and that the message has these parts.
void refused(const std::string& bytes, ErrorCode code, std::initializer_list<const char*> parts) {
  const std::string text = error_text(code, [&] { backends::parse_tflite(bytes, "net.tflite"); });
  CAPTURE(text);
  CHECK(contains(text, "net.tflite"));
  for (const char* part : parts) {
    CAPTURE(std::string(part));
    CHECK(contains(text, part));
  }
}

/// The good file after `change`.
void refused(const std::function<void(ConvFile&)>& change, ErrorCode code,
             std::initializer_list<const char*> parts) {
  ConvFile file;
  change(file);
  refused(file.bytes(), code, parts);
}

TEST_CASE("tflite: the file that the bad ones are made of is read") {
  const backends::IntGraph graph = ConvFile().read();
  REQUIRE(graph.nodes.size() == 1);
  CHECK(graph.nodes[0].name == "CONV_2D_0");
  CHECK(graph.nodes[0].op == "conv2d");
  CHECK(graph.nodes[0].attributes.window.padding == sim::Padding2d{1, 1, 1, 1});
}

// Row 59
TEST_CASE("tflite: bad file 59, too short, another identifier, a root outside") {
  const std::string good = ConvFile().bytes();
  for (size_t size = 0; size < 8; ++size) {
    refused(good.substr(0, size), ErrorCode::bad_value, {"not a TFLite file"});
  }
  std::string other = good;
  other[4] = 'X';
  refused(other, ErrorCode::bad_value, {"not a TFLite file"});
  for (const uint32_t root : {static_cast<uint32_t>(good.size()), 0xFFFFFFFFU, 0x80000000U, 3U,
                              static_cast<uint32_t>(good.size()) - 2}) {
    std::string bad = good;
    std::memcpy(bad.data(), &root, sizeof(root));
    refused(bad, ErrorCode::bad_value, {"flatbuffer verification failed"});
  }
  refused(good.substr(0, 8), ErrorCode::bad_value, {"flatbuffer verification failed"});
}

TEST_CASE("tflite: bad file 59, a file that cannot be read") {
  const TempFolder folder;
  error_text(ErrorCode::io, [&] { backends::read_tflite(folder / "absent.tflite"); });
  error_text(ErrorCode::io, [&] { backends::read_tflite(folder.path()); });
}

// Row 60
TEST_CASE("tflite: bad file 60, tables, vectors and strings that leave the file") {
  const std::string good = ConvFile().bytes();
  // Every 4-byte word in turn becomes what loops, overflows or points far away. Most such files are
  // refused; none may crash, hang or take memory.
  int read = 0, failed = 0;
  for (size_t at = 0; at + 4 <= good.size(); at += 4) {
    for (const uint32_t value :
         {0x80000000U, 0xFFFFFFFFU, 0x7FFFFFFFU, 4U, static_cast<uint32_t>(good.size())}) {
      std::string bad = good;
      std::memcpy(bad.data() + at, &value, sizeof(value));
      try {
        backends::parse_tflite(bad, "net.tflite");
        ++read;
      } catch (const Error&) {
        ++failed;
      }
    }
  }
  CHECK(failed > read);
  // The name "w" (length 1, 'w', NUL) without its NUL.
  std::string unterminated = good;
  const size_t name = good.find(std::string("\1\0\0\0w\0", 6));
  REQUIRE(name != std::string::npos);
  unterminated[name + 5] = 'x';
  refused(unterminated, ErrorCode::bad_value, {"flatbuffer verification failed"});
  // A vector of 2^31 tensors.
  std::string vast = good;
  const auto* model = tflite::GetModel(good.data());
  const auto* tensors = model->subgraphs()->Get(0)->tensors();
  const size_t length = static_cast<size_t>(reinterpret_cast<const char*>(tensors) - good.data());
  const uint32_t many = 1U << 31;
  std::memcpy(vast.data() + length, &many, sizeof(many));
  refused(vast, ErrorCode::bad_value, {"flatbuffer verification failed"});
  // Cut anywhere.
  for (size_t size = 8; size < good.size(); size += 13) {
    CHECK_THROWS_AS(backends::parse_tflite(good.substr(0, size), "net.tflite"), Error);
  }
}

// Row 61
TEST_CASE("tflite: bad file 61, missing or empty lists") {
  refused([](ConvFile& f) { f.model.subgraphs.clear(); }, ErrorCode::bad_value,
          {"missing subgraphs"});
  refused([](ConvFile& f) { f.graph().tensors.clear(); }, ErrorCode::bad_value,
          {"missing tensors"});
  refused([](ConvFile& f) { f.model.buffers.clear(); }, ErrorCode::bad_value, {"buffer"});
  refused([](ConvFile& f) { f.model.operator_codes.clear(); }, ErrorCode::bad_value,
          {"missing operator_codes"});
  refused([](ConvFile& f) { f.graph().operators.clear(); }, ErrorCode::bad_value,
          {"tensor 3 \"y\"", "before it is computed"});
  refused([](ConvFile& f) { f.inputs({}); }, ErrorCode::bad_value, {"missing inputs"});
  refused([](ConvFile& f) { f.outputs({}); }, ErrorCode::bad_value, {"no outputs"});
  refused([](ConvFile& f) { f.model.version = 2; }, ErrorCode::unsupported, {"schema version 2"});
  // Absent, not empty: only the root table.
  flatbuffers::FlatBufferBuilder builder;
  tflite::ModelBuilder root(builder);
  root.add_version(3);
  tflite::FinishModelBuffer(builder, root.Finish());
  refused({reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()},
          ErrorCode::bad_value, {"missing operator_codes"});
}

// Row 62
TEST_CASE("tflite: bad file 62, tensor numbers") {
  refused(
      [](ConvFile& f) {
        f.op(0).inputs = {-1, 1, 2};
      },
      ErrorCode::bad_value, {"operator 0 (CONV_2D)", "input 0: tensor -1"});
  refused(
      [](ConvFile& f) {
        f.op(0).inputs = {0, -1, 2};
      },
      ErrorCode::bad_value, {"operator 0 (CONV_2D)", "input 1: tensor -1"});
  refused([](ConvFile& f) { f.op(0).outputs = {-1}; }, ErrorCode::bad_value,
          {"output 0: tensor -1"});
  for (const int bad : {4, -2, 2147483647}) {
    refused([&](ConvFile& f) { f.op(0).inputs[1] = bad; }, ErrorCode::bad_value,
            {"input 1: tensor"});
    refused([&](ConvFile& f) { f.op(0).outputs[0] = bad; }, ErrorCode::bad_value,
            {"output 0: tensor"});
    refused([&](ConvFile& f) { f.inputs({bad}); }, ErrorCode::bad_value,
            {"subgraph 0", "input 0: tensor"});
    refused([&](ConvFile& f) { f.outputs({bad}); }, ErrorCode::bad_value,
            {"subgraph 0", "output 0: tensor"});
  }
  refused([](ConvFile& f) { f.op(0).inputs = {}; }, ErrorCode::bad_value, {"0 inputs"});
  refused([](ConvFile& f) { f.op(0).outputs = {}; }, ErrorCode::bad_value, {"0 outputs"});
  refused([](ConvFile& f) { f.op(0).inputs = {0, 1, 2, 2}; }, ErrorCode::bad_value, {"4 inputs"});
  // The bias is optional, and -1 says that it is not there.
  ConvFile without_bias;
  without_bias.op(0).inputs[2] = -1;
  CHECK(without_bias.read().nodes[0].inputs.size() == 2);
}

// Row 63
TEST_CASE("tflite: bad file 63, operator codes") {
  refused([](ConvFile& f) { f.op(0).opcode_index = 1; }, ErrorCode::bad_value,
          {"operator 0", "opcode_index 1"});
  const auto code = [](int deprecated, int builtin, const char* custom) {
    return [=](ConvFile& f) {
      f.model.operator_codes[0]->deprecated_builtin_code = static_cast<int8_t>(deprecated);
      f.model.operator_codes[0]->builtin_code = static_cast<BuiltinOperator>(builtin);
      f.model.operator_codes[0]->custom_code = custom;
    };
  };
  refused(code(32, 32, "MySoftmax"), ErrorCode::unsupported,
          {"unsupported operator CUSTOM \"MySoftmax\""});
  refused(code(127, 150, ""), ErrorCode::unsupported, {"unsupported operator GELU"});
  refused(code(127, 9999, ""), ErrorCode::unsupported, {"unsupported operator 9999"});
  refused(code(-5, -7, ""), ErrorCode::unsupported, {"unsupported operator -5"});
  // Older files have only the byte.
  ConvFile old;
  old.model.operator_codes[0]->builtin_code = BuiltinOperator::ADD;
  CHECK(old.read().nodes[0].op == "conv2d");
}

// Row 64
TEST_CASE("tflite: bad file 64, buffers") {
  refused([](ConvFile& f) { f.tensor(ConvFile::w).buffer = 3; }, ErrorCode::bad_value,
          {"tensor 1 \"w\"", "buffer 3"});
  refused([](ConvFile& f) { f.model.buffers[1]->data.pop_back(); }, ErrorCode::shape_mismatch,
          {"tensor 1 \"w\"", "a buffer of 53 bytes", "54"});
  // Shared by a tensor of another type and size.
  refused([](ConvFile& f) { f.tensor(ConvFile::b).buffer = 1; }, ErrorCode::shape_mismatch,
          {"tensor 2 \"b\"", "a buffer of 54 bytes", "12"});
  refused(
      [](ConvFile& f) {
        f.model.buffers[1]->data.clear();
        f.model.buffers[1]->offset = 1000000;
        f.model.buffers[1]->size = 54;
      },
      ErrorCode::bad_value, {"tensor 1 \"w\"", "54 bytes at byte 1000000"});
  refused(
      [](ConvFile& f) {
        f.model.buffers[1]->data.clear();
        f.model.buffers[1]->offset = 16;
        f.model.buffers[1]->size = std::numeric_limits<uint64_t>::max() - 8;
      },
      ErrorCode::bad_value, {"tensor 1 \"w\"", "at byte 16"});
  refused([](ConvFile& f) { f.tensor(ConvFile::w).external_buffer = 1; }, ErrorCode::unsupported,
          {"tensor 1 \"w\"", "external_buffer"});
  refused([](ConvFile& f) { f.tensor(ConvFile::w).buffer = 0; }, ErrorCode::unsupported,
          {"operator 0 (CONV_2D)", "weights that are computed"});
}

TEST_CASE("tflite: bad file 64, a few bytes that many tensors share are not copied without end") {
  // 2 000 depthwise layers on weights of 64 KiB in one buffer: each transposes them.
  FileBuilder file;
  const int channels = 1 << 12;
  int x = file.int8("x", {1, 4, 4, channels});
  file.inputs({x});
  const int first =
      file.constant<int8_t>("w0", TensorType::INT8, {1, 4, 4, channels},
                            std::vector<int8_t>(size_t{16} * channels, 1), {{0.1f}, {0}});
  const uint32_t buffer = file.tensor(first).buffer;
  for (int i = 0; i < 2000; ++i) {
    const int w = file.activation("w", TensorType::INT8, {1, 4, 4, channels}, {{0.1f}, {0}});
    file.tensor(w).buffer = buffer;
    const int y = file.int8("y", {1, 4, 4, channels});
    tflite::DepthwiseConv2DOptionsT options;
    options.stride_w = options.stride_h = options.depth_multiplier = 1;
    file.add(BuiltinOperator::DEPTHWISE_CONV_2D, {x, w}, {y}, options);
    x = y;
  }
  file.outputs({x});
  refused(file.bytes(), ErrorCode::unsupported, {"share bytes"});
}

TEST_CASE(
    "tflite: bad file 64, scales, names and evaluated constants that are shared are bounded") {
  // 400 constants of 16 KiB with 16 384 scales each, all of them shared: 80 MB of scales.
  FileBuilder file;
  const int channels = 1 << 14;
  const int x = file.int8("x", {1, channels});
  file.inputs({x});
  const int first = file.constant<int8_t>(
      "c", TensorType::INT8, {1, channels}, std::vector<int8_t>(channels, 1),
      {std::vector<float>(channels, 0.5f), std::vector<int64_t>(channels, 0), 1});
  flatbuffers::FlatBufferBuilder b;
  std::vector<flatbuffers::Offset<tflite::Tensor>> tensors;
  const auto shape = b.CreateVector(std::vector<int32_t>{1, channels});
  const auto scales = b.CreateVector(file.tensor(first).quantization->scale);
  const auto zeros = b.CreateVector(file.tensor(first).quantization->zero_point);
  tflite::QuantizationParametersBuilder shared(b);
  shared.add_scale(scales);
  shared.add_zero_point(zeros);
  shared.add_quantized_dimension(1);
  const auto per_channel = shared.Finish();
  const auto one_scale = tflite::CreateQuantizationParametersDirect(
      b, nullptr, nullptr, &file.tensor(x).quantization->scale,
      &file.tensor(x).quantization->zero_point);
  const std::string long_name(4000, 'n');
  const auto name = b.CreateString(long_name);
  const auto make = [&](bool has_scales, uint32_t buffer) {
    tflite::TensorBuilder tensor(b);
    tensor.add_shape(shape);
    tensor.add_type(has_scales ? TensorType::INT8 : TensorType::FLOAT32);
    tensor.add_buffer(buffer);
    tensor.add_name(name);
    if (has_scales) tensor.add_quantization(buffer == 0 ? one_scale : per_channel);
    return tensor.Finish();
  };
  std::vector<flatbuffers::Offset<tflite::Operator>> operators;
  tensors.push_back(make(true, 0));
  for (int i = 0; i < 400; ++i) {
    tensors.push_back(make(true, 1));
    tensors.push_back(make(false, 0));
    const auto number = static_cast<int32_t>(tensors.size());
    operators.push_back(tflite::CreateOperator(b, 0,
                                               b.CreateVector(std::vector<int32_t>{number - 2}),
                                               b.CreateVector(std::vector<int32_t>{number - 1})));
  }
  const std::vector<int32_t> zero{0};
  const auto graph = tflite::CreateSubGraphDirect(b, &tensors, &zero, &zero, &operators);
  const std::vector<flatbuffers::Offset<tflite::SubGraph>> graphs{graph};
  const std::vector<flatbuffers::Offset<tflite::OperatorCode>> codes{
      tflite::CreateOperatorCode(b, 6, 0, 1, BuiltinOperator::DEQUANTIZE)};
  const std::vector<uint8_t> data(channels, 1);
  const std::vector<flatbuffers::Offset<tflite::Buffer>> buffers{
      tflite::CreateBuffer(b), tflite::CreateBufferDirect(b, &data)};
  tflite::FinishModelBuffer(b, tflite::CreateModelDirect(b, 3, &codes, &graphs, nullptr, &buffers));
  refused({reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()},
          ErrorCode::unsupported, {"share bytes"});
}

TEST_CASE("tflite: bad file 64, known integers that operators copy are bounded") {
  // 5 000 operators, each of which copies 1 024 int64: 40 MB.
  FileBuilder file;
  const int x = file.int8("x", {1, 4}), y = file.int8("y", {1, 4});
  const int source =
      file.constant<int64_t>("source", TensorType::INT64, {1024}, std::vector<int64_t>(1024, 7));
  const int shape = file.int32s("shape", {1024});
  for (int i = 0; i < 5000; ++i) {
    file.add(BuiltinOperator::RESHAPE, {source, shape},
             {file.activation("", TensorType::INT64, {1024})});
  }
  file.add(BuiltinOperator::RELU, {x}, {y});
  file.inputs({x});
  file.outputs({y});
  refused(file.bytes(), ErrorCode::unsupported, {"tensor \"\"", "share bytes"});
  file.graph().operators.erase(file.graph().operators.begin(),
                               file.graph().operators.begin() + 4900);
  CHECK(file.read().nodes.size() == 1);
}

TEST_CASE("tflite: names that are not UTF-8, or that have a zero byte") {
  const auto named = [](std::string name) {
    return [name = std::move(name)](ConvFile& f) { f.tensor(ConvFile::w).name = name; };
  };
  for (const char* name : {"\xff", "w\xc3", "\xc0\x80", "\xed\xa0\x80"}) {
    refused(named(name), ErrorCode::bad_value, {"net.tflite: tensor 1", "not UTF-8"});
  }
  refused(named(std::string("w\0b", 3)), ErrorCode::bad_value,
          {"net.tflite: tensor 1", "a zero byte"});
  refused([](ConvFile& f) { f.graph().name = "\xff"; }, ErrorCode::bad_value,
          {"subgraph 0", "not UTF-8"});
  ConvFile file;
  file.tensor(ConvFile::y).name = "\xc3\xa9";
  CHECK(file.read().tensors.back().name == "\xc3\xa9");
}

// Row 65
TEST_CASE("tflite: bad file 65, shapes") {
  refused([](ConvFile& f) { f.tensor(ConvFile::x).shape[1] = -1; }, ErrorCode::bad_value,
          {"tensor 0 \"x\"", "extent -1"});
  refused(
      [](ConvFile& f) {
        f.tensor(ConvFile::x).shape_signature = {-1, 5, 4, 2};
      },
      ErrorCode::shape_mismatch, {"tensor 0 \"x\"", "shape_signature"});
  refused(
      [](ConvFile& f) {
        f.tensor(ConvFile::x).shape_signature = {-1, 4, 4};
      },
      ErrorCode::shape_mismatch, {"tensor 0 \"x\"", "shape_signature"});
  refused(
      [](ConvFile& f) {
        f.tensor(ConvFile::x).shape = {1, 2147483647, 2147483647, 2147483647};
      },
      ErrorCode::bad_value, {"tensor 0 \"x\"", "too many elements"});
  refused([](ConvFile& f) { f.tensor(ConvFile::x).shape.assign(100000, 1); },
          ErrorCode::unsupported, {"tensor 0", "100000 axes"});
  refused(
      [](ConvFile& f) {
        f.tensor(ConvFile::x).shape = {1, 0, 4, 2};
      },
      ErrorCode::shape_mismatch, {"tensor 0 \"x\"", "extents >= 1"});
  refused([](ConvFile& f) { f.tensor(ConvFile::x).shape = {}; }, ErrorCode::shape_mismatch,
          {"operator 0 (CONV_2D)", "(N, H, W, C)"});
  refused(
      [](ConvFile& f) {
        f.tensor(ConvFile::w).shape = {};
        f.model.buffers[1]->data.resize(1);
      },
      ErrorCode::shape_mismatch, {"operator 0 (CONV_2D)", "weights of shape ()", "rank 4"});
  refused(
      [](ConvFile& f) {
        f.tensor(ConvFile::y).shape = {1, 4, 4, 4};
      },
      ErrorCode::shape_mismatch, {"operator 0 (CONV_2D)", "(1, 4, 4, 4)", "(1, 4, 4, 3)"});
  // The batch is what may differ.
  ConvFile dynamic;
  dynamic.tensor(ConvFile::x).shape_signature = {-1, 4, 4, 2};
  CHECK(dynamic.read().nodes.size() == 1);
}

// Row 66
TEST_CASE("tflite: bad file 66, windows and multipliers that would divide by zero") {
  for (const int bad : {0, -1, 65537, -2147483647 - 1}) {
    refused([&](ConvFile& f) { f.options().stride_h = bad; }, ErrorCode::bad_value,
            {"operator 0 (CONV_2D)", "stride"});
    refused([&](ConvFile& f) { f.options().stride_w = bad; }, ErrorCode::bad_value, {"stride"});
    refused([&](ConvFile& f) { f.options().dilation_w_factor = bad; }, ErrorCode::bad_value,
            {"dilation"});
  }
  refused(
      [](ConvFile& f) {
        f.tensor(ConvFile::w).shape = {3, 0, 3, 2};
        f.tensor(ConvFile::w).buffer = 0;
      },
      ErrorCode::unsupported, {"operator 0 (CONV_2D)", "weights"});
  refused([](ConvFile& f) { f.options().padding = static_cast<tflite::Padding>(7); },
          ErrorCode::bad_value, {"padding 7"});
  refused([](ConvFile& f) { f.tensor(ConvFile::x).shape[3] = 3; }, ErrorCode::shape_mismatch,
          {"operator 0 (CONV_2D)", "3 channels"});
  refused([](ConvFile& f) { f.op(0).builtin_options.Reset(); }, ErrorCode::bad_value,
          {"operator 0 (CONV_2D)", "no options"});
  refused([](ConvFile& f) { f.op(0).builtin_options.Set(tflite::AddOptionsT{}); },
          ErrorCode::bad_value, {"options of another operator", "Conv2DOptions"});
  const auto depthwise = [](int multiplier, int filters) {
    FileBuilder file;
    const int x = file.int8("x", {1, 4, 4, 2});
    const int w = file.constant<int8_t>("w", TensorType::INT8, {1, 3, 3, filters},
                                        std::vector<int8_t>(static_cast<size_t>(9 * filters), 1),
                                        {{0.1f}, {0}});
    const int y = file.int8("y", {1, 4, 4, filters});
    tflite::DepthwiseConv2DOptionsT options;
    options.stride_w = options.stride_h = 1;
    options.depth_multiplier = multiplier;
    file.add(BuiltinOperator::DEPTHWISE_CONV_2D, {x, w}, {y}, options);
    file.inputs({x});
    file.outputs({y});
    return file.bytes();
  };
  refused(depthwise(0, 4), ErrorCode::bad_value, {"depth_multiplier 0"});
  refused(depthwise(3, 4), ErrorCode::bad_value, {"depth_multiplier 3"});
  refused(depthwise(-2, 4), ErrorCode::bad_value, {"depth_multiplier -2"});
  CHECK(backends::parse_tflite(depthwise(2, 4), "").nodes[0].attributes.groups == 2);
}

TEST_CASE("tflite: bad file 66, pools and fully connected layers") {
  const auto pool = [](int filter, int stride) {
    FileBuilder file;
    const int x = file.int8("x", {1, 4, 4, 2}), y = file.int8("y", {1, 4, 4, 2});
    tflite::Pool2DOptionsT options;
    options.filter_width = options.filter_height = filter;
    options.stride_w = options.stride_h = stride;
    file.add(BuiltinOperator::AVERAGE_POOL_2D, {x}, {y}, options);
    file.inputs({x});
    file.outputs({y});
    return file.bytes();
  };
  refused(pool(0, 1), ErrorCode::bad_value, {"operator 0 (AVERAGE_POOL_2D)", "filter 0"});
  refused(pool(2, 0), ErrorCode::bad_value, {"operator 0 (AVERAGE_POOL_2D)", "stride 0"});
  const auto connected = [](std::vector<int32_t> weights) {
    FileBuilder file;
    size_t count = 1;
    for (const int32_t extent : weights) count *= static_cast<size_t>(extent);
    const int x = file.int8("x", {1, 4}), y = file.int8("y", {1, 3});
    const int w = file.constant<int8_t>("w", TensorType::INT8, std::move(weights),
                                        std::vector<int8_t>(count, 1), {{0.1f}, {0}});
    file.add(BuiltinOperator::FULLY_CONNECTED, {x, w}, {y}, tflite::FullyConnectedOptionsT{});
    file.inputs({x});
    file.outputs({y});
    return file.bytes();
  };
  refused(connected({3, 0}), ErrorCode::unsupported, {"operator 0 (FULLY_CONNECTED)"});
  refused(connected({3, 5}), ErrorCode::shape_mismatch, {"operator 0 (FULLY_CONNECTED)", "(3, 5)"});
  refused(connected({2, 4}), ErrorCode::shape_mismatch, {"operator 0 (FULLY_CONNECTED)"});
  CHECK(backends::parse_tflite(connected({3, 4}), "").nodes.size() == 1);
}

// Row 67
TEST_CASE("tflite: bad file 67, quantization") {
  using Scales = tflite::QuantizationParametersT;
  const auto weights = [](const std::function<void(Scales&)>& change) {
    return [=](ConvFile& f) { change(f.scales(ConvFile::w)); };
  };
  refused(weights([](Scales& q) { q.quantized_dimension = 4; }), ErrorCode::bad_value,
          {"tensor 1 \"w\"", "quantized_dimension 4"});
  refused(weights([](Scales& q) { q.quantized_dimension = -1; }), ErrorCode::bad_value,
          {"tensor 1 \"w\"", "quantized_dimension -1"});
  refused(weights([](Scales& q) { q.quantized_dimension = 1; }), ErrorCode::unsupported,
          {"operator 0 (CONV_2D)", "scales on axis 1"});
  refused(weights([](Scales& q) { q.quantized_dimension = 3; }), ErrorCode::shape_mismatch,
          {"tensor 1 \"w\"", "3 scales on axis 3"});
  refused(weights([](Scales& q) {
            q.scale.pop_back();
            q.zero_point.pop_back();
          }),
          ErrorCode::shape_mismatch, {"tensor 1 \"w\"", "2 scales on axis 0"});
  refused(weights([](Scales& q) { q.zero_point.clear(); }), ErrorCode::bad_value,
          {"tensor 1 \"w\"", "3 scales and 0 zero points"});
  refused(weights([](Scales& q) { q.zero_point.pop_back(); }), ErrorCode::bad_value,
          {"tensor 1 \"w\"", "3 scales and 2 zero points"});
  refused(weights([](Scales& q) { q.zero_point[1] = 1; }), ErrorCode::bad_value,
          {"operator 0 (CONV_2D)", "weights with zero point 1"});
  for (const float bad : {0.0f, -0.1f, std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity(), 1e-40f}) {
    refused(weights([&](Scales& q) { q.scale[2] = bad; }), ErrorCode::bad_value,
            {"tensor 1 \"w\""});
    refused([&](ConvFile& f) { f.scales(ConvFile::x).scale[0] = bad; }, ErrorCode::bad_value,
            {"tensor 0 \"x\""});
  }
  refused([](ConvFile& f) { f.scales(ConvFile::x).zero_point[0] = 128; }, ErrorCode::bad_value,
          {"tensor 0 \"x\"", "128"});
  refused([](ConvFile& f) { f.scales(ConvFile::b).zero_point[0] = 1; }, ErrorCode::bad_value,
          {"operator 0 (CONV_2D)", "a bias with zero point 1"});
  refused([](ConvFile& f) { f.tensor(ConvFile::w).quantization.reset(); }, ErrorCode::unsupported,
          {"operator 0 (CONV_2D)", "weights without scales"});
  refused(weights([](Scales& q) {
            q.details.type = tflite::QuantizationDetails::Blockwise;
            q.details.value = new tflite::OtherQuantizationT;
          }),
          ErrorCode::unsupported, {"tensor 1 \"w\"", "not by scale and zero point"});
}

// Row 68
TEST_CASE("tflite: bad file 68, biases") {
  for (const auto& [type, bytes] : {std::pair{TensorType::INT64, 24},
                                    {TensorType::INT16, 6},
                                    {TensorType::FLOAT32, 12},
                                    {TensorType::INT8, 3}}) {
    const TensorType wrong = type;
    const auto size = static_cast<size_t>(bytes);
    refused(
        [&](ConvFile& f) {
          f.tensor(ConvFile::b).type = wrong;
          f.model.buffers[2]->data.resize(size);
        },
        ErrorCode::bad_value, {"operator 0 (CONV_2D)", "a bias of", "INT32"});
  }
  refused(
      [](ConvFile& f) {
        f.tensor(ConvFile::b).shape = {2};
        f.model.buffers[2]->data.resize(8);
      },
      ErrorCode::shape_mismatch, {"operator 0 (CONV_2D)", "a bias of shape (2,)", "(3,)"});
  refused([](ConvFile& f) { f.tensor(ConvFile::b).buffer = 0; }, ErrorCode::unsupported,
          {"operator 0 (CONV_2D)", "a bias that is computed"});
}

// Row 69
TEST_CASE("tflite: bad file 69, order of operators") {
  const auto two = [](bool in_order) {
    ConvFile file;
    const int z = file.int8("z", {1, 4, 4, 3});
    file.add(BuiltinOperator::RELU, {ConvFile::y}, {z});
    file.outputs({z});
    if (!in_order) std::swap(file.graph().operators[0], file.graph().operators[1]);
    return file;
  };
  CHECK(two(true).read().nodes.size() == 2);
  refused(two(false).bytes(), ErrorCode::bad_value,
          {"operator 0 (RELU)", "input 0: tensor 3 \"y\" is used before it is computed"});
  ConvFile itself;
  itself.op(0).inputs[0] = ConvFile::y;
  refused(itself.bytes(), ErrorCode::bad_value, {"operator 0 (CONV_2D)", "before it is computed"});
  FileBuilder twice = two(true);
  twice.op(1).outputs = {ConvFile::y};
  refused(twice.bytes(), ErrorCode::bad_value, {"tensor 3 \"y\"", "written twice"});
  FileBuilder into_constant = two(true);
  into_constant.op(1).outputs = {ConvFile::w};
  refused(into_constant.bytes(), ErrorCode::bad_value, {"tensor 1 \"w\"", "written twice"});
  refused(
      [](ConvFile& f) {
        f.inputs({ConvFile::x, ConvFile::x});
      },
      ErrorCode::bad_value, {"tensor 0 \"x\"", "written twice"});
  refused([](ConvFile& f) { f.inputs({ConvFile::w}); }, ErrorCode::bad_value,
          {"tensor 1 \"w\"", "an input with data"});
  refused([](ConvFile& f) { f.tensor(ConvFile::y).is_variable = true; }, ErrorCode::unsupported,
          {"tensor 3 \"y\"", "a variable tensor"});
  refused([](ConvFile& f) { f.outputs({ConvFile::b}); }, ErrorCode::unsupported,
          {"tensor 2 \"b\"", "constant"});
}

TEST_CASE("tflite: types and fused functions that an integer network does not have") {
  for (const TensorType type : {TensorType::FLOAT16, TensorType::STRING, TensorType::BOOL,
                                TensorType::VARIANT, static_cast<TensorType>(99)}) {
    refused([&](ConvFile& f) { f.tensor(ConvFile::y).type = type; }, ErrorCode::unsupported,
            {"tensor 3 \"y\""});
  }
  refused(
      [](ConvFile& f) { f.tensor(ConvFile::w).sparsity.reset(new tflite::SparsityParametersT); },
      ErrorCode::unsupported, {"tensor 1 \"w\"", "sparse"});
  refused(
      [](ConvFile& f) {
        f.options().fused_activation_function = tflite::ActivationFunctionType::TANH;
      },
      ErrorCode::unsupported, {"operator 0 (CONV_2D)", "fused activation TANH"});
  refused([](ConvFile& f) { f.tensor(ConvFile::x).name.assign(1 << 20, 'n'); },
          ErrorCode::bad_value, {"tensor 0", "a name of 1048576 bytes"});
}

TEST_CASE("tflite: floating-point and hybrid networks are said to be what they are") {
  const auto make_real = [](ConvFile& f, int number) {
    f.tensor(number).type = TensorType::FLOAT32;
    f.tensor(number).quantization.reset();
  };
  refused(
      [&](ConvFile& f) {
        make_real(f, ConvFile::x);
        make_real(f, ConvFile::y);
      },
      ErrorCode::unsupported, {"operator 0 (CONV_2D)", "\"x\" of real numbers", "hybrid"});
  refused(
      [&](ConvFile& f) {
        for (const int number : {ConvFile::x, ConvFile::w, ConvFile::y}) make_real(f, number);
        f.model.buffers[1]->data.resize(54 * 4);
      },
      ErrorCode::unsupported, {"operator 0 (CONV_2D)", "weights without scales"});
}

TEST_CASE("tflite: lists that operators share are bounded") {
  // 100 000 operators with one list of 1 024 tensors would be 400 MB of numbers.
  flatbuffers::FlatBufferBuilder b;
  const std::vector<int32_t> numbers(1024, 0);
  const auto list = b.CreateVector(numbers);
  std::vector<flatbuffers::Offset<tflite::Operator>> operators;
  const auto one = tflite::CreateOperator(b, 0, list, list);
  operators.assign(100000, one);
  const std::vector<int32_t> shape{1, 4};
  const auto tensor = tflite::CreateTensorDirect(b, &shape, TensorType::INT8, 0, "x");
  const std::vector<flatbuffers::Offset<tflite::Tensor>> tensors{tensor};
  const std::vector<int32_t> first{0};
  const auto graph = tflite::CreateSubGraphDirect(b, &tensors, &first, &first, &operators);
  const std::vector<flatbuffers::Offset<tflite::SubGraph>> graphs{graph};
  const std::vector<flatbuffers::Offset<tflite::OperatorCode>> codes{tflite::CreateOperatorCode(b)};
  const std::vector<flatbuffers::Offset<tflite::Buffer>> buffers{tflite::CreateBuffer(b)};
  tflite::FinishModelBuffer(b, tflite::CreateModelDirect(b, 3, &codes, &graphs, nullptr, &buffers));
  const auto start = std::chrono::steady_clock::now();
  refused({reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()},
          ErrorCode::unsupported, {"too many operands"});
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
}

}  // namespace
}  // namespace facsim::test
