// SPDX-License-Identifier: Apache-2.0
// How many products an int32 accumulator holds, and the bound that Conv2dRange computes.
#include <doctest/doctest.h>

#include <algorithm>

#include "sim/core/numeric.h"
#include "sim/ops/conv2d_range.h"
#include "tests/proof/prover.h"

namespace facsim::proof {
namespace {

constexpr int64_t kLargest = int64_t{1} << 14;  // |int8 * int8|, of -128 * -128
constexpr int64_t kTaps = INT32_MAX / kLargest;
static_assert(kTaps == 131'071);

/// Adding tap number `taps` + 1 to an accumulator of `taps` int8 products keeps it in 32 bits.
Claim next_tap_fits(z3::context& c, const Truth& enough, const Bits& taps) {
  const Bits acc = any(c, "acc", 64), x = any(c, "x", 8), w = any(c, "w", 8);
  const Bits largest = taps * constant_like(taps, kLargest);
  const Bits next = acc + resized(widen(x) * widen(w), 64);
  const Bits next_largest = largest + constant_like(largest, kLargest);
  return {{acc, x, w, taps},
          enough && acc >= -largest && acc <= largest,
          next >= -next_largest && next <= next_largest && resized(resized(next, 32), 64) == next};
}

TEST_CASE("proof: 131071 products of int8 fit an int32 accumulator, in any order") {
  prove({{"by induction over the taps", [](z3::context& c, int) {
            const Bits taps = any(c, "taps", 64);
            return next_tap_fits(c, between(taps, 0, kTaps - 1), taps);
          }}});
  const Outcome found = refute({"131072 products", [](z3::context& c, int) {
                                  return next_tap_fits(c, always(c), value(c, kTaps, 64));
                                }});
  const int64_t next = found.at("acc") + found.at("x") * found.at("w");
  CHECK(next != static_cast<int32_t>(next));
  CHECK((kTaps + 1) * kLargest == int64_t{INT32_MAX} + 1);  // which all taps -128 * -128 reach
}

/// One tap of weight w on int8 codes with zero point zx: the tap taken with any code, or not taken.
/// Counts the (w, zx) of all int8 pairs for which the bounds of Conv2dRange are not the ends of
/// what these sums reach, after `change` was done to the bounds.
template <class Change>
int64_t wrong_tap_bounds(Change change) {
  int64_t wrong = 0;
  sim::Conv2dParams params;
  params.weights = Tensor(DType::int8, Shape{1, 1, 1, 1});
  for (int64_t w = -128; w <= 127; ++w) {
    params.weights.set_int(0, w);
    for (int64_t zx = -128; zx <= 127; ++zx) {
      params.input_zero_point = params.padding_value = zx;
      int64_t lowest = 0, highest = 0;  // the tap not taken
      for (int64_t x = -128; x <= 127; ++x) {
        lowest = std::min(lowest, w * (x - zx));
        highest = std::max(highest, w * (x - zx));
      }
      const sim::Conv2dRange::Bounds bounds = change(sim::Conv2dRange(params).all());
      wrong += bounds.partial_min == lowest && bounds.partial_max == highest ? 0 : 1;
    }
  }
  return wrong;
}

TEST_CASE("enumerated: the range pass bounds every partial sum and reaches both ends") {
  CHECK(wrong_tap_bounds([](sim::Conv2dRange::Bounds bounds) { return bounds; }) == 0);
}

TEST_CASE("refuted: the bounds of partial sums are those of the negated weights") {
  CHECK(wrong_tap_bounds([](sim::Conv2dRange::Bounds bounds) {
          const auto low = bounds.partial_min;
          bounds.partial_min = -bounds.partial_max;
          bounds.partial_max = -low;
          return bounds;
        }) > 0);
}

}  // namespace
}  // namespace facsim::proof
