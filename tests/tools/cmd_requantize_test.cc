// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/sim/ops/tflite_oracle.h"
#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

namespace {

struct Rows {
  TempFolder folder;

  template <class T>
  std::string write(const char* name, const std::vector<T>& values) const {
    const Shape shape{static_cast<int64_t>(values.size())};
    backends::write_npy(folder / name, Tensor::from<T>(shape, values));
    return (folder / name).string();
  }
  std::string out() const { return (folder / "out.npy").string(); }
};

std::vector<int64_t> values_of(const std::filesystem::path& file) {
  const Tensor t = backends::read_npy(file);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < t.numel(); ++i) values.push_back(t.int_at(i));
  return values;
}

}  // namespace

TEST_CASE("facsim requantize: one value per row, shifts to the right or as TFLite's exponent") {
  const Rows rows;
  const std::vector<int32_t> acc = {0, 1, -1, 1000, -1000, 123456, -123456, INT32_MAX, INT32_MIN};
  const std::vector<int32_t> multiplier = {1073741824, 2147483647, 1518500250,
                                           1073741824, 1073741824, 1999999999,
                                           1999999999, 1073741824, 1073741824};
  const std::vector<int32_t> exponent = {0, 0, -1, -2, -2, -9, -9, -24, -24};
  const std::vector<int32_t> zero_point = {5, -5, 0, 1, 1, 0, -128, 3, 3};
  const std::vector<int32_t> low = {-128, -128, -128, -128, -128, -50, -128, -128, -128};
  const std::vector<int32_t> high = {127, 127, 127, 127, 127, 50, 127, 127, 127};
  std::vector<int32_t> right;
  std::vector<int64_t> expected;
  for (size_t i = 0; i < acc.size(); ++i) {
    right.push_back(31 - exponent[i]);
    const int64_t scaled =
        sim::test::divide_by_power_of_two(sim::test::high_mul(acc[i], multiplier[i]), -exponent[i]);
    expected.push_back(std::clamp<int64_t>(scaled + zero_point[i], low[i], high[i]));
  }
  std::vector<std::string> common = {"requantize",
                                     "--profile",
                                     "tflite-micro",
                                     "--acc",
                                     rows.write("acc.npy", acc),
                                     "--multiplier",
                                     rows.write("m.npy", multiplier),
                                     "--zero-point",
                                     rows.write("z.npy", zero_point),
                                     "--clamp-min",
                                     rows.write("l.npy", low),
                                     "--clamp-max",
                                     rows.write("h.npy", high),
                                     "-o",
                                     rows.out()};
  const std::string right_file = rows.write("right.npy", right);
  const std::string left_file = rows.write("left.npy", exponent);
  for (const bool left : {false, true}) {
    for (const char* isa : {"best", "scalar"}) {
      std::vector<std::string> arguments = common;
      arguments.insert(arguments.end(), {"--shift", left ? left_file : right_file, "--isa", isa});
      if (left) arguments.insert(arguments.end(), {"--shift-sign", "left"});
      const CommandResult result = run_command(arguments);
      CAPTURE(result.err);
      REQUIRE(result.exit_code == 0);
      CHECK(values_of(rows.out()) == expected);
      CHECK(backends::read_npy(rows.out()).dtype() == DType::int8);
    }
  }
}

