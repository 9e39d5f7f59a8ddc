// SPDX-License-Identifier: Apache-2.0
// The named algorithms of accelerators, from a profile and one node to numbers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tests/backends/lowering.h"

namespace facsim::backends {
namespace {

using test::qparams_of;

constexpr float kUnit = 1;

IntTensor tensor_of(std::string name, const quant::QParams& q, const Shape& shape) {
  IntTensor t;
  t.name = std::move(name);
  t.dtype = q.type.storage();
  t.shape = shape;
  t.qparams = q;
  return t;
}

/// One node under tflite-reference with this JSON for its op:
///   "ops": {"<op>": {"algorithm": "<algorithm>", "params": {...}}}
struct OneNode {
  std::string op, algorithm;
  std::string params = "";
  std::vector<quant::QParams> inputs = {};
  quant::QParams output = {};
  NodeAttributes attributes = {};

  Profile profile() const {
    return test::shipped_profile(
        "tflite-reference",
        {{"/tensors/activation/also_accepts", R"(["uint8", "int16", "int32", "uint4"])"},
         {"/ops/" + op, R"({"algorithm": ")" + algorithm + "\"" +
                            (params.empty() ? "" : R"(, "params": )" + params) + "}"}});
  }
  std::shared_ptr<const sim::Op> lowered(int64_t count) const {
    IntGraph graph;
    IntNode node;
    node.name = "n";
    node.op = op;
    node.attributes = attributes;
    for (const quant::QParams& q : inputs) {
      node.inputs.push_back(static_cast<int>(graph.tensors.size()));
      graph.tensors.push_back(tensor_of("in" + std::to_string(node.inputs.back()), q, {1, count}));
    }
    node.output = static_cast<int>(graph.tensors.size());
    graph.tensors.push_back(tensor_of("out", output, {1, count}));
    return lower_node(graph, node, profile());
  }
  /// Results for codes of input 0 (and of input 1), equal on the norm and the fast path.
  std::vector<int64_t> run(const std::vector<int64_t>& a,
                           const std::vector<int64_t>& b = {}) const {
    const auto count = static_cast<int64_t>(a.size());
    const auto sim_op = lowered(count);
    std::vector<Tensor> tensors;
    for (const auto* codes : {&a, &b}) {
      if (tensors.size() == inputs.size()) break;
      Tensor t(inputs[tensors.size()].type.storage(), {1, count});
      for (int64_t i = 0; i < count; ++i) t.set_int(i, (*codes)[static_cast<size_t>(i)]);
      tensors.push_back(std::move(t));
    }
    std::vector<const Tensor*> pointers;
    for (const Tensor& t : tensors) pointers.push_back(&t);
    std::vector<std::vector<int64_t>> results;
    for (const sim::Isa isa : {sim::Isa::scalar, sim::Isa::best}) {
      Tensor out(sim_op->output_dtype(), {1, count});
      sim_op->run(pointers, out, {.isa = isa});
      results.emplace_back();
      for (int64_t i = 0; i < count; ++i) results.back().push_back(out.int_at(i));
    }
    CHECK(results[0] == results[1]);
    return results[0];
  }
  std::string error() const {
    try {
      lowered(1);
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  }
};

using Codes = std::vector<int64_t>;

void check_error(const OneNode& node, const char* part) {
  const std::string text = node.error();
  CAPTURE(text);
  CHECK(text.find(part) != std::string::npos);
}

TEST_CASE("platform lower: Vitis AI's activations on power-of-two scales") {
  const auto q4 = qparams_of(0.0625F, 0), q7 = qparams_of(0.0078125F, 0);
  NodeAttributes ignored_alpha;
  ignored_alpha.alpha = 0.3F;
  CHECK(OneNode{"leaky_relu", "vitis.leaky_relu", "", {q4}, q4, ignored_alpha}.run(
            {100, -100, -128}) == Codes{100, -10, -13});
  CHECK(OneNode{"sigmoid", "vitis.table", "", {q4}, q7}.run({0, 127, -128}) == Codes{64, 127, 0});
  CHECK(OneNode{"tanh", "vitis.table", "", {q4}, q7}.run({0, 64, -65}) == Codes{0, 127, -128});
  CHECK(OneNode{"hard_swish", "vitis.hard_swish", "", {q4}, q4}.run({16, -48, 48}) ==
        Codes{11, 0, 48});
  check_error({"sigmoid", "vitis.table", "", {qparams_of(0.1F, 0)}, q7}, "power of two");
  check_error({"sigmoid", "vitis.table", "", {qparams_of(0.5F, 3)}, q7}, "zero point");
}

TEST_CASE("platform lower: Ethos-U's 8-bit tables round the zero point along") {
  const OneNode sigmoid{
      "sigmoid", "ethos_u.table", "", {qparams_of(0.125F, 0)}, qparams_of(1.0F / 256, -128)};
  // sigmoid(-1) * 256 - 128 = -59.15; from 8 on exactly 1, which saturates.
  CHECK(sigmoid.run({-8, 0, 64, 127, -64}) == Codes{-59, 0, 127, 127, -128});
  // tanh(x) / s + zp = 0.5 * 2 + ... : a tie of tanh cannot occur, so only saturation is seen.
  const OneNode tanh{"tanh",
                     "ethos_u.table",
                     "",
                     {qparams_of(0.03125F, 128, sim::kUint8)},
                     qparams_of(1.0F / 128, 128, sim::kUint8)};
  CHECK(tanh.run({128, 255, 0}) == Codes{128, 255, 0});
  check_error({"tanh",
               "ethos_u.table",
               "",
               {qparams_of(0.1F, 0, sim::IntType{4, false})},
               qparams_of(1, 0)},
              "8 bits");
}

TEST_CASE("platform lower: Ethos-U's leaky_relu is TFLite's double rounding") {
  NodeAttributes quarter;
  quarter.alpha = 0.25F;
  const OneNode node{"leaky_relu",           "ethos_u.leaky_relu_table", "",
                     {qparams_of(0.5F, 10)}, qparams_of(1.0F, -5),       quarter};
  // v = code - 10: 1 * 0.5 -> half_up at 31 bits ... 0.5 rounds away: 1; -4 * 0.125 = -0.5 -> -1.
  CHECK(node.run({10, 11, 13, 6, 2}) == Codes{-5, -4, -3, -6, -6});
}

TEST_CASE("platform lower: Ethos-U adds with only the finer operand multiplied") {
  const OneNode add{"add",
                    "ethos_u.add",
                    R"({"left_shift": 20})",
                    {qparams_of(0.5F, 0), qparams_of(1.0F, 0)},
                    qparams_of(1.0F, 0)};
  // 0.5 a + b: ties half away by the double rounding of the sum.
  CHECK(add.run({2, 1, -1, 100}, {3, 0, 0, 100}) == Codes{4, 1, -1, 127});
  OneNode sub = add;
  sub.op = "sub";
  CHECK(sub.run({2, 100}, {3, -100}) == Codes{-2, 127});
  // Against exact arithmetic of odd scales: within half a code and a rounding.
  const OneNode odd{"add",
                    "ethos_u.add",
                    R"({"left_shift": 20})",
                    {qparams_of(0.013F, 3), qparams_of(0.021F, -7)},
                    qparams_of(0.03F, 11)};
  Codes lhs, rhs;
  for (int64_t a = -128; a < 128; a += 5) {
    for (int64_t b = -128; b < 128; b += 7) {
      lhs.push_back(a);
      rhs.push_back(b);
    }
  }
  const Codes sums = odd.run(lhs, rhs);
  for (size_t i = 0; i < sums.size(); ++i) {
    const double real =
        0.013F * static_cast<double>(lhs[i] - 3) + 0.021F * static_cast<double>(rhs[i] + 7);
    const double exact = std::clamp(real / 0.03F + 11, -128.0, 127.0);
    CHECK(std::abs(static_cast<double>(sums[i]) - exact) < 0.5 + 1e-4);
  }
}

TEST_CASE("platform lower: tables of 513 entries over int16 codes") {
  NodeAttributes ramp;
  for (int64_t i = 0; i < 513; ++i) ramp.table.push_back(i * 2 - 512);
  const auto q16 = qparams_of(kUnit, 0, sim::kInt16), q32 = qparams_of(kUnit, 0, sim::kInt32);
  const OneNode tosa{"lut", "tosa.table_int16", "", {q16}, q32, ramp};
  CHECK(tosa.run({0, 32, INT16_MIN}) == Codes{0, 64, -512 * 128});
  const OneNode ethos{"lut", "ethos_u.table_int16", "", {q16}, q16, ramp};
  CHECK(ethos.run({31, 32, -32, -33}) == Codes{0, 1, 0, -1});
  check_error({"lut", "tosa.table_int16", "", {q16}, q16, ramp}, "int16 to int32");
  NodeAttributes wrong = ramp;
  wrong.table.pop_back();
  check_error({"lut", "tosa.table_int16", "", {q16}, q32, wrong}, "512 entries");
  wrong.table.push_back(40000);
  check_error({"lut", "tosa.table_int16", "", {q16}, q32, wrong}, "40000");
}

TEST_CASE("platform lower: NVDLA's PReLU scales negative values only, then the converter") {
  NodeAttributes half;
  half.alpha = 0.5F;
  const auto unit = qparams_of(kUnit, 0), twice = qparams_of(2.0F, 0);
  const OneNode same{"leaky_relu", "nvdla.sdp_prelu", "", {unit}, unit, half};
  CHECK(same.run({100, -3, -128}) == Codes{100, -2, -64});  // -1.5 away from zero
  // Two roundings: -3 -> -2 -> -1; once it would be -0.75 -> -1; -1 -> -1 -> -1, once -0.25 -> 0.
  const OneNode halved{"leaky_relu", "nvdla.sdp_prelu", "", {unit}, twice, half};
  CHECK(halved.run({5, -3, -1}) == Codes{3, -1, -1});
}

TEST_CASE("platform lower: NVDLA adds operands whose scales are a power of two apart") {
  const std::string alone = R"(null, "variants": null)";
  const auto fine = qparams_of(0.25F, 0), coarse = qparams_of(1.0F, 0);
  const OneNode add{"add", "nvdla.sdp_add", alone, {fine, coarse}, coarse};
  CHECK(add.run({2, -2, 127, 6}, {0, 0, 127, 1}) == Codes{1, -1, 127, 3});
  check_error({"add", "nvdla.sdp_add", alone, {fine, qparams_of(0.3F, 0)}, coarse}, "power of two");
}

TEST_CASE("platform lower: FINN's thresholds requantize half up in exact arithmetic") {
  const OneNode node{"requantize",
                     "finn.multi_threshold",
                     "",
                     {qparams_of(0.5F, 0)},
                     qparams_of(1.0F, 0, sim::IntType{4, false})};
  // 0.5 x: ties up, cut at 0 and 15.
  CHECK(node.run({0, 1, 2, 3, -1, -5, 29, 30, 127}) == Codes{0, 1, 1, 2, 0, 0, 15, 15, 15});
  const OneNode shifted{
      "requantize", "finn.multi_threshold", "", {qparams_of(0.5F, 4)}, qparams_of(1.0F, -3)};
  CHECK(shifted.run({4, 5, 3, 1}) == Codes{-3, -2, -3, -4});
}

TEST_CASE("platform lower: NNIE's logarithmic codes") {
  const auto codes = qparams_of(1.0F, 0, sim::kUint8);
  const OneNode node{"dequantize", "nnie.log2_16", "", {codes}, codes};
  const auto op = node.lowered(3);
  Tensor x(DType::uint8, {1, 3});
  x.set_int(0, 127);
  x.set_int(1, 0x80);
  x.set_int(2, 0x80 | 111);
  Tensor y(DType::float32, {1, 3});
  const Tensor* const inputs[] = {&x};
  op->run(inputs, y, {});
  CHECK(y.data<float>()[0] == 1.0F);
  CHECK(y.data<float>()[1] == 0.0F);
  CHECK(y.data<float>()[2] == -0.5F);
  check_error({"dequantize", "nnie.log2_16", "", {qparams_of(1.0F, 0)}, codes}, "uint8");
}

TEST_CASE("platform lower: a term's shift makes the accumulator's unit coarser, for the bias too") {
  // hls4ml: products of 4 + 4 fraction bits, an accumulator of 5, a result of 3.
  Profile profile = test::shipped_profile("hls4ml");
  OpRules& rules = profile.ops.at("linear");
  rules.accumulator = {16, sim::Overflow::wrap, sim::Accumulator::Order::sequential,
                       sim::Accumulator::Init::bias};
  rules.accumulator.term = {3, sim::Rounding::floor, 16, sim::Overflow::wrap};
  const auto q4 = qparams_of(0.0625F, 0, sim::kInt16), q3 = qparams_of(0.125F, 0, sim::kInt16);
  const LayerBias bias =
      quantize_bias(rules, std::vector<double>{0.5}, 0.0625F, std::vector<float>{0.0625F});
  CHECK(bias.qparams.scale.front() == 1.0F / 32);
  Tensor weights(DType::int16, {1, 2});
  weights.set_int(0, 1);
  weights.set_int(1, 1);
  const sim::Linear layer(lower_linear(profile, q4, weights, q4, bias, q3, Activation::none));
  Tensor x(DType::int16, {1, 2});
  x.set_int(0, 7);
  x.set_int(1, -7);
  Tensor y(DType::int16, {1, 1});
  const Tensor* const inputs[] = {&x};
  layer.run(inputs, y, {});
  // Bias 16; floor(7 / 8) = 0, floor(-7 / 8) = -1; floor(15 / 4) = 3. Summed exactly: 4.
  CHECK(y.int_at(0) == 3);
}

TEST_CASE("platform lower: Vitis AI's reciprocals of common windows") {
  const Profile profile = test::shipped_profile("vitis-ai");
  struct Window {
    std::array<int64_t, 2> kernel;
    double reciprocal;
  };
  for (const Window& w :
       {Window{{3, 3}, 7.0 / 64}, Window{{5, 5}, 10.0 / 256}, Window{{6, 6}, 7.0 / 256},
        Window{{3, 6}, 2 * 7.0 / 256}, Window{{6, 3}, 2 * 7.0 / 256}, Window{{7, 7}, 21.0 / 1024},
        Window{{14, 14}, 21.0 / 4096}, Window{{2, 2}, 1.0 / 4}, Window{{1, 3}, 85.0 / 256}}) {
    sim::Window2d window;
    window.kernel = w.kernel;
    const auto unit = qparams_of(1.0F, 0);
    const auto pool = lower_avg_pool2d(profile, window, false, false, unit, unit, Activation::none,
                                       w.kernel[0], w.kernel[1]);
    const int64_t taps = w.kernel[0] * w.kernel[1];
    for (const int64_t code : {127, -128, 31, -3, 5}) {
      Tensor image(DType::int8, {1, w.kernel[0], w.kernel[1], 1});
      for (int64_t i = 0; i < taps; ++i) image.set_int(i, code);
      Tensor out(DType::int8, {1, 1, 1, 1});
      const Tensor* const inputs[] = {&image};
      pool->run(inputs, out, {});
      const double mean = static_cast<double>(taps * code) * w.reciprocal;
      CAPTURE(taps);
      CHECK(out.int_at(0) ==
            std::clamp<int64_t>(static_cast<int64_t>(std::floor(mean + 0.5)), -128, 127));
    }
  }
}

TEST_CASE("platform lower: an op whose own arithmetic needs no algorithm keeps it") {
  const OneNode node{"requantize", "finn.multi_threshold"};
  const Profile plain = test::shipped_profile("tflite-reference");
  CHECK(plain.rules("requantize").algorithm.empty());
  CHECK(node.profile().rules("requantize").algorithm == "finn.multi_threshold");
}

}  // namespace
}  // namespace facsim::backends
