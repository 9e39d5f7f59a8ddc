// SPDX-License-Identifier: Apache-2.0
// The fixed-point primitives of sim/requantize/fixed_point-inl.h, for every accumulator and
// multiplier, against their definitions and against each other.
#include <doctest/doctest.h>

#include "sim/overflow/overflow.h"
#include "sim/requantize/fixed_point.h"
#include "sim/rounding/all.h"
#include "tests/proof/prover.h"
#include "tests/proof/spec.h"

namespace facsim::proof {
namespace {

namespace fixed_point = sim::fixed_point;
using Spec = Truth (*)(const spec::Rounding&);

constexpr int kExact = 70;  ///< more bits than any product, sum or shifted result here needs

Bits exact(const Bits& v) { return resized(v, kExact); }
Bits product(const Bits& a, const Bits& b) { return exact(widen(a) * widen(b)); }

/// r stands for v / 2^n, n constant.
spec::Rounding by_power(const Bits& v, int n, const Bits& r) {
  const Bits shift = constant_like(v, n), one = constant_like(r, 1);
  return {v < constant_like(v, 0), (r & one) == one, v - shift_left(exact(r), shift),
          shift_left(constant_like(v, 1), shift)};
}

struct Pair {
  Bits a, b;
  Truth both_lowest;
  explicit Pair(z3::context& c)
      : a(any(c, "a", 32)),
        b(any(c, "b", 32)),
        both_lowest(a == constant_like(a, INT32_MIN) && b == a) {}
};

Claim doubled_high(z3::context& c, Spec meaning) {
  const Pair p(c);
  const Bits r = fixed_point::saturating_rounding_doubling_high_mul(p.a, p.b);
  return {{p.a, p.b},
          always(c),
          (p.both_lowest && r == constant_like(r, INT32_MAX)) ||
              (!p.both_lowest && meaning(by_power(product(p.a, p.b), 31, r)))};
}

TEST_CASE("proof: the doubling high product is floor(ab / 2^31 + 1/2), saturating once") {
  prove({{"saturating_rounding_doubling_high_mul",
          [](z3::context& c, int) { return doubled_high(c, spec::half_up); }},
         {"rounding_doubling_high_mul", [](z3::context& c, int) -> Claim {
            const Pair p(c);
            const Bits r = fixed_point::rounding_doubling_high_mul(p.a, p.b);
            return {{p.a, p.b}, !p.both_lowest, spec::half_up(by_power(product(p.a, p.b), 31, r))};
          }}});
}

TEST_CASE("refuted: the doubling high product rounds half away from zero") {
  const Outcome found =
      refute({"saturating_rounding_doubling_high_mul is half_away_from_zero",
              [](z3::context& c, int) { return doubled_high(c, spec::half_away_from_zero); }});
  const auto a = static_cast<int32_t>(found.at("a")), b = static_cast<int32_t>(found.at("b"));
  const sim::int128 ab = static_cast<sim::int128>(a) * b;
  const int32_t got = fixed_point::saturating_rounding_doubling_high_mul(a, b);
  CHECK(got == sim::round_shift(sim::Rounding::half_up, ab, 31));
  CHECK(got != sim::round_shift(sim::Rounding::half_away_from_zero, ab, 31));
}

TEST_CASE("refuted: the doubling high product needs no saturation") {
  const Outcome found =
      refute({"rounding_doubling_high_mul fits", [](z3::context& c, int) -> Claim {
                const Pair p(c);
                const Bits r = fixed_point::rounding_doubling_high_mul(p.a, p.b);
                return {{p.a, p.b}, always(c), spec::half_up(by_power(product(p.a, p.b), 31, r))};
              }});
  CHECK(found.at("a") == INT32_MIN);
  CHECK(found.at("b") == INT32_MIN);
}

Claim divides(z3::context& c, int n, Spec meaning) {
  const Bits x = any(c, "x", 32);
  const Bits r = fixed_point::rounding_divide_by_pot(x, constant_like(x, n));
  return {{x}, always(c), meaning(by_power(exact(x), n, r))};
}

TEST_CASE("proof: rounding_divide_by_pot is half away from zero") {
  prove({{"rounding_divide_by_pot, n 0..31",
          [](z3::context& c, int n) { return divides(c, n, spec::half_away_from_zero); }, 32}});
}

TEST_CASE("refuted: rounding_divide_by_pot is half up") {
  const Outcome tie = refute({"rounding_divide_by_pot is half_up",
                              [](z3::context& c, int) { return divides(c, 4, spec::half_up); }});
  const auto x = static_cast<int32_t>(tie.at("x"));
  CHECK(fixed_point::rounding_divide_by_pot(x, 4) !=
        sim::round_shift(sim::Rounding::half_up, x, 4));
}

/// The short rounding shift by n 0..31 is the norm's, where adding the half fits if `fits` says so.
template <class Mode>
Claim shifts_nudged(z3::context& c, int n, bool fits) {
  const Bits x = any(c, "x", 32), by = constant_like(x, n);
  const Bits half = constant_like(x, n == 0 ? 0 : int64_t{1} << (n - 1));
  const Bits one = constant_like(x, n == 0 ? 0 : 1);
  constexpr bool kEven = std::is_same_v<Mode, sim::rounding::half_even>;
  constexpr bool kFloor = std::is_same_v<Mode, sim::rounding::floor>;
  const Bits nudge = kFloor ? constant_like(x, 0) : half;
  return {
      {x},
      fits && !kFloor ? x <= constant_like(x, INT32_MAX) - half : always(c),
      (kEven ? fixed_point::shift_half_even(x, by, half - one, one)
             : fixed_point::shift_nudged(x, by, nudge)) == sim::rounding::shift_right<Mode>(x, by)};
}

TEST_CASE("proof: short rounding shifts, n 0..31") {
  prove(
      {{"shift_nudged, half_up",
        [](z3::context& c, int n) { return shifts_nudged<sim::rounding::half_up>(c, n, true); },
        32},
       {"shift_nudged, floor",
        [](z3::context& c, int n) { return shifts_nudged<sim::rounding::floor>(c, n, true); }, 32},
       {"shift_half_even",
        [](z3::context& c, int n) { return shifts_nudged<sim::rounding::half_even>(c, n, true); },
        32}});
}

TEST_CASE("refuted: a short rounding shift for every x") {
  const Outcome up = refute({"half_up", [](z3::context& c, int) {
                               return shifts_nudged<sim::rounding::half_up>(c, 8, false);
                             }});
  CHECK(up.at("x") > INT32_MAX - 128);
  const Outcome even = refute({"half_even", [](z3::context& c, int) {
                                 return shifts_nudged<sim::rounding::half_even>(c, 8, false);
                               }});
  CHECK(even.at("x") > INT32_MAX - 128);
}

/// Both requantizations of x by a whole right shift n, and x m itself.
struct Requantized {
  Bits x, multiplier;
  Bits exact_product;
  Bits whole_single;  ///< in kExact bits, not narrowed
  Bits narrow_single;
  int n;

