// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/lower/lower.h"

namespace facsim::backends {
namespace {

using Json = nlohmann::json;

/// Tables of recorded requantizations (format facsim-scalar-1).
struct Tables {
  std::filesystem::path folder;
  Json manifest;

  Tables() {
    const char* path = std::getenv("FACSIM_SCALAR_DIR");
    if (path == nullptr) return;
    folder = path;
    manifest = Json::parse(read_file(folder / "manifest.json"));
  }
};

const Tables& tables() {
  static const Tables t;
  return t;
}

#define REQUIRE_TABLES()                                    \
  if (tables().folder.empty()) {                            \
    std::cout << "SKIPPED: FACSIM_SCALAR_DIR is not set\n"; \
    return;                                                 \
  }

/// Columns of one table, and the small expressions "zp + 128" over them.
class Table {
 public:
  explicit Table(const std::string& name)
      : name_(name), columns_(read_npz(tables().folder / name)) {}

  const Tensor& column(const std::string& name) const { return member(columns_, name, name_); }
  int64_t rows() const { return columns_.front().second.numel(); }
  int64_t at(const std::string& expression, int64_t row) const {
    const size_t plus = expression.find(" + ");
    if (plus == std::string::npos) return column(expression).int_at(row);
    return column(expression.substr(0, plus)).int_at(row) + std::stoll(expression.substr(plus + 3));
  }