TEST_CASE("facsim requantize: --scale, one value for all rows, another output type, JSON events") {
  const Rows rows;
  const std::vector<int32_t> acc = {-3, -1, 1, 3, 5, 100000};
  const CommandResult result = run_command(
      {"requantize", "--profile", "onnxruntime-cpu", "--op", "conv2d", "--acc",
       rows.write("acc.npy", acc), "--scale", rows.write("s.npy", std::vector<float>{0.5f}),
       "--zero-point", rows.write("z.npy", std::vector<uint8_t>{10}), "--out-type", "uint8", "-o",
       rows.out(), "--format", "json", "--repeat", "2"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(values_of(rows.out()) == std::vector<int64_t>{8, 10, 10, 12, 12, 255});
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("rows") == 6);
  CHECK(json.at("form") == "float_half_even");
  CHECK(json.at("elements_per_ns") > 0);
}

TEST_CASE("facsim requantize: three scales, from which the profile derives its multiplier") {
  // tensorflow issue 102943: XNNPACK's float32 scale makes 6.5 of 585, TFLite's multiplier a little
  // more.
  const Rows rows;
  const std::string in = rows.write("x.npy", std::vector<float>{0.05296124517917633f});
  const std::string weight = rows.write("w.npy", std::vector<float>{0.024093778803944588f});
  const std::string out = rows.write("y.npy", std::vector<float>{0.11484327912330627f});
  const auto words = [&](const char* profile) {
    return std::vector<std::string>{"requantize",
                                    "--profile",
                                    profile,
                                    "--acc",
                                    rows.write("acc.npy", std::vector<int32_t>{585, 0}),
                                    "--input-scale",
                                    in,
                                    "--weight-scale",
                                    weight,
                                    "--output-scale",
                                    out,
                                    "--zero-point",
                                    rows.write("z.npy", std::vector<int32_t>{-126}),
                                    "-o",
                                    rows.out()};
  };
  for (const auto& [profile, code] : {std::pair{"xnnpack-x86", -120}, {"tflite-micro", -119}}) {
    const CommandResult result = run_command(words(profile));
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(values_of(rows.out()) == std::vector<int64_t>{code, -126});
  }
  // All three, and no other form of the multiplier; each a scale.
  std::vector<std::string> two_forms = words("tflite-micro");
  two_forms.insert(two_forms.end(), {"--scale", in});
  CHECK(run_command(two_forms).exit_code == 2);
  std::vector<std::string> one = words("tflite-micro");
  one.erase(one.begin() + 7, one.begin() + 9);
  CHECK(run_command(one).exit_code == 2);
  rows.write("y.npy", std::vector<float>{0});
  const CommandResult zero = run_command(words("tflite-micro"));
  CHECK(zero.exit_code == 3);
  CHECK(zero.err.find("output_scale") != std::string::npos);
}

TEST_CASE("facsim requantize: an offset that is not given is derived from the zero point") {
  // NVDLA's converter, half away from zero: (-11 + 14) / 2 is 2, where -11 / 2 + 7 is 1; the same
  // numbers as identify's. A given offset is taken as it is.
  const Rows rows;
  const std::string zero_point = rows.write("z.npy", std::vector<int8_t>{7, 7, -4});
  const std::string zero = rows.write("zero.npy", std::vector<int32_t>{0});
  const std::string out = (rows.folder / "out.npy").string();
  const std::vector<std::string> words = {"requantize",
                                          "--profile",
                                          "nvdla",
                                          "--acc",
                                          rows.write("acc.npy", std::vector<int32_t>{10, -11, 3}),
                                          "--multiplier",
                                          rows.write("m.npy", std::vector<int32_t>{16384}),
                                          "--shift",
                                          rows.write("s.npy", std::vector<int32_t>{15}),
                                          "-o",
                                          out};
  const auto run_with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = words;
    all.insert(all.end(), more.begin(), more.end());
    const CommandResult result = run_command(all);
    REQUIRE_MESSAGE(result.exit_code == 0, result.err);
    const Tensor codes = backends::read_npy(out);
    std::vector<int64_t> values;
    for (int64_t i = 0; i < codes.numel(); ++i) values.push_back(codes.int_at(i));
    return values;
  };
  CHECK(run_with({"--zero-point", zero_point}) == std::vector<int64_t>{12, 2, -3});
  CHECK(run_with({"--zero-point", zero_point, "--arg", "offset=" + zero}) ==
        std::vector<int64_t>{5, -6, 2});
  CHECK(run_with({}) == std::vector<int64_t>{5, -6, 2});
}

