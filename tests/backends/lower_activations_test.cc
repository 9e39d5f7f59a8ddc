// SPDX-License-Identifier: Apache-2.0
// Nodes of sigmoid, tanh, hard_swish, leaky_relu, prelu and softmax under TFLite's profiles.
#include <doctest/doctest.h>

#include <limits>

#include "backends/lower/activations.h"
#include "backends/lower/recurrent.h"
#include "sim/core/error.h"
#include "tests/backends/lowering.h"

namespace facsim::backends {
namespace {

using test::shipped_profile;

struct Codes {
  float scale;
  int64_t zero_point;
  sim::IntType type = sim::kInt8;

  quant::QParams qparams() const { return test::qparams_of(scale, zero_point, type); }
};

/// A graph of one node and what to run it on.
struct ActivationNode {
  std::string op;
  Codes input, output;
  NodeAttributes attributes = {};
  std::optional<Codes> alpha = {};
  std::vector<int64_t> alpha_codes = {};

  std::shared_ptr<const sim::Op> lower(const Profile& profile) const {
    IntGraph graph;
    IntNode node;
    node.op = op;
    node.attributes = attributes;
    const auto add = [&](const Codes& codes, std::optional<Tensor> data) {
      IntTensor tensor;
      tensor.name = "t" + std::to_string(graph.tensors.size());
      tensor.dtype = codes.type.storage();
      tensor.qparams = codes.qparams();
      tensor.data = std::move(data);
      graph.tensors.push_back(std::move(tensor));
      return static_cast<int>(graph.tensors.size()) - 1;
    };
    node.inputs = {add(input, {})};
    if (alpha) {
      Tensor data(alpha->type.storage(), Shape{static_cast<int64_t>(alpha_codes.size())});
      for (int64_t i = 0; i < data.numel(); ++i) {
        data.set_int(i, alpha_codes[static_cast<size_t>(i)]);
      }
      node.inputs.push_back(add(*alpha, std::move(data)));
    }
    node.output = add(output, {});
    return lower_node(graph, node, profile);
  }

  std::vector<int64_t> run(const char* profile, const std::vector<int64_t>& codes) const {
    const auto lowered = lower(shipped_profile(profile));
    Tensor x(input.type.storage(), Shape{1, static_cast<int64_t>(codes.size())});
    for (int64_t i = 0; i < x.numel(); ++i) x.set_int(i, codes[static_cast<size_t>(i)]);
    Tensor y(lowered->output_dtype(), x.shape());
    const std::vector<const Tensor*> inputs = {&x};
    lowered->run(inputs, y, {});
    std::vector<int64_t> results;
    for (int64_t i = 0; i < y.numel(); ++i) results.push_back(y.int_at(i));
    return results;
  }