 private:
  std::string name_;
  NamedTensors columns_;
};

/// One "run" entry of the manifest: rows compared, rows that differ.
std::pair<int64_t, int64_t> compare(const Table& table, const Json& run, const Profile& profile) {
  const std::string op = run["op"];
  const size_t space = op.find(' ');
  const OpRules& rules = profile.rules(op.substr(0, space));
  GivenMultiplier given;
  if (space != std::string::npos && op.substr(space + 1) == "uint8") given.output = sim::kUint8;
  const Json& inputs = run["inputs"];
  const std::string expected = run["expected"];
  int64_t compared = 0;
  int64_t mismatches = 0;
  for (int64_t row = 0; row < table.rows(); ++row) {
    if (run.contains("valid") && table.at(run["valid"], row) == 0) continue;
    if (inputs.contains("multiplier")) {
      given.multiplier = {table.at(inputs["multiplier"], row)};
      given.shift = {31 - table.at(inputs["shift"], row)};
    } else {
      given.scale = {table.column(inputs["scale"]).data<float>()[row]};
    }
    given.zero_point = inputs.contains("zero_point") ? table.at(inputs["zero_point"], row) : 0;
    given.clamp = {given.output.min(), given.output.max()};
    if (inputs.contains("clamp_min")) {
      given.clamp = {table.at(inputs["clamp_min"], row), table.at(inputs["clamp_max"], row)};
    }
    sim::Events events;
    const int64_t got =
        make_requantizer(rules, given).apply(table.at(inputs["acc"], row), 0, events);
    ++compared;
    mismatches += got != table.at(expected, row);
  }
  return {compared, mismatches};
}

TEST_CASE("scalar tables: each profile reproduces its platform's recorded requantizations") {
  REQUIRE_TABLES();
  int runs = 0;
  for (const auto& [name, description] : tables().manifest["files"].items()) {
    if (!description.contains("run")) continue;
    for (const Json& run : description["run"]) {
      const std::string profile_name = run["profile"];
      const std::string op = run["op"];
      const std::vector<std::string> known = list_profiles(ProfileSearch::standard());
      if (std::find(known.begin(), known.end(), profile_name) == known.end()) continue;
      CAPTURE(name);
      CAPTURE(run.dump());
      const Profile profile = load_profile(profile_name, ProfileSearch::standard());
      const std::string type = op.find(' ') == std::string::npos ? "" : op.substr(op.find(' ') + 1);
      if (!type.empty() && type != "int8" && type != "uint8") continue;  // 8-bit profiles
      const auto [compared, mismatches] = compare(Table(name), run, profile);
      MESSAGE(name, " ", profile_name, ": ", compared, " rows, ", mismatches, " differ");
      CHECK(compared > 1000);
      CHECK(mismatches == 0);
      ++runs;
    }
  }
  CHECK(runs >= 8);
}

quant::QParams param_set(int64_t index, size_t tensor) {
  const Json& values = tables().manifest["param_sets"][static_cast<size_t>(index)];
  quant::QParams q;
  q.scale = {values[tensor * 2].get<float>()};
  q.zero_point = {values[tensor * 2 + 1].get<int64_t>()};
  return q;
}

int64_t run_one(const sim::Op& op, const std::vector<Tensor>& inputs) {
  std::vector<Shape> shapes;
  std::vector<const Tensor*> pointers;
  for (const Tensor& input : inputs) {
    shapes.push_back(input.shape());
    pointers.push_back(&input);
  }
  Tensor output(op.output_dtype(), op.output_shape(shapes));
  op.run(pointers, output, {.isa = sim::Isa::scalar});
  return output.int_at(0);
}

TEST_CASE("scalar tables: ADD of TFLite (both builds), XNNPACK and ONNX Runtime") {
  REQUIRE_TABLES();
  const Table table("op_add_int8.npz");
  const std::pair<const char*, const char*> columns[] = {{"tflm_double", "tflite-micro"},
                                                         {"tflm_single", "tflite-single-rounding"},
                                                         {"xnnpack", "xnnpack-x86"},
                                                         {"onnxruntime", "onnxruntime-cpu"}};
  for (const auto& [column, profile_name] : columns) {
    const Profile profile = load_profile(profile_name, ProfileSearch::standard());
    CAPTURE(profile_name);
    for (int64_t set = 0; set < 6; ++set) {
      std::vector<int8_t> a, b;
      std::vector<int64_t> expected;
      for (int64_t row = 0; row < table.rows(); ++row) {
        if (table.at("param_set", row) != set) continue;
        a.push_back(static_cast<int8_t>(table.at("a", row)));
        b.push_back(static_cast<int8_t>(table.at("b", row)));
        expected.push_back(table.at(column, row));
      }
      const auto op = lower_add(profile, param_set(set, 0), param_set(set, 1), param_set(set, 2),
                                Activation::none);
      const Shape shape{1, static_cast<int64_t>(a.size())};
      const Tensor lhs = Tensor::from<int8_t>(shape, a);
      const Tensor rhs = Tensor::from<int8_t>(shape, b);
      Tensor output(DType::int8, shape);
      const std::vector<const Tensor*> inputs = {&lhs, &rhs};
      op->run(inputs, output, {.isa = sim::Isa::scalar});
      int64_t mismatches = 0;
      for (int64_t i = 0; i < output.numel(); ++i) {
        mismatches += output.int_at(i) != expected[static_cast<size_t>(i)];
      }
      CAPTURE(set);
      CHECK(output.numel() > 100);
      CHECK(mismatches == 0);
    }
  }
}

/// An image of `count` taps whose codes sum to `sum`.
Tensor image_with_sum(int64_t sum, int64_t count) {
  Tensor image(DType::int8, Shape{1, 1, count, 1});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t code = sum / (count - i);
    image.set_int(i, code);
    sum -= code;
  }
  return image;
}

TEST_CASE("scalar tables: average pools of TFLite, XNNPACK and ONNX Runtime") {
  REQUIRE_TABLES();
  struct Case {
    const char* table;
    const char* profile;
    bool global;
  };
  for (const Case& c : {Case{"op_avgpool_int8_tflm_cmsis.npz", "tflite-micro", false},
                        Case{"op_avgpool_int8_tflm_cmsis.npz", "cmsis-nn", false},
                        Case{"op_global_avgpool_xnnpack_qs8.npz", "xnnpack-x86", true},
                        Case{"op_global_avgpool_ort.npz", "onnxruntime-cpu", true}}) {
    const Table table(c.table);
    const Profile profile = load_profile(c.profile, ProfileSearch::standard());
    CAPTURE(c.table);
    int64_t mismatches = 0;
    for (int64_t row = 0; row < table.rows(); ++row) {
      const int64_t count = table.at("count", row);
      const int64_t set = c.global ? table.at("param_set", row) : 0;
      const quant::QParams input = param_set(set, 0);
      sim::Window2d window;
      window.kernel = {1, count};
      const auto op =
          lower_avg_pool2d(profile, window, c.global, false, input,
                           c.global ? param_set(set, 2) : input, Activation::none, 1, count);
      mismatches +=
          run_one(*op, {image_with_sum(table.at("sum", row), count)}) != table.at("out", row);
    }
    CHECK(table.rows() > 100);
    CHECK(mismatches == 0);
  }
}

}  // namespace
}  // namespace facsim::backends