TEST_CASE("facsim requantize: phrases choose variants and types; biases and offsets by --arg") {
  const Rows rows;
  std::ofstream(rows.folder / "chip.json") << R"({
    "schema_version": 1, "name": "chip", "extends": "tflite-single-rounding",
    "ops": {
      "linear": {
        "aliases": ["gemm"],
        "tensors": {"activation": {"also_accepts": ["uint8"]}},
        "variants": {
          "legacy uint8": {
            "tensors": {"activation": {"signed": false}},
            "requantize": {"steps": [
              {"op": "add", "arg": "offset"}, {"op": "mul", "arg": "multiplier"},
              {"op": "shr", "arg": "shift", "rounding": "half_away_from_zero"},
              {"op": "resize", "bits": "output"}]}},
          "wide": {"output": {"bits": 32}},
          "real bias": {
            "tensors": {"bias": {"kind": "float32"}},
            "requantize": {"domain": "float32", "rounding": "half_even",
                           "float": {"bias_add": "before_scale"}}}}}}})";
  const std::string profile = (rows.folder / "chip.json").string();
  const std::string acc = rows.write("acc.npy", std::vector<int32_t>{-700, 0, 700});
  const std::string one = rows.write("one.npy", std::vector<int32_t>{700});
  const std::string offset = rows.write("offset.npy", std::vector<int16_t>{100, 10, -4});
  const std::string m = rows.write("m.npy", std::vector<int32_t>{1});
  const std::string shift = rows.write("shift.npy", std::vector<int32_t>{1});
  const std::string half = rows.write("half.npy", std::vector<float>{0.5f});
  struct Case {
    const char* op;
    std::vector<std::string> arguments;
    DType dtype;
    std::vector<int64_t> expected;
  };
  const std::vector<std::string> integers = {"--multiplier", m, "--shift", shift};
  const std::vector<std::string> real = {"--scale", half};
  const auto with = [](std::vector<std::string> a, std::initializer_list<std::string> b) {
    a.insert(a.end(), b);
    return a;
  };
  const Case cases[] = {
      {"gemm", with(integers, {"--acc", acc}), DType::int8, {-128, 0, 127}},
      {"linear uint8", with(integers, {"--acc", acc}), DType::uint8, {0, 0, 255}},
      {"gemm uint8, no offset", with(integers, {"--acc", acc}), DType::uint8, {0, 0, 255}},
      {"gemm legacy uint8",
       with(integers, {"--acc", acc, "--arg", "offset=" + offset}),
       DType::uint8,
       {0, 5, 255}},
      {"gemm wide", with(integers, {"--acc", acc}), DType::int32, {-350, 0, 350}},
      {"gemm", with(integers, {"--acc", acc, "--out-type", "int32"}), DType::int32, {-350, 0, 350}},
      // An integer bias is added to the accumulator; one accumulator holds for all biases.
      {"gemm wide",
       with(integers, {"--acc", one, "--arg", "bias=" + offset}),
       DType::int32,
       {400, 355, 348}},
      // (700 + bias) * 0.5, the bias in units of the accumulator.
      {"gemm real bias",
       with(real, {"--acc", one, "--arg", "bias=" + offset, "--out-type", "int16"}),
       DType::int16,
       {400, 355, 348}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.op);
    std::vector<std::string> arguments = {"requantize", "--profile", profile,   "--op",
                                          c.op,         "-o",        rows.out()};
    arguments.insert(arguments.end(), c.arguments.begin(), c.arguments.end());
    const CommandResult result = run_command(arguments);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(backends::read_npy(rows.out()).dtype() == c.dtype);
    CHECK(values_of(rows.out()) == c.expected);
  }
}

