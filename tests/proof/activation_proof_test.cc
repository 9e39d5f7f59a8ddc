// SPDX-License-Identifier: Apache-2.0
// The primitives of sim/ops/gemmlowp_fixed_point.h and hard_swish.h, for every input, against their
// definitions.
#include <doctest/doctest.h>

#include "sim/ops/gemmlowp_fixed_point.h"
#include "sim/ops/hard_swish.h"
#include "tests/proof/prover.h"
#include "tests/proof/spec.h"

namespace facsim::proof {
namespace {

constexpr int kActivationBits = 70;  ///< more bits than any value here needs

Bits activation_exact(const Bits& v) { return resized(v, kActivationBits); }

/// r is `exact`, or the end of the range beyond which that lies.
Truth saturates(const Bits& exact, const Bits& r, int64_t min, int64_t max) {
  const Bits low = constant_like(exact, min), high = constant_like(exact, max);
  return activation_exact(r) == select(exact < low, low, select(exact > high, high, exact));
}

/// r stands for v / 2^n by `meaning`.
Truth stands_for(const Bits& v, int n, const Bits& r, Truth (*meaning)(const spec::Rounding&)) {
  const Bits one = constant_like(r, 1);
  return meaning({v < constant_like(v, 0), (r & one) == one,
                  v - shift_left(activation_exact(r), constant_like(v, n)),
                  shift_left(constant_like(v, 1), constant_like(v, n))});
}

Truth is_16_bits(const Bits& v) {
  return v >= constant_like(v, INT16_MIN) && v <= constant_like(v, INT16_MAX);
}

TEST_CASE("proof: gemmlowp's half sum is half away from zero, its powers of two saturate") {
  prove({{"rounding_half_sum",
          [](z3::context& c, int) -> Claim {
            const Bits a = any(c, "a", 32), b = any(c, "b", 32);
            const Bits sum = activation_exact(a) + activation_exact(b);
            return {{a, b},
                    always(c),
                    stands_for(sum, 1, sim::gemmlowp::rounding_half_sum(a, b),
                               spec::half_away_from_zero)};
          }},
         {"multiply_by_pot<1>",
          [](z3::context& c, int) -> Claim {
            const Bits x = any(c, "x", 32);
            return {{x},
                    always(c),
                    saturates(activation_exact(x) + activation_exact(x),
                              sim::gemmlowp::multiply_by_pot<1>(x), INT32_MIN, INT32_MAX)};
          }},
         {"rescale<4, 2>",
          [](z3::context& c, int) -> Claim {
            const Bits x = any(c, "x", 32);
            const Bits wide = activation_exact(x);
            return {{x},
                    always(c),
                    saturates(shift_left(wide, constant_like(wide, 2)),
                              sim::gemmlowp::rescale<4, 2>(x), INT32_MIN, INT32_MAX)};
          }},
         {"rescale<0, 12>", [](z3::context& c, int) -> Claim {
            const Bits x = any(c, "x", 32);
            return {{x},
                    always(c),
                    stands_for(activation_exact(x), 12, sim::gemmlowp::rescale<0, 12>(x),
                               spec::half_away_from_zero)};
          }}});
}

TEST_CASE("refuted: gemmlowp's half sum is half up") {
  const Outcome found =
      refute({"rounding_half_sum is half_up", [](z3::context& c, int) -> Claim {
                const Bits a = any(c, "a", 32), b = any(c, "b", 32);
                const Bits sum = activation_exact(a) + activation_exact(b);
                return {{a, b},
                        always(c),
                        stands_for(sum, 1, sim::gemmlowp::rounding_half_sum(a, b), spec::half_up)};
              }});
  const int64_t sum = found.at("a") + found.at("b");
  CHECK(sum < 0);
  CHECK(sum % 2 != 0);
}

TEST_CASE("proof: a share of softmax rounds the same without branches") {
  // What sim::Softmax runs: (v + half) >> n for v >= 0, n = 15..31.
  prove({{"rounding_divide_by_pot of v >= 0",
          [](z3::context& c, int i) -> Claim {
            const Bits v = any(c, "v", 32), n = constant_like(v, 15 + i);
            const Bits wide = resized(v, 64);
            const Bits shifted =
                shift_right_floor(wide + constant_like(wide, (int64_t{1} << (15 + i)) >> 1),
                                  constant_like(wide, 15 + i));
            return {{v},
                    v >= constant_like(v, 0),
                    resized(sim::fixed_point::rounding_divide_by_pot(v, n), 64) == shifted};
          },
          17}});
}

TEST_CASE("proof: hard_swish's left shift saturates to 16 bits, its high product cuts") {
  prove({{"saturating_left_shift, n 0..31",
          [](z3::context& c, int n) -> Claim {
            const Bits x = any(c, "x", 32);
            const Bits wide = activation_exact(x);
            return {
                {x},
                is_16_bits(x),
                saturates(shift_left(wide, constant_like(wide, n)),
                          sim::hard_swish_s16::saturating_left_shift(x, n), INT16_MIN, INT16_MAX)};
          },
          32},
         {"truncating_high_mul",
          [](z3::context& c, int) -> Claim {
            const Bits a = any(c, "a", 32), b = any(c, "b", 32), p = any(c, "p", 32);
            const FreeProduct scope(p);
            const Bits largest = constant_like(p, int64_t{1} << 30);
            return {{p},
                    p >= constant_like(p, 0) - largest && p <= largest,
                    stands_for(activation_exact(p), 15,
                               sim::hard_swish_s16::truncating_high_mul(a, b), spec::toward_zero)};
          }},
         {"rounding_high_mul", [](z3::context& c, int) -> Claim {
            const Bits a = any(c, "a", 32), b = any(c, "b", 32), p = any(c, "p", 32);
            const FreeProduct scope(p);
            const Bits largest = constant_like(p, int64_t{1} << 30);
            return {{p},
                    p >= constant_like(p, 0) - largest && p <= largest,
                    stands_for(activation_exact(p), 15,
                               sim::hard_swish_s16::rounding_high_mul(a, b), spec::half_up)};
          }}});
}

TEST_CASE("refuted: hard_swish's high product is the floor") {
  const Outcome found =
      refute({"truncating_high_mul is floor", [](z3::context& c, int) -> Claim {
                const Bits a = any(c, "a", 32), b = any(c, "b", 32);
                return {{a, b},
                        is_16_bits(a) && is_16_bits(b),
                        stands_for(activation_exact(a * b), 15,
                                   sim::hard_swish_s16::truncating_high_mul(a, b), spec::floor)};
              }});
  const auto a = static_cast<int32_t>(found.at("a")), b = static_cast<int32_t>(found.at("b"));
  CHECK(sim::hard_swish_s16::truncating_high_mul(a, b) == a * b / 32768);
  CHECK(sim::hard_swish_s16::truncating_high_mul(a, b) != (a * b) >> 15);
}

}  // namespace
}  // namespace facsim::proof
