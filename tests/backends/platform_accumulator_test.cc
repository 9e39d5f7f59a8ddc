// SPDX-License-Identifier: Apache-2.0
// Accumulators of platforms, from a profile's JSON to sums.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "tests/backends/lowering.h"

namespace facsim::backends {
namespace {

using test::qparams_of;

Profile with_accumulator(const std::string& profile, const std::string& json) {
  return test::shipped_profile(profile, {{"/ops/linear/accumulator", json}});
}

/// The accumulator of a linear layer with one output, and whether its sums are proved exact.
struct LinearSum {
  int64_t value = 0;
  bool exact = false;
};
LinearSum linear_sum(const Profile& profile, const quant::QParams& input,
                     const std::vector<int64_t>& x, const std::vector<int64_t>& w) {
  const auto taps = static_cast<int64_t>(x.size());
  Tensor weights(DType::int8, {1, taps});
  for (int64_t t = 0; t < taps; ++t) weights.set_int(t, w[static_cast<size_t>(t)]);
  const quant::QParams output = qparams_of(1, input.zero_point.front(), input.type);
  const sim::Linear layer(
      lower_linear(profile, input, weights, qparams_of(1, 0), {}, output, Activation::none));
  Tensor codes(input.type.storage(), {1, taps});
  for (int64_t t = 0; t < taps; ++t) codes.set_int(t, x[static_cast<size_t>(t)]);
  const Tensor* const inputs[] = {&codes};
  return {*layer.explain(inputs, 0).accumulator, layer.conv().accumulator_is_exact()};
}

TEST_CASE("platform accumulator: FBGEMM with vpmaddubsw pairs, and with 16-bit sums") {
  const auto u8 = qparams_of(1, 128, sim::kUint8);
  const std::vector<int64_t> x = {255, 255, 255, 255}, w = {127, 127, 127, 127};
  const int64_t exact = 4 * 127 * 127;
  CHECK(linear_sum(with_accumulator("fbgemm", "{}"), u8, x, w).value == exact);
  // Codes are multiplied: 2 * 255 * 127 = 64770 saturates, then 128 * sum(w) comes off.
  const Profile pairs = with_accumulator(
      "fbgemm",
      R"({"order": "sequential", "operands": "codes", "block": {"taps": 2, "bits": 16}})");
  CHECK(linear_sum(pairs, u8, x, w).value == 2 * 32767 - 128 * 4 * 127);
  CHECK_FALSE(linear_sum(pairs, u8, x, w).exact);
  // PyTorch's reduce_range: weights that fit 7 bits cannot saturate a pair.
  const std::vector<int64_t> reduced = {63, -64, 63, -64};
  CHECK(linear_sum(pairs, u8, x, reduced).exact);
  CHECK(linear_sum(pairs, u8, x, reduced).value == 127 * -2);
  // acc16: pairs meet in 16 bits and spill after four taps.
  const Profile acc16 = with_accumulator("fbgemm", R"({"order": "sequential", "operands": "codes",
      "block": {"taps": 2, "bits": 16, "spill_every": 4}})");
  CHECK(linear_sum(acc16, u8, x, w).value == 32767 - 128 * 4 * 127);
}

TEST_CASE("platform accumulator: NVDLA's groups of 64 channels never leave their width") {
  const Profile nvdla = test::shipped_profile("nvdla");
  REQUIRE(nvdla.rules("linear").accumulator.block.has_value());
  const std::vector<int64_t> x(200, -128), w(200, -128);
  const LinearSum sum = linear_sum(nvdla, qparams_of(1, 0), x, w);
  CHECK(sum.value == 200 * 16384);
  CHECK(sum.exact);
}

TEST_CASE("platform accumulator: a block of all taps is CMSIS-NN's 32-bit sum under 64 bits") {
  const Profile narrow =
      with_accumulator("tflite-reference",
                       R"({"bits": 64, "block": {"taps": "all", "bits": 32, "overflow": "wrap"}})");
  const OpRules& rules = narrow.rules("linear");
  REQUIRE(rules.accumulator.block.has_value());
  CHECK(rules.accumulator.block->taps == sim::Accumulator::Block::kAllTaps);
  CHECK(linear_sum(narrow, qparams_of(1, 0), {127, -128}, {127, 127}).value == -127);
}

TEST_CASE("platform accumulator: hls4ml casts each product") {
  const Profile profile = with_accumulator("hls4ml", R"({"bits": 16, "overflow": "wrap",
      "order": "sequential", "init": "bias",
      "term": {"shift": 3, "rounding": "half_up", "bits": 16, "overflow": "saturate"}})");
  const sim::Accumulator& accumulator = profile.rules("linear").accumulator;
  REQUIRE(accumulator.term.has_value());
  CHECK(*accumulator.term ==
        sim::Accumulator::Term{3, sim::Rounding::half_up, 16, sim::Overflow::saturate});
}

TEST_CASE("platform accumulator: what cannot be is refused") {
  const auto refused = [](const std::string& json, const char* part) {
    std::string text = "accepted";
    try {
      with_accumulator("fbgemm", json);
    } catch (const Error& e) {
      text = e.what();
    }
    CAPTURE(text);
    CHECK(text.find(part) != std::string::npos);
  };
  refused(R"({"block": {"taps": 0}})", "1..268435456");
  refused(R"({"block": {"taps": 2, "spill_every": 3}})", "spill_every");
  refused(R"({"term": {"bits": 1}})", "2..62");
  refused(R"({"operands": "raw"})", "one of centred, codes");
}

}  // namespace
}  // namespace facsim::backends