TEST_CASE("facsim requantize: bad input is one clear error and leaves no file") {
  const Rows rows;
  const std::string acc = rows.write("acc.npy", std::vector<int32_t>{1, 2, 3});
  const std::string two = rows.write("two.npy", std::vector<int32_t>{1, 2});
  const std::string real = rows.write("real.npy", std::vector<float>{0.5f, 0.5f, 0.5f});
  const std::string bad = rows.write("bad.npy", std::vector<float>{0.5f, NAN, 0.5f});
  const std::string negative = rows.write("negative.npy", std::vector<int32_t>{-5, 1, 1});
  const std::string shift = rows.write("shift.npy", std::vector<int32_t>{31, 31, 31});
  const std::string far = rows.write("far.npy", std::vector<int32_t>{31, 31, 4000});
  const std::string one = rows.write("one.npy", std::vector<int32_t>{1});
  const std::string outside = rows.write("outside.npy", std::vector<int32_t>{31, 31, 63});
  const std::string none = rows.write("none.npy", std::vector<int32_t>{});
  const std::string farthest = rows.write("farthest.npy", std::vector<int64_t>{INT64_MIN});
  const std::string high = rows.write("high.npy", std::vector<int32_t>{128});
  struct Case {
    const char* reason;
    std::vector<std::string> arguments;
    int exit_code;
    const char* text;
  };
  const Case cases[] = {
      {"rows disagree", {"--acc", acc, "--scale", real, "--zero-point", two}, 3, "2 values"},
      {"real accumulators", {"--acc", real, "--scale", real}, 3, "integer accumulators"},
      {"integer scale", {"--acc", acc, "--scale", two}, 3, "2 values"},
      {"NaN scale", {"--acc", acc, "--scale", bad}, 3, "nan"},
      {"negative multiplier", {"--acc", acc, "--multiplier", negative, "--shift", shift}, 3, "-5"},
      {"shift far away", {"--acc", acc, "--multiplier", shift, "--shift", far}, 3, "4000"},
      {"shift outside the domain",
       {"--acc", acc, "--multiplier", shift, "--shift", outside},
       4,
       "domain"},
      {"clamp bounds crossed",
       {"--acc", acc, "--scale", real, "--clamp-min", acc, "--clamp-max", one},
       3,
       "clamp_min[1]: 2; expected at most clamp_max 1"},
      {"no zero point", {"--acc", one, "--scale", real, "--zero-point", none}, 3, "0 values"},
      {"no accumulator", {"--acc", none, "--scale", real}, 3, "0 values; expected one per row"},
      {"no multiplier",
       {"--acc", one, "--multiplier", none, "--shift", none},
       3,
       "0 values; expected one per row"},
      {"a pool",
       {"--acc", acc, "--scale", real, "--op", "max_pool2d"},
       4,
       "max_pool2d does not requantize accumulators: it takes the largest code of each window"},
      {"a move of codes", {"--acc", acc, "--scale", real, "--op", "transpose"}, 4, "moves codes"},
      {"a named algorithm",
       {"--acc", acc, "--scale", real, "--op", "softmax"},
       4,
       "softmax does not requantize accumulators: it computes tflite.softmax_int8: differences"},
      {"a variant's algorithm",
       {"--acc", acc, "--scale", real, "--op", "softmax int16"},
       4,
       "softmax int16 does not requantize accumulators: it computes tflite.softmax_int16"},
      {"a table", {"--acc", acc, "--scale", real, "--op", "lut"}, 4, "looks each code up"},
      {"zero point far away",
       {"--acc", acc, "--scale", real, "--zero-point", farthest},
       3,
       "-128..127 (int8)"},
      {"an argument with an option of its own",
       {"--acc", acc, "--scale", real, "--arg", "multiplier=" + one},
       2,
       "--multiplier"},
      {"clamp outside the output",
       {"--acc", acc, "--scale", real, "--clamp-max", high},
       3,
       "argument \"clamp_max\""},
      {"unknown argument", {"--acc", acc, "--scale", real, "--arg", "offset=" + acc}, 3, "offset"},
      {"unknown op", {"--acc", acc, "--scale", real, "--op", "conv9d"}, 4, "conv9d"},
      {"unknown type", {"--acc", acc, "--scale", real, "--out-type", "int99"}, 2, "int99"},
      {"malformed --arg", {"--acc", acc, "--scale", real, "--arg", "bias"}, 2, "NAME=FILE"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    std::vector<std::string> arguments = {"requantize", "--profile", "tflite-micro", "-o",
                                          rows.out()};
    arguments.insert(arguments.end(), c.arguments.begin(), c.arguments.end());
    const CommandResult result = run_command(arguments);
    CAPTURE(result.err);
    CHECK(result.exit_code == c.exit_code);
    CHECK(contains(result.err, c.text));
    CHECK_FALSE(std::filesystem::exists(rows.out()));
  }
}

}  // namespace facsim::test
