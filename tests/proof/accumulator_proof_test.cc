// SPDX-License-Identifier: Apache-2.0
// How many products an int32 accumulator holds, and the bound that Conv2dRange computes.
#include <doctest/doctest.h>

#include <algorithm>

#include "sim/core/numeric.h"
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

/// Conv2dRange: x - zx in xl..xh with xl <= 0 <= xh. A tap of weight w moves the ends of the
/// partial sums by w xl and w xh, the low end by the smaller. Counts the w, xl, xh for which some x
/// with its tap taken or not lies outside, or an end is reached by none.
int64_t wrong_tap_bounds(int64_t xl_max) {
  int64_t wrong = 0;
  for (int64_t w = -256; w <= 255; ++w) {
    for (int64_t xl = -256; xl <= xl_max; ++xl) {
      int64_t lowest = 0, highest = 0;  // the tap not taken
      for (int64_t x = xl; x < 0; ++x) {
        lowest = std::min(lowest, w * x);
        highest = std::max(highest, w * x);
      }
      for (int64_t xh = std::max<int64_t>(xl, 0); xh <= 255; ++xh) {
        for (int64_t x = std::max(xl, xh); x <= xh; ++x) {  // what xh adds to the range before
          lowest = std::min(lowest, w * x);
          highest = std::max(highest, w * x);
        }
        const int64_t low = w > 0 ? w * xl : w * xh, high = w > 0 ? w * xh : w * xl;
        wrong += low == lowest && high == highest ? 0 : 1;
      }
    }
  }
  return wrong;
}

TEST_CASE("enumerated: the range pass bounds every partial sum and reaches both ends") {
  CHECK(wrong_tap_bounds(0) == 0);
}

TEST_CASE("refuted: the range pass bounds partial sums when 0 is no possible input") {
  CHECK(wrong_tap_bounds(1) > 0);
}

}  // namespace
}  // namespace facsim::proof
