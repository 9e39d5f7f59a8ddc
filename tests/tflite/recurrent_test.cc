// SPDX-License-Identifier: Apache-2.0
// SVDF and UNIDIRECTIONAL_SEQUENCE_LSTM: networks with states, which every run and every image
// starts as real 0.
#include <doctest/doctest.h>

#include <array>
#include <cmath>

#include "backends/io/network_file.h"
#include "backends/lower/lower.h"
#include "backends/lower/recurrent.h"
#include "sim/graph/executor.h"
#include "tests/formats/temp_folder.h"
#include "tests/tflite/file_builder.h"

namespace facsim::test {
namespace {

using backends::IntGraph;
using tflite::BuiltinOperator;
using tflite::TensorType;

backends::Profile profile_named(const char* name) {
  return backends::load_profile(name, backends::ProfileSearch::standard());
}

std::vector<int64_t> codes_of_tensor(const Tensor& tensor) {
  std::vector<int64_t> codes;
  for (int64_t i = 0; i < tensor.numel(); ++i) codes.push_back(tensor.int_at(i));
  return codes;
}

/// x (1, 2) -> SVDF of 2 units, rank 1, memory 3 -> y (1, 2).
struct SvdfFile : FileBuilder {
  int x, state, y;
  SvdfFile() {
    x = int8("x", {1, 2}, 0.5f, 1);
    const int features =
        constant<int8_t>("features", TensorType::INT8, {2, 2}, {1, 2, 3, -4}, {{0.5f}, {0}});
    const int time =
        constant<int16_t>("time", TensorType::INT16, {2, 3}, {5, 6, 7, 8, 9, 10}, {{0.25f}, {0}});
    const int bias = constant<int32_t>("bias", TensorType::INT32, {2}, {4, -4}, {{0.0625f}, {0}});
    state = activation("state", TensorType::INT16, {1, 6}, {{0.25f}, {0}});
    tensor(state).is_variable = true;
    y = int8("y", {1, 2}, 0.5f, -1);
    tflite::SVDFOptionsT options;
    options.rank = 1;
    options.fused_activation_function = tflite::ActivationFunctionType::NONE;
    add(BuiltinOperator::SVDF, {x, features, time, bias, state}, {y}, options);
    inputs({x});
    outputs({y});
  }
};

TEST_CASE(
    "tflite SVDF: one step from empty states, by hand; runs and images do not see each other") {
  const IntGraph graph = SvdfFile().read();
  REQUIRE(graph.nodes.size() == 3);  // an axis of time in front and behind
  CHECK(graph.nodes[1].op == "svdf");
  CHECK(graph.nodes[1].attributes.rank == 1);
  CHECK(graph.nodes[1].attributes.state->type == sim::kInt16);
  const sim::Executor executor(backends::lower(graph, profile_named("tflite-micro")), {});
  // x - 1 = (2, 4): sums (10, -10) of 0.25 are the newest states; times 7 and 10, plus the bias:
  // 74 and -104 of 0.0625 are 9.25 and -13 of 0.5, minus 1. Real 0 leaves the bias: 0.5 and -0.5.
  const std::vector<int64_t> expected{8, -14, 8, -14, 0, -2};
  const std::vector<int8_t> images{3, 5, 3, 5, 1, 1};
  const Tensor input = Tensor::from<int8_t>({3, 2}, images);
  CHECK(codes_of_tensor(executor.run({input}).outputs.at(0)) == expected);
  CHECK(codes_of_tensor(executor.run({input}).outputs.at(0)) == expected);
}

TEST_CASE("tflite SVDF: states and options that it cannot have") {
  const auto refused = [](auto change, ErrorCode code, const char* part) {
    SvdfFile file;
    change(file);
    const std::string text = error_text(code, [&] { file.read(); });
    CAPTURE(text);
    CHECK(contains(text, part));
  };
  refused([](SvdfFile& f) { f.tensor(f.state).is_variable = false; }, ErrorCode::unsupported,
          "no variable");
  refused([](SvdfFile& f) { f.tensor(f.state).quantization.reset(); }, ErrorCode::unsupported,
          "without a single scale");
  refused([](SvdfFile& f) { f.op(0).builtin_options.AsSVDFOptions()->rank = 0; },
          ErrorCode::bad_value, "rank 0");
  refused([](SvdfFile& f) { f.op(0).builtin_options.AsSVDFOptions()->rank = 3; },
          ErrorCode::bad_value, "rank 3");
  refused(
      [](SvdfFile& f) {
        f.op(0).builtin_options.AsSVDFOptions()->fused_activation_function =
            tflite::ActivationFunctionType::RELU6;
      },
      ErrorCode::unsupported, "bounds from above");
}

/// x (1, T, 2) -> LSTM of 2 units -> y (1, T, 2), or with time first (T, 1, 2) inside transposes.
struct LstmFile : FileBuilder {
  int x, y, cell;
  explicit LstmFile(bool time_major = false) {
    x = int8("x", {1, 3, 2}, 0.05f, 3);
    y = int8("y", {1, 3, 2}, 1.0f / 128, 0);
    int from = x, to = y;
    const int order = int32s("order", {1, 0, 2});
    if (time_major) {
      from = int8("x_by_time", {3, 1, 2}, 0.05f, 3);
      to = int8("y_by_time", {3, 1, 2}, 1.0f / 128, 0);
      add(BuiltinOperator::TRANSPOSE, {x, order}, {from});
    }
    std::vector<int32_t> operands(24, -1);
    operands[0] = from;
    for (size_t i = 1; i <= 8; ++i) {
      const auto base = static_cast<int8_t>(10 * i - 45);
      operands[i] =
          constant<int8_t>("w" + std::to_string(i), TensorType::INT8, {2, 2},
                           {base, static_cast<int8_t>(base + 30), static_cast<int8_t>(-base), 100},
                           {{0.01f + 0.001f * static_cast<float>(i)}, {0}});
    }
    for (size_t i = 0; i < 4; ++i) {
      const float scale = 0.05f * tensor(operands[1 + i]).quantization->scale[0];
      operands[12 + i] = constant<int32_t>("b" + std::to_string(i), TensorType::INT32, {2},
                                           {static_cast<int32_t>(300 * i), -200}, {{scale}, {0}});
    }
    operands[18] = activation("hidden", TensorType::INT8, {1, 2}, {{1.0f / 128}, {0}});
    operands[19] = cell = activation("cell", TensorType::INT16, {1, 2}, {{0x1p-11f}, {0}});
    tensor(operands[18]).is_variable = tensor(operands[19]).is_variable = true;
    tflite::UnidirectionalSequenceLSTMOptionsT options;
    options.fused_activation_function = tflite::ActivationFunctionType::TANH;
    options.cell_clip = 10.0f;
    options.time_major = time_major;
    add(BuiltinOperator::UNIDIRECTIONAL_SEQUENCE_LSTM, operands, {to}, options);
    if (time_major) add(BuiltinOperator::TRANSPOSE, {to, order}, {y});
    inputs({x});
    outputs({y});
  }
};

/// The cell in real numbers, on the dequantized weights: what the integers approximate.
std::vector<double> real_lstm(const IntGraph& graph, const std::vector<int64_t>& codes) {
  const backends::IntNode& node = graph.nodes.at(0);
  const auto value = [&](size_t input, int64_t i) {
    const backends::IntTensor& t = graph.tensors[static_cast<size_t>(node.inputs[input])];
    return static_cast<double>(t.qparams->scale[0]) * static_cast<double>(t.data->int_at(i));
  };
  const auto sigmoid = [](double v) { return 1 / (1 + std::exp(-v)); };
  std::array<double, 2> hidden{}, cell{};
  std::vector<double> out;
  for (size_t step = 0; step < 3; ++step) {
    std::array<std::array<double, 2>, 4> gates{};
    for (size_t gate = 0; gate < 4; ++gate) {
      for (int64_t unit = 0; unit < 2; ++unit) {
        double sum = value(9 + gate, unit);
        for (int64_t i = 0; i < 2; ++i) {
          const auto at = static_cast<size_t>(i);
          const double x = 0.05 * static_cast<double>(codes[2 * step + at] - 3);
          sum += x * value(1 + gate, 2 * unit + i) + hidden[at] * value(5 + gate, 2 * unit + i);
        }
        gates[gate][static_cast<size_t>(unit)] = sum;
      }
    }
    for (size_t unit = 0; unit < 2; ++unit) {
      cell[unit] = sigmoid(gates[1][unit]) * cell[unit] +
                   sigmoid(gates[0][unit]) * std::tanh(gates[2][unit]);
    }
    for (size_t unit = 0; unit < 2; ++unit) {
      hidden[unit] = sigmoid(gates[3][unit]) * std::tanh(cell[unit]);
      out.push_back(hidden[unit]);
    }
  }
  return out;
}

const std::vector<int64_t> kSequence{20, -40, 90, 3, -100, 60};

std::vector<int64_t> run_sequence(const IntGraph& graph) {
  const sim::Executor executor(backends::lower(graph, profile_named("cmsis-nn")), {});
  Tensor input(DType::int8, {3, 3, 2});
  for (int64_t i = 0; i < 6; ++i) {
    input.set_int(i, kSequence[static_cast<size_t>(i)]);
    input.set_int(12 + i, kSequence[static_cast<size_t>(i)]);
  }
  const std::vector<int64_t> all = codes_of_tensor(executor.run({input}).outputs.at(0));
  CHECK(std::equal(all.begin(), all.begin() + 6, all.begin() + 12));
  return {all.begin(), all.begin() + 6};
}

TEST_CASE(
    "tflite LSTM: codes within two of the real cell, images apart, time first or batch first") {
  const IntGraph graph = LstmFile().read();
  REQUIRE(graph.nodes.size() == 1);
  CHECK(graph.nodes[0].op == "lstm");
  CHECK(graph.nodes[0].attributes.cell_clip == 10.0f);
  const std::vector<int64_t> codes = run_sequence(graph);
  const std::vector<double> real = real_lstm(graph, kSequence);
  for (size_t i = 0; i < codes.size(); ++i) {
    // Output codes are rounded, and so are the codes of y that go back in.
    CHECK(std::abs(static_cast<double>(codes[i]) - 128 * real[i]) < 2.0);
  }
  CHECK(run_sequence(LstmFile(/*time_major=*/true).read()) == codes);
}

TEST_CASE("tflite LSTM: kinds that the op does not have") {
  const auto refused = [](auto change, const char* part) {
    LstmFile file;
    change(file);
    const std::string text = error_text(ErrorCode::unsupported, [&] { file.read(); });
    CAPTURE(text);
    CHECK(contains(text, part));
  };
  refused([](LstmFile& f) { f.op(0).inputs[9] = f.op(0).inputs[12]; }, "input 9: peepholes");
  refused([](LstmFile& f) { f.op(0).inputs[16] = f.op(0).inputs[1]; }, "projection");
  refused([](LstmFile& f) { f.op(0).inputs[12] = -1; }, "no bias (input 12)");
  refused([](LstmFile& f) { f.tensor(f.cell).is_variable = false; }, "no variable");
  refused([](LstmFile& f) { f.tensor(f.y).quantization->scale[0] = 0.5f; }, "not its state's");
  const auto options = [](LstmFile& f) {
    return f.op(0).builtin_options.AsUnidirectionalSequenceLSTMOptions();
  };
  refused(
      [&](LstmFile& f) {
        options(f)->fused_activation_function = tflite::ActivationFunctionType::RELU;
      },
      "not Keras's");
  LstmFile no_clip;
  options(no_clip)->cell_clip = 0.0f;
  const IntGraph graph = no_clip.read();
  CHECK(contains(error_text(ErrorCode::unsupported,
                            [&] { backends::lower(graph, profile_named("cmsis-nn")); }),
                 "cell_clip 0"));
}

TEST_CASE("tflite: networks with states are written and read as facsim's own") {
  const TempFolder folder;
  for (const IntGraph& graph : {SvdfFile().read(), LstmFile().read()}) {
    backends::write_int_graph(folder / "net.json", graph);
    const IntGraph back = backends::read_int_graph(folder / "net.json");
    REQUIRE(back.nodes.size() == graph.nodes.size());
    for (size_t i = 0; i < graph.nodes.size(); ++i) {
      CHECK(back.nodes[i].op == graph.nodes[i].op);
      CHECK(back.nodes[i].attributes.state == graph.nodes[i].attributes.state);
      CHECK(back.nodes[i].attributes.rank == graph.nodes[i].attributes.rank);
      CHECK(back.nodes[i].attributes.cell_clip == graph.nodes[i].attributes.cell_clip);
    }
  }
}

}  // namespace
}  // namespace facsim::test
