// SPDX-License-Identifier: Apache-2.0
// Softmax, sigmoid, tanh, hard_swish and leaky_relu against tables that TFLite Micro and CMSIS-NN
// filled, by the multipliers recorded beside them and by those derived from the scales.
#include <doctest/doctest.h>

#include <functional>
#include <sstream>

#include "backends/io/npy.h"
#include "backends/lower/activations.h"
#include "tests/backends/lowering.h"
#include "tests/backends/scalar_tables.h"

namespace facsim::backends {
namespace {

using test::qparams_of;
using test::ScalarTables;
using OpPointer = std::shared_ptr<const sim::Op>;

/// Tensor 0, 1 or 2 (a, b, out) of a parameter set.
quant::QParams activation_set(int64_t set, size_t tensor) {
  const auto& values = ScalarTables::recorded().manifest()["param_sets"][static_cast<size_t>(set)];
  return qparams_of(values[2 * tensor].get<float>(), values[2 * tensor + 1].get<int64_t>());
}

/// The numbers of the line "NAME SET ..." of tflm_params; words between them are left out.
std::vector<int64_t> recorded_params(const std::string& name, int64_t set) {
  for (const auto& line : ScalarTables::recorded().manifest()["tflm_params"]) {
    std::istringstream words(line.get<std::string>());
    std::string word;
    int64_t number = 0;
    words >> word >> number;
    if (word != name || number != set) continue;
    std::vector<int64_t> numbers;
    while (words >> word) {
      if (std::isdigit(static_cast<unsigned char>(word.back())) != 0) {
        numbers.push_back(std::stoll(word));
      }
    }
    return numbers;
  }
  FAIL("no parameters of " << name << " " << set);
  return {};
}

struct Comparison {
  int64_t compared = 0, mismatches = 0;
};

/// The rows of one table: columns of inputs, columns expected, an op for each parameter set.
class ActivationTable {
 public:
  explicit ActivationTable(const std::string& name)
      : name_(name), columns_(read_npz(ScalarTables::recorded().path(name))) {}

  Comparison compare(const std::vector<std::string>& inputs,
                     const std::vector<std::string>& outputs,
                     const std::function<OpPointer(int64_t set)>& op, int64_t sets,
                     sim::Isa isa) const {
    Comparison result;
    const auto depth = static_cast<int64_t>(inputs.size());
    for (int64_t set = 0; set < sets; ++set) {
      std::vector<int64_t> rows;
      for (int64_t r = 0; r < columns_.front().second.numel(); ++r) {
        if (sets == 1 || column("param_set").int_at(r) == set) rows.push_back(r);
      }
      const Shape shape{static_cast<int64_t>(rows.size()), depth};
      Tensor x(column(inputs.front()).dtype(), shape);
      Tensor y(column(outputs.front()).dtype(), shape);
      for (int64_t i = 0; i < shape.numel(); ++i) {
        const auto c = static_cast<size_t>(i % depth);
        x.set_int(i, column(inputs[c]).int_at(rows[static_cast<size_t>(i / depth)]));
      }
      const std::vector<const Tensor*> arguments = {&x};
      op(set)->run(arguments, y, {.isa = isa});
      for (int64_t i = 0; i < shape.numel(); ++i) {
        const auto c = static_cast<size_t>(i % depth);
        const int64_t expected = column(outputs[c]).int_at(rows[static_cast<size_t>(i / depth)]);
        ++result.compared;
        result.mismatches += y.int_at(i) != expected;
      }
    }
    return result;
  }

 private:
  const Tensor& column(const std::string& name) const { return member(columns_, name, name_); }