  Requantized(z3::context& c, int shift)
      : x(any(c, "x", 32)),
        multiplier(any(c, "multiplier", 32)),
        exact_product(product(x, multiplier)),
        whole_single(sim::rounding::shift_right<sim::rounding::half_up>(
            exact_product, constant_like(exact_product, shift))),
        narrow_single(fixed_point::multiply_by_quantized_multiplier_single(
            x, multiplier, constant_like(x, shift - 1))),
        n(shift) {}

  Bits twice() const {
    return fixed_point::multiply_by_quantized_multiplier_double(x, multiplier, constant_like(x, 0),
                                                                constant_like(x, n - 31));
  }
  Truth multiplier_positive() const { return multiplier >= constant_like(multiplier, 0); }
};

/// p has the sign of x (or is 0) and |p| <= 2^31 (2^k - 1): so does x times the low k bits of a
/// multiplier.
Truth partial_product_of(const Bits& p, const Bits& x, int k) {
  const Bits zero = constant_like(p, 0);
  const int64_t largest = ((int64_t{1} << k) - 1) << 31;
  const Truth negative = x < constant_like(x, 0);
  return between(p, -largest, largest) && ((negative && p <= zero) || (!negative && p >= zero));
}

/// `claim` of Requantized, for any product that 0 <= multiplier allows.
template <class F>
Claim for_products(z3::context& c, int n, F&& claim) {
  const Bits p = any(c, "product", 64);
  const FreeProduct scope(p);
  const Requantized r(c, n);
  return {
      {r.x, r.multiplier, p}, r.multiplier_positive() && partial_product_of(p, r.x, 31), claim(r)};
}

TEST_CASE("proof: what the goals below assume of a product") {
  // By induction over the 31 bits of the multiplier, each of which adds x 2^k or nothing.
  prove({{"x times k + 1 bits, if k bits",
          [](z3::context& c, int k) -> Claim {
            const Bits x = any(c, "x", 32), p = any(c, "p", kExact), bit = any(c, "bit", kExact);
            const Bits added = shift_left(exact(x) & bit, constant_like(p, k));
            return {{x, p, bit},
                    partial_product_of(p, x, k) && between(bit, -1, 0),
                    partial_product_of(p + added, x, k + 1)};
          },
          31}});
}

TEST_CASE("proof: single rounding is the low 32 bits of floor(x m / 2^n + 1/2), n 1..63") {
  prove({{"multiply_by_quantized_multiplier_single",
          [](z3::context& c, int i) -> Claim {
            const Bits p = any(c, "product", 64);  // any at all, of a negative multiplier too
            const FreeProduct scope(p);
            const Requantized r(c, i + 1);
            return {{p},
                    always(c),
                    r.narrow_single == resized(r.whole_single, 32) &&
                        spec::half_up(by_power(r.exact_product, r.n, r.whole_single))};
          },
          63},
         {"its result fits 32 bits for n 31..63, multiplier >= 0",
          [](z3::context& c, int i) -> Claim {
            return for_products(c, i + 31, [](const Requantized& r) {
              return exact(r.narrow_single) == r.whole_single;
            });
          },
          33}});
}

TEST_CASE("refuted: single rounding fits 32 bits for smaller shifts") {
  const Outcome found = refute({"n 30", [](z3::context& c, int) -> Claim {
                                  const Requantized r(c, 30);
                                  return {{r.x, r.multiplier},
                                          r.multiplier_positive(),
                                          exact(r.narrow_single) == r.whole_single};
                                }});
  const int64_t x = found.at("x"), multiplier = found.at("multiplier");
  const auto whole = sim::round_shift(sim::Rounding::half_up, x * multiplier, 30);
  CHECK(whole != fixed_point::multiply_by_quantized_multiplier_single(
                     static_cast<int32_t>(x), static_cast<int32_t>(multiplier), 29));
}

TEST_CASE("proof: from the high half of the product, single rounding with n 32..62") {
  prove({{"shift_high_product",
          [](z3::context& c, int i) -> Claim {
            const Bits p = any(c, "product", 64);
            const FreeProduct scope(p);
            const Requantized r(c, i + 32);
            const Bits nudge = constant_like(p, int64_t{1} << (i + 31));
            return {{p},
                    between(p, -(int64_t{1} << 62), int64_t{1} << 62),
                    fixed_point::shift_high_product(p, nudge, constant_like(r.x, i)) ==
                        r.narrow_single};
          },
          31}});
}

/// divide_doubling_high_product is double rounding by n 1..31 of x in [-limit, limit).
Claim doubles_from_high_half(z3::context& c, int n, int64_t limit) {
  const Bits p = any(c, "product", 64);
  const FreeProduct scope(p);
  const Requantized r(c, n + 31);
  const Bits half = constant_like(p, int64_t{1} << (n - 1));
  const Bits nudge = shift_left(half, constant_like(p, 32)) + constant_like(p, int64_t{1} << 31);
  return {{r.x, r.multiplier, p},
          r.multiplier_positive() && partial_product_of(p, r.x, 31) &&
              between(r.x, -limit, limit - 1) &&
              between(p, -limit * INT32_MAX, (limit - 1) * INT32_MAX),
          fixed_point::divide_doubling_high_product(shift_left(p, constant_like(p, 1)), nudge, r.x,
                                                    constant_like(r.x, n)) == r.twice()};
}

TEST_CASE("proof: from the high half of the product, double rounding with n 1..31") {
  prove({{"divide_doubling_high_product",
          [](z3::context& c, int i) { return doubles_from_high_half(c, i + 1, int64_t{1} << 30); },
          31}});
}

TEST_CASE("refuted: adding the half first never overflows") {
  const Outcome found = refute({"x past 2^30", [](z3::context& c, int) {
                                  return doubles_from_high_half(c, 31, int64_t{1} << 31);
                                }});
  // A free product: what is left is that the sum does not fit.
  const int64_t doubled = (found.at("product") + (int64_t{1} << 30)) >> 31;
  CHECK(doubled + (int64_t{1} << 30) > INT32_MAX);
}

TEST_CASE("proof: double rounding is within 1 of single rounding, n 31..62") {
  prove({{"|double - single| <= 1",
          [](z3::context& c, int i) -> Claim {
            return for_products(c, i + 31, [](const Requantized& r) {
              return between(exact(r.twice()) - r.whole_single, -1, 1);
            });
          },
          32}});
}

TEST_CASE("refuted: double rounding is single rounding") {
  constexpr int kShift = 34;
  const Outcome found =
      refute({"double == single", [](z3::context& c, int) -> Claim {
                const Requantized r(c, kShift);
                return {{r.x, r.multiplier}, r.multiplier_positive(), r.twice() == r.narrow_single};
              }});
  const auto x = static_cast<int32_t>(found.at("x"));
  const auto multiplier = static_cast<int32_t>(found.at("multiplier"));
  CAPTURE(x);
  CAPTURE(multiplier);
  CHECK(fixed_point::multiply_by_quantized_multiplier_double(x, multiplier, 0, kShift - 31) !=
        fixed_point::multiply_by_quantized_multiplier_single(x, multiplier, kShift - 1));
}

/// TOSA 1.0 apply_scale_32: one sum of two rounding constants, one shift; double_round adds 2^30
/// or, for value < 0, subtracts it when shift > 31.
Bits tosa_apply_scale_32(const Bits& value, const Bits& multiplier, int shift, bool double_round) {
  const Bits p = product(value, multiplier);
  Bits round = constant_like(p, int64_t{1} << (shift - 1));
  if (double_round && shift > 31) {
    const Bits extra = constant_like(p, int64_t{1} << 30);
    round = round + select(value < constant_like(value, 0), -extra, extra);
  }
  return shift_right_floor(p + round, constant_like(p, shift));
}

TEST_CASE("proof: TOSA's apply_scale_32 with double_round is TFLite's double rounding") {
  // Where TOSA defines it: multiplier >= 0, shift 2..62, -2^(shift-1) <= value < 2^(shift-1).
  prove({{"shift 31..62",
          [](z3::context& c, int i) -> Claim {
            return for_products(c, i + 31, [](const Requantized& r) {
              return tosa_apply_scale_32(r.x, r.multiplier, r.n, true) == exact(r.twice());
            });
          },
          32},
         // Below 31 TFLite shifts the value to the left by 31 - shift, which the limit on value
         // keeps in 32 bits, so that its product is TOSA's times 2^(31 - shift).
         {"shift 2..30, the value",
          [](z3::context& c, int i) -> Claim {
            const int shift = i + 2, left = 31 - shift;
            const Bits value = any(c, "value", 32);
            const int64_t limit = int64_t{1} << (shift - 1);
            return {{value},
                    between(value, -limit, limit - 1),
                    widen(shift_left(value, constant_like(value, left))) ==
                        shift_left(widen(value), constant_like(widen(value), left))};
          },
          29},
         {"shift 2..30, the product",
          [](z3::context& c, int i) -> Claim {
            const int shift = i + 2, left = 31 - shift;
            const Bits p = any(c, "product", 64), x = any(c, "x", 32), m = any(c, "m", 32);
            const int64_t limit = int64_t{1} << (shift + 30);  // |value| 2^31
            const Bits tosa = [&] {
              const FreeProduct scope(p);
              return tosa_apply_scale_32(x, m, shift, true);
            }();
            const FreeProduct scope(shift_left(p, constant_like(p, left)));
            return {{p},
                    between(p, -limit, limit - 1),
                    exact(fixed_point::rounding_doubling_high_mul(x, m)) == tosa};
          },
          29}});
}

TEST_CASE("refuted: TOSA's apply_scale_32 without double_round is TFLite's double rounding") {
  const Outcome found =
      refute({"shift 40", [](z3::context& c, int) -> Claim {
                const Requantized r(c, 40);
                return {{r.x, r.multiplier},
                        r.multiplier_positive(),
                        tosa_apply_scale_32(r.x, r.multiplier, 40, false) == exact(r.twice())};
              }});
  const auto x = static_cast<int32_t>(found.at("x"));
  const auto multiplier = static_cast<int32_t>(found.at("multiplier"));
  CHECK(fixed_point::multiply_by_quantized_multiplier_single(x, multiplier, 39) !=
        fixed_point::multiply_by_quantized_multiplier_double(x, multiplier, 0, 9));
}

}  // namespace
}  // namespace facsim::proof