  /// The Error of lowering, as text.
  std::string error(const char* profile) const {
    try {
      lower(shipped_profile(profile));
    } catch (const Error& e) {
      return std::string(to_string(e.code())) + ": " + e.what();
    }
    return "no error";
  }
};

using Results = std::vector<int64_t>;

#define CHECK_CONTAINS(text, part) \
  CHECK_MESSAGE(std::string(text).find(part) != std::string::npos, text)

// Inputs and results are TFLite Micro's own tests' (recorded with 90b983c2).
TEST_CASE("lower activations: nodes give TFLite Micro's results") {
  const ActivationNode sigmoid{"sigmoid", {0.1f, 0}, {1.0f / 255, -128}};
  CHECK(sigmoid.run("tflite-micro", {10, 20, 50, -10, -50}) == Results{59, 97, 126, -59, -126});
  const ActivationNode tanh{"tanh", {0.0625f, 0}, {0.0078124981f, 0}};
  CHECK(tanh.run("tflite-micro", {-128, -49, -15, 0, 3, 49}) ==
        Results{-128, -127, -94, 0, 24, 127});
  const ActivationNode swish{
      "hard_swish", {0.3921568691730499f, -26}, {0.23676469922065735f, -126}};
  CHECK(swish.run("tflite-micro", {-24, -26, 30, 62, 117, -29}) ==
        Results{-124, -126, -33, 20, 111, -128});
  ActivationNode leaky{"leaky_relu", {0.1f, 0}, {0.1f, 0}};
  leaky.attributes.alpha = 0.5f;
  CHECK(leaky.run("tflite-micro", {0, 10, 30, -10, -20}) == Results{0, 10, 30, -5, -10});
  ActivationNode prelu{"prelu", {2.0f / 127, 0}, {2.0f / 127, 0}};
  prelu.alpha = Codes{1.0f / 127, 0};
  prelu.alpha_codes = {0, 64, -64};
  CHECK(prelu.run("tflite-micro", {-127, -127, -127}) == Results{0, -64, 64});
  const ActivationNode softmax{"softmax", {0.1f, 0}, {0x1p-16f, -32768, sim::kInt16}};
  CHECK(softmax.run("tflite-micro", {10, 20, 30, 40, 50}) ==
        Results{-32004, -30692, -27123, -17425, 8940});
}

TEST_CASE("lower activations: int16 takes the tables, by the scale's own multiplier") {
  const Codes q15{0x1p-15f, 0, sim::kInt16};
  for (const float scale : {0x1p-12f, 0x1p-11f}) {
    const ActivationNode sigmoid{"sigmoid", {scale, 0, sim::kInt16}, q15};
    const ActivationNode tanh{"tanh", {scale, 0, sim::kInt16}, q15};
    const int64_t code = scale == 0x1p-12f ? 12042 : 6021;
    CHECK(sigmoid.run("tflite-micro", {code}) == Results{31122});
    CHECK(tanh.run("tflite-micro", {code}) == Results{32585});
  }
  ActivationNode softmax{"softmax", {0x1p-12f, 0, sim::kInt16}, q15};
  // Four equal codes: a quarter each.
  CHECK(softmax.run("cmsis-nn", {5, 5, 5, 5}) == Results{8192, 8192, 8192, 8192});
  softmax.attributes.beta = 0;
  CHECK(softmax.run("cmsis-nn", {5, -9, 30000, 7}) == Results{8192, 8192, 8192, 8192});
}

TEST_CASE("lower activations: softmax by TFLite's optimized kernels and by its reference") {
  // Four of 9 give 28.44 steps of 1/256 each, the other share nothing: both round down.
  const ActivationNode softmax{"softmax", {0.25f, 3}, {0x1p-8f, -128}};
  const std::vector<int64_t> codes = {9, 9, 9, 9, 9, 9, 9, 9, 9, -128};
  const Results expected = {-100, -100, -100, -100, -100, -100, -100, -100, -100, -128};
  CHECK(softmax.run("tflite-reference", codes) == expected);
  CHECK(softmax.run("tflite-builtin", codes) == expected);
  CHECK(softmax.lower(shipped_profile("tflite-builtin"))->kind() == "softmax_real");
  CHECK(softmax.lower(shipped_profile("tflite-reference"))->kind() == "softmax");
}

TEST_CASE("lower activations: what the platform refuses is refused by name") {
  CHECK_CONTAINS((ActivationNode{"sigmoid", {0.1f, 0}, {0x1p-8f, 0}}).error("tflite-micro"),
                 "output scale 0.00390625, zero point 0; expected 0.00390625 and -128");
  CHECK_CONTAINS((ActivationNode{"tanh", {0.1f, 0}, {0x1p-8f, 0}}).error("tflite-micro"),
                 "expected 0.0078125 and 0");
  CHECK_CONTAINS((ActivationNode{"sigmoid", {0.1f, 0, sim::kUint8}, {0x1p-8f, 0, sim::kUint8}})
                     .error("tflite-micro"),
                 "uint8");
  CHECK_CONTAINS((ActivationNode{"tanh", {0x1p-12f, 5, sim::kInt16}, {0x1p-15f, 0, sim::kInt16}})
                     .error("tflite-micro"),
                 "zero point 5");
  CHECK_CONTAINS((ActivationNode{"tanh", {100.0f, 0, sim::kInt16}, {0x1p-15f, 0, sim::kInt16}})
                     .error("tflite-micro"),
                 "0..32767");
  CHECK_CONTAINS((ActivationNode{"sigmoid", {0x1p-29f, 0}, {0x1p-8f, -128}}).error("tflite-micro"),
                 "a scale of at least 2^-28");
  CHECK((ActivationNode{"tanh", {0x1p-28f, 0}, {0x1p-7f, 0}}).error("tflite-micro") == "no error");
  CHECK_CONTAINS((ActivationNode{"hard_swish", {100.0f, 0}, {0.1f, 0}}).error("tflite-micro"),
                 "output_exponent");
  CHECK_CONTAINS((ActivationNode{"softmax", {0.1f, 0}, {0.1f, 0}}).error("tflite-micro"),
                 "2^-8 and -128");
  ActivationNode softmax{"softmax", {0.1f, 0}, {0x1p-8f, -128}};
  softmax.attributes.beta = -1;
  CHECK_CONTAINS(softmax.error("tflite-micro"), "a product above 2^-26");
  CHECK_CONTAINS((ActivationNode{"softmax", {0.1f, 0}, {0x1p-8f, -128}}).error("ruy"),
                 "has no rules");
}

TEST_CASE("lower activations: absurd alpha and beta follow the platform or are refused by name") {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const ActivationNode softmax8{"softmax", {0.1f, 0}, {0x1p-8f, -128}};
  const ActivationNode softmax16{"softmax", {0.001f, 0, sim::kInt16}, {0x1p-15f, 0, sim::kInt16}};
  const ActivationNode leaky{"leaky_relu", {0.125f, 0}, {0.125f, 0}};
  struct Row {
    const char* profile;
    const ActivationNode& node;
    float value;
    std::string_view error;             ///< empty: computed
    std::vector<int64_t> results = {};  ///< of the codes -100, -1, 0, 100
  };
  const Row rows[] = {
      {"tflite-micro", softmax8, -1, "beta -1, input scale 0.1; expected a product above 2^-26"},
      {"tflite-micro", softmax8, 0, "beta 0, input scale 0.1; expected a product above 2^-26"},
      // Above the largest multiplier all but the largest code count nothing.
      {"tflite-micro", softmax8, 1e30f, "", {-128, -128, -128, 127}},
      {"tflite-micro", softmax16, -1, "beta -1, input scale 0.001; expected at least 0"},
      {"tflite-micro", softmax16, 1e30f, "softmax beta 1e+30, channel 0: right shift -72"},
      {"tflite-micro", softmax16, 0, "", {8192, 8192, 8192, 8192}},
      {"tflite-builtin", softmax8, -1,
       "beta -1, input scale 0.1; expected a product of at least 0"},
      {"tflite-builtin", softmax8, 1e30f, "", {-128, -128, -128, 127}},
      {"tflite-micro", leaky, -1, "alpha -1, input to output scale 1; expected alpha >= 0"},
      {"tflite-micro", leaky, 1e30f, "leaky_relu alpha 1e+30, channel 0: right shift -69"},
      {"tflite-micro", leaky, 0, "", {0, 0, 0, 100}},
      // Tables of float32 values take any finite slope.
      {"onnxruntime-cpu", leaky, -1, "", {100, 1, 0, 100}},
      {"onnxruntime-cpu", leaky, 3e38f, "", {-128, -128, 0, 100}},
      {"onnxruntime-cpu", leaky, -3e38f, "", {127, 127, 0, 100}},
      // XNNPACK refuses slopes that its 8 fraction bits do not hold, and takes negative ones.
      {"xnnpack-x86", leaky, 0, "input to output scale times alpha 0; expected -127.99609"},
      {"xnnpack-x86", leaky, 1e30f, "input to output scale times alpha 1e+30"},
      {"xnnpack-x86", leaky, -1, "", {100, 1, 0, 100}},
      {"ethos-u", leaky, -1, "alpha -1; expected 8 bits, alpha >= 0"},
      // Vela makes a scale of 0 of what its shift does not reach.
      {"ethos-u", leaky, 1e30f, "", {0, 0, 0, 100}},
      {"nvdla", leaky, -1, "leaky_relu alpha: -1; expected >= 0"},
      {"nvdla", leaky, 1e30f, "leaky_relu alpha 1e+30"},
      // Vitis AI's slope is 26 / 256 whatever the model's is.
      {"vitis-ai", leaky, 1e30f, "", {-10, 0, 0, 100}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.profile);
    CAPTURE(row.node.op);
    const bool is_softmax = row.node.op == "softmax";
    ActivationNode node = row.node;
    float& attribute = is_softmax ? node.attributes.beta : node.attributes.alpha;
    for (const float none : {kNan, kInfinity, -kInfinity}) {
      attribute = none;
      CHECK_CONTAINS(node.error(row.profile), is_softmax ? "softmax beta: " : "leaky_relu alpha: ");
      CHECK_CONTAINS(node.error(row.profile), "expected a finite number");
    }
    attribute = row.value;
    CAPTURE(row.value);
    if (row.error.empty()) {
      CHECK(node.run(row.profile, {-100, -1, 0, 100}) == row.results);
    } else {
      CHECK_CONTAINS(node.error(row.profile), row.error);
    }
  }
}

/// The smallest lstm: one input, one hidden unit.
GivenLstm tiny_lstm(sim::IntType type) {
  GivenLstm given;
  given.type = type;
  GivenMultiplier half;
  half.multiplier = {1 << 30};
  half.shift = {31};
  for (GivenLstmGate* gate :
       {&given.input_gate, &given.forget_gate, &given.cell_gate, &given.output_gate}) {
    gate->input_weights = gate->hidden_weights = Tensor(DType::int8, Shape{1, 1});
    gate->input = gate->hidden = half;
  }
  given.cell_scale_power = -14;
  given.forget_to_cell = given.input_to_cell = half;
  given.output = half;
  return given;
}

TEST_CASE("lower activations: a cell is not clipped unless the model says so") {
  CHECK(GivenLstm{}.cell_clip == 32767);
}

TEST_CASE("lower activations: lstm and svdf only where the profile has them") {
  CHECK(make_lstm(shipped_profile("cmsis-nn"), tiny_lstm(sim::kInt8))->kind() == "lstm");
  CHECK(make_lstm(shipped_profile("cmsis-nn"), tiny_lstm(sim::kInt16))->kind() == "lstm");
  CHECK_THROWS_AS(make_lstm(shipped_profile("tflite-micro"), tiny_lstm(sim::kInt8)), Error);
  CHECK_THROWS_AS(make_lstm(shipped_profile("cmsis-nn"), tiny_lstm(sim::kUint8)), Error);
  GivenLstm bad = tiny_lstm(sim::kInt16);
  bad.cell_gate.input.shift = {16};
  CHECK_THROWS_AS(make_lstm(shipped_profile("cmsis-nn"), bad), Error);
  bad = tiny_lstm(sim::kInt16);
  bad.cell_gate.input.multiplier = {};
  bad.cell_gate.input.shift = {};
  CHECK_THROWS_AS(make_lstm(shipped_profile("cmsis-nn"), bad), Error);
  CHECK_THROWS_AS(make_svdf(shipped_profile("onnxruntime-cpu"), {}), Error);
}

}  // namespace
}  // namespace facsim::backends