  std::string name_;
  NamedTensors columns_;
};

void check_table(const ActivationTable& table, const std::vector<std::string>& inputs,
                 const std::vector<std::string>& outputs, int64_t sets, int64_t expected_count,
                 const std::string& what, const std::function<OpPointer(int64_t)>& op) {
  for (const sim::Isa isa : {sim::Isa::scalar, sim::Isa::best}) {
    CAPTURE(what);
    CAPTURE(std::string(sim::to_string(isa)));
    const Comparison result = table.compare(inputs, outputs, op, sets, isa);
    std::cout << what << " " << sim::to_string(isa) << ": " << result.compared << " values, "
              << result.mismatches << " mismatches\n";
    CHECK(result.compared == expected_count);
    CHECK(result.mismatches == 0);
  }
}

GivenMultiplier recorded_multiplier(int64_t multiplier, int64_t tflite_shift,
                                    const quant::QParams& output) {
  GivenMultiplier given;
  given.multiplier = {multiplier};
  given.shift = {31 - tflite_shift};
  given.zero_point = output.zero_point.front();
  given.clamp = {output.quant_min, output.quant_max};
  given.output = output.type;
  return given;
}

TEST_CASE("scalar tables: softmax of TFLite Micro and CMSIS-NN") {
  REQUIRE_SCALAR_TABLES();
  const ActivationTable table("op_softmax_int8_tflm_cmsis.npz");
  std::vector<std::string> inputs, outputs;
  for (int i = 0; i < 10; ++i) {
    inputs.push_back("x" + std::to_string(i));
    outputs.push_back("y" + std::to_string(i));
  }
  for (const char* name : {"tflite-micro", "cmsis-nn", "tflite-single-rounding"}) {
    const Profile profile = load_profile(name, ProfileSearch::standard());
    const std::string what = std::string("softmax ") + name;
    check_table(table, inputs, outputs, 6, 12000, what + ", scales", [&](int64_t set) {
      return lower_softmax(profile, activation_set(set, 0), qparams_of(0x1p-8f, -128), 1.0f);
    });
    check_table(table, inputs, outputs, 6, 12000, what + ", multipliers", [&](int64_t set) {
      const std::vector<int64_t> recorded = recorded_params("softmax", set);
      REQUIRE(recorded.size() == 3);
      sim::SoftmaxParams params;
      params.difference_min = recorded[2];
      params.scale = detail::scale_program(profile.rules("softmax"),
                                           recorded_multiplier(recorded[0], recorded[1], {}));
      return std::make_shared<sim::Softmax>(std::move(params));
    });
  }
}

TEST_CASE("scalar tables: int16 sigmoid and tanh of TFLite Micro and CMSIS-NN") {
  REQUIRE_SCALAR_TABLES();
  const ActivationTable table("op_int16_sigmoid_tanh_lut.npz");
  for (const char* name : {"tflite-micro", "cmsis-nn"}) {
    const Profile profile = load_profile(name, ProfileSearch::standard());
    quant::QParams input = qparams_of(0x1p-12f, 0);
    quant::QParams output = qparams_of(0x1p-15f, 0);
    for (quant::QParams* q : {&input, &output}) {
      q->type = sim::kInt16;
      q->quant_min = INT16_MIN;
      q->quant_max = INT16_MAX;
    }
    for (const auto& [op, column] : {std::pair{"sigmoid", "logistic"}, std::pair{"tanh", "tanh"}}) {
      check_table(table, {"x"}, {column}, 1, 4682, std::string(op) + " int16 " + name,
                  [&](int64_t) { return lower_sigmoid(profile, op, input, output); });
    }
  }
}

TEST_CASE("scalar tables: int8 sigmoid and tanh of TFLite Micro") {
  REQUIRE_SCALAR_TABLES();
  const ActivationTable table("op_unary_int8.npz");
  struct Case {
    const char* op;
    const char* column;
    quant::QParams output;
    sim::SigmoidParams::Function function;
  };
  const Case cases[] = {
      {"sigmoid", "tflm_logistic", qparams_of(0x1p-8f, -128),
       sim::SigmoidParams::Function::sigmoid},
      {"tanh", "tflm_tanh", qparams_of(0x1p-7f, 0), sim::SigmoidParams::Function::tanh}};
  for (const char* name : {"tflite-micro", "tflite-single-rounding"}) {
    const Profile profile = load_profile(name, ProfileSearch::standard());
    for (const Case& c : cases) {
      const std::string what = std::string(c.op) + " " + name;
      check_table(table, {"x"}, {c.column}, 6, 768, what + ", scales", [&](int64_t set) {
        return lower_sigmoid(profile, c.op, activation_set(set, 0), c.output);
      });
      check_table(table, {"x"}, {c.column}, 6, 768, what + ", multipliers", [&](int64_t set) {
        const std::vector<int64_t> recorded = recorded_params("logistic", set);  // tanh's too
        REQUIRE(recorded.size() == 3);
        sim::SigmoidParams params;
        params.function = c.function;
        params.zero_point = activation_set(set, 0).zero_point.front();
        params.radius = recorded[2];
        params.scale = detail::scale_program(profile.rules(c.op),
                                             recorded_multiplier(recorded[0], recorded[1], {}));
        return std::make_shared<sim::Sigmoid>(std::move(params));
      });
    }
  }
}

TEST_CASE("scalar tables: hard_swish of TFLite Micro") {
  REQUIRE_SCALAR_TABLES();
  const ActivationTable table("op_unary_int8.npz");
  const Profile profile = load_profile("tflite-micro", ProfileSearch::standard());
  check_table(table, {"x"}, {"tflm_hard_swish"}, 6, 768, "hard_swish, scales", [&](int64_t set) {
    return lower_hard_swish(profile, activation_set(set, 0), activation_set(set, 2));
  });
  check_table(table, {"x"}, {"tflm_hard_swish"}, 6, 768, "hard_swish, multipliers",
              [&](int64_t set) {
                const std::vector<int64_t> recorded = recorded_params("hswish", set);
                REQUIRE(recorded.size() == 4);
                sim::HardSwishParams params;
                params.input_zero_point = activation_set(set, 0).zero_point.front();
                params.output_zero_point = activation_set(set, 2).zero_point.front();
                params.output_multiplier = static_cast<int32_t>(recorded[0]);
                params.output_exponent = static_cast<int>(recorded[1]);
                params.reluish_multiplier = static_cast<int32_t>(recorded[2]);
                params.reluish_exponent = static_cast<int>(recorded[3]);
                return std::make_shared<sim::HardSwish>(params);
              });
}

TEST_CASE("scalar tables: leaky_relu of TFLite Micro, both builds") {
  REQUIRE_SCALAR_TABLES();
  const ActivationTable table("op_unary_int8.npz");
  for (const auto& [column, name] :
       {std::pair{"tflm_leaky_relu_double", "tflite-micro"},
        std::pair{"tflm_leaky_relu_single", "tflite-single-rounding"}}) {
    const Profile profile = load_profile(name, ProfileSearch::standard());
    const std::string what = std::string("leaky_relu ") + name;
    check_table(table, {"x"}, {column}, 6, 768, what + ", scales", [&](int64_t set) {
      return lower_leaky_relu(profile, activation_set(set, 0), activation_set(set, 2), 0.1f);
    });
    check_table(table, {"x"}, {column}, 6, 768, what + ", multipliers", [&](int64_t set) {
      const std::vector<int64_t> recorded = recorded_params("lrelu", set);
      REQUIRE(recorded.size() == 4);
      const quant::QParams output = activation_set(set, 2);
      const OpRules& rules = profile.rules("leaky_relu");
      return std::make_shared<sim::LeakyRelu>(sim::LeakyReluParams{
          sim::kInt8, activation_set(set, 0).zero_point.front(),
          make_requantizer(rules, recorded_multiplier(recorded[2], recorded[3], output)),
          make_requantizer(rules, recorded_multiplier(recorded[0], recorded[1], output))});
    });
  }
}

}  // namespace
}  // namespace facsim::backends
