// SPDX-License-Identifier: Apache-2.0
// The average pools of accelerators, through a profile that names their algorithm.
#include <doctest/doctest.h>

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "tests/backends/lowering.h"

namespace facsim::backends {
namespace {

using test::qparams_of;

/// A profile whose average pools run `algorithm`:
///   "ops": {"avg_pool2d": {"algorithm": "tosa.reciprocal_average", "params": {}}}
Profile averaging_profile(const std::string& algorithm) {
  std::vector<ProfileOverride> overrides = {{"/tensors/activation/also_accepts", R"(["uint8"])"}};
  for (const char* op : {"avg_pool2d", "global_avg_pool"}) {
    const std::string pointer = std::string("/ops/") + op;
    overrides.push_back({pointer + "/params", "null"});
    overrides.push_back({pointer + "/algorithm", algorithm});
  }
  return test::shipped_profile("tflite-reference", overrides);
}

struct AverageCase {
  std::string algorithm;
  std::array<int64_t, 2> kernel{1, 1};
  int64_t zero_point = 0;
  sim::IntType type = sim::kInt8;

  /// The average over one window of these codes (scalar norm and fast path alike).
  int64_t of(const std::vector<int64_t>& codes) const {
    const Profile profile = averaging_profile(algorithm);
    sim::Window2d window;
    window.kernel = kernel;
    const quant::QParams q = qparams_of(0.5F, zero_point, type);
    const auto op = lower_avg_pool2d(profile, window, false, false, q, q, Activation::none,
                                     kernel[0], kernel[1]);
    Tensor input(type.storage(), {1, kernel[0], kernel[1], 1});
    for (int64_t i = 0; i < input.numel(); ++i) input.set_int(i, codes[static_cast<size_t>(i)]);
    const Tensor* const inputs[] = {&input};
    std::vector<int64_t> results;
    for (const sim::Isa isa : {sim::Isa::scalar, sim::Isa::best}) {
      Tensor output(type.storage(), {1, 1, 1, 1});
      op->run(inputs, output, {.isa = isa});
      results.push_back(output.int_at(0));
    }
    CHECK(results[0] == results[1]);
    return results[0];
  }
};

/// `taps` codes with this sum.
std::vector<int64_t> codes_of_sum(int64_t sum, int64_t taps) {
  std::vector<int64_t> codes;
  for (int64_t left = taps; left > 0; --left) {
    codes.push_back(sum / left);
    sum -= codes.back();
  }
  return codes;
}

TEST_CASE("platform average: pitfall 11, how a tie is rounded") {
  const auto half = [](const char* algorithm, int64_t sum) {
    return AverageCase{algorithm, {1, 2}}.of(codes_of_sum(sum, 2));
  };
  // -5 / 2 and 5 / 2.
  for (const char* away :
       {"tosa.reciprocal_average", "ethos_u.pooling_scale", "nvdla.pdp_average"}) {
    CHECK(half(away, -5) == -3);
    CHECK(half(away, 5) == 3);
  }
  CHECK(half("onednn.reciprocal_average", -5) == -2);
  CHECK(half("onednn.reciprocal_average", -3) == -2);
  // 350 / 28 = 12.5, but 350 * f32(1 / 28) is above it.
  CHECK(AverageCase{"onednn.reciprocal_average", {4, 7}}.of(codes_of_sum(350, 28)) == 13);
  // Unsigned 8-bit codes: 4 * 255 has 10 bits, 8 come out: a shift by 2, floor.
  const AverageCase quarter{"qonnx.quant_avg_pool2d", {2, 2}, 0, sim::kUint8};
  CHECK(quarter.of({1, 1, 1, 0}) == 0);
  CHECK(quarter.of({255, 255, 255, 255}) == 255);
  // 9 * 255 has 12 bits: a shift by 4, not a division by 9.
  const AverageCase ninth{"qonnx.quant_avg_pool2d", {3, 3}, 0, sim::kUint8};
  CHECK(ninth.of(codes_of_sum(90, 9)) == 90 >> 4);
}

TEST_CASE("platform average: NVDLA rounds after the width and again after the height") {
  const AverageCase pool{"nvdla.pdp_average", {2, 3}};
  // 2^16 / 3 = 21845 (cut): 4 * 21845 / 2^16 = 1.33 -> 1, 1 / 2 -> 1; exactly 4 / 6 = 0.67.
  CHECK(pool.of(codes_of_sum(4, 6)) == 1);
  // 2 * 21845 / 2^16 = 0.67 -> 1, 1 / 2 -> 1 (away from zero); exactly 2 / 6 = 0.33.
  CHECK(pool.of(codes_of_sum(2, 6)) == 1);
  CHECK(pool.of(codes_of_sum(-2, 6)) == -1);
  CHECK(pool.of(codes_of_sum(1, 6)) == 0);
  const std::vector<int64_t> nine(9, 1);
  CHECK(AverageCase{"nvdla.pdp_average", {3, 3}}.of(nine) == 1);
}

TEST_CASE("platform average: the zero point is no part of the average") {
  for (const char* algorithm : {"tosa.reciprocal_average", "ethos_u.pooling_scale",
                                "onednn.reciprocal_average", "nvdla.pdp_average"}) {
    CAPTURE(std::string(algorithm));
    // Codes of real 0 stay so, and a tie below the zero point goes away from it.
    CHECK(AverageCase{algorithm, {1, 3}, 100}.of({100, 100, 100}) == 100);
    CHECK(AverageCase{algorithm, {1, 2}, 100}.of({98, 97}) == 100 - (algorithm[0] == 'o' ? 2 : 3));
  }
}

TEST_CASE("platform average: what a unit cannot do is refused") {
  const auto refused = [](const std::string& algorithm, std::array<int64_t, 2> kernel,
                          float output_scale, int64_t padding, bool counted) {
    sim::Window2d window;
    window.kernel = kernel;
    window.padding = {padding, padding, padding, padding};
    try {
      lower_avg_pool2d(averaging_profile(algorithm), window, false, counted, qparams_of(0.5F, 0),
                       qparams_of(output_scale, 0), Activation::none, 16, 16);
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  const auto has = [](const std::string& text, const char* part) {
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  has(refused("tosa.reciprocal_average", {2, 2}, 0.25F, 0, false), "same scale");
  has(refused("nvdla.pdp_average", {9, 2}, 0.5F, 0, false), "at most 8 x 8");
  has(refused("nvdla.pdp_average", {3, 3}, 0.5F, 1, false), "count_include_pad");
  CHECK(refused("nvdla.pdp_average", {3, 3}, 0.5F, 1, true) == "accepted");
  has(refused("qonnx.quant_avg_pool2d", {3, 3}, 0.5F, 1, false), "padding");
}

}  // namespace
}  // namespace facsim::backends
