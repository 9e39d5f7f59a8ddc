// SPDX-License-Identifier: Apache-2.0
// The fixed-point primitives on SIMD lanes (sim/kernels/lanes-inl.h, the file that every kernel
// includes) compiled over a symbolic Highway: in both lanes of a vector they are the primitives of
// plain integers, for every accumulator and multiplier.
#include "sim/kernels/lanes-inl.h"

#include <doctest/doctest.h>

#include "sim/requantize/fixed_point.h"
#include "tests/proof/prover.h"

namespace facsim::proof {
namespace {

namespace lanes = sim::N_SYMBOLIC;
using lanes::LanesI32;

/// Two lanes of free variables each.
struct Operands {
  LanesI32 x, y;

  explicit Operands(z3::context& c)
      : x{{{any(c, "x0", 32), any(c, "x1", 32)}}}, y{{{any(c, "y0", 32), any(c, "y1", 32)}}} {
    hwy::N_SYMBOLIC::current_context() = &c;
  }
  std::vector<Bits> inputs() const { return {x.v.lane[0], x.v.lane[1], y.v.lane[0], y.v.lane[1]}; }
};

LanesI32 same(const Bits& v) { return {{{v, v}}}; }

/// Lane `i` of `vector` is `scalar` of the same operands.
template <class Vector, class Scalar>
Claim lane_equals(z3::context& c, int i, Vector&& vector, Scalar&& scalar) {
  const Operands o(c);
  const size_t lane = static_cast<size_t>(i);
  const Bits got = vector(o.x, o.y).v.lane[lane];
  return {o.inputs(), always(c), got == scalar(o.x.v.lane[lane], o.y.v.lane[lane])};
}

/// As lane_equals of functions of the product x * y, a number made of two halves, x and a constant.
template <class Vector, class Scalar>
Claim nudged_lane_equals(z3::context& c, int i, int constant, Vector&& vector, Scalar&& scalar) {
  const Operands o(c);
  const LanesI32 high{{{any(c, "high0", 32), any(c, "high1", 32)}}};
  const LanesI32 low{{{any(c, "low0", 32), any(c, "low1", 32)}}};
  const size_t lane = static_cast<size_t>(i);
  const Bits x = o.x.v.lane[lane];
  const Bits number = constant_like(x, constant);
  const Bits got =
      vector(widen(o.x) * widen(o.y), join_halves(high, low), o.x, same(number)).v.lane[lane];
  const Bits nudge{z3::concat(high.v.lane[lane].e, low.v.lane[lane].e)};
  return {o.inputs(), always(c),
          got == scalar(widen(x) * widen(o.y.v.lane[lane]), nudge, x, number)};
}

TEST_CASE("proof: SIMD lanes compute the scalar primitives") {
  namespace scalar = sim::fixed_point;
  namespace vector = lanes::fixed_point;
  std::vector<Goal> goals;
  goals.push_back({"rounding_doubling_high_mul, even and odd lane",
                   [](z3::context& c, int i) {
                     return lane_equals(c, i, vector::rounding_doubling_high_mul<LanesI32>,
                                        scalar::rounding_doubling_high_mul<Bits>);
                   },
                   2});
  goals.push_back({"saturating_rounding_doubling_high_mul, even and odd lane",
                   [](z3::context& c, int i) {
                     return lane_equals(c, i,
                                        vector::saturating_rounding_doubling_high_mul<LanesI32>,
                                        scalar::saturating_rounding_doubling_high_mul<Bits>);
                   },
                   2});
  goals.push_back({"rounding_divide_by_pot, both lanes, n 0..31",
                   [](z3::context& c, int i) {
                     return lane_equals(
                         c, i % 2,
                         [i](const LanesI32& x, const LanesI32&) {
                           return vector::rounding_divide_by_pot(
                               x, same(constant_like(x.v.lane[0], i / 2)));
                         },
                         [i](const Bits& x, const Bits&) {
                           return scalar::rounding_divide_by_pot(x, constant_like(x, i / 2));
                         });
                   },
                   64});
  goals.push_back({"multiply_by_quantized_multiplier_single, both lanes, n 1..63",
                   [](z3::context& c, int i) {
                     const int n_minus_one = i / 2;
                     return lane_equals(
                         c, i % 2,
                         [n_minus_one](const LanesI32& x, const LanesI32& m) {
                           return vector::multiply_by_quantized_multiplier_single(
                               x, m, same(constant_like(x.v.lane[0], n_minus_one)));
                         },
                         [n_minus_one](const Bits& x, const Bits& m) {
                           return scalar::multiply_by_quantized_multiplier_single(
                               x, m, constant_like(x, n_minus_one));
                         });
                   },
                   126});
  goals.push_back({"divide_doubling_high_product, both lanes, n 1..31",
                   [](z3::context& c, int i) {
                     return nudged_lane_equals(
                         c, i % 2, 1 + i / 2,
                         [](const auto& product, const auto& nudge, const auto& x, const auto& n) {
                           return vector::divide_doubling_high_product(product, nudge, x, n);
                         },
                         [](const auto& product, const auto& nudge, const auto& x, const auto& n) {
                           return scalar::divide_doubling_high_product(product, nudge, x, n);
                         });
                   },
                   62});
  goals.push_back({"shift_high_product, both lanes, n 32..62",
                   [](z3::context& c, int i) {
                     return nudged_lane_equals(
                         c, i % 2, i / 2,
                         [](const auto& product, const auto& nudge, const auto&, const auto& n) {
                           return vector::shift_high_product(product, nudge, n);
                         },
                         [](const auto& product, const auto& nudge, const auto&, const auto& n) {
                           return scalar::shift_high_product(product, nudge, n);
                         });
                   },
                   62});
  goals.push_back(
      {"shift_half_even, both lanes, n 0..31",
       [](z3::context& c, int i) {
         const int n = i / 2, odd = n == 0 ? 0 : 1;
         return lane_equals(
             c, i % 2,
             [=](const LanesI32& x, const LanesI32& below) {
               return vector::shift_half_even(x, same(constant_like(x.v.lane[0], n)), below,
                                              same(constant_like(x.v.lane[0], odd)));
             },
             [=](const Bits& x, const Bits& below) {
               return scalar::shift_half_even(x, constant_like(x, n), below, constant_like(x, odd));
             });
       },
       64});
  goals.push_back({"shift_left, both lanes",
                   [](z3::context& c, int i) {
                     return lane_equals(
                         c, i,
                         [](const LanesI32& x, const LanesI32& n) { return shift_left(x, n); },
                         [](const Bits& x, const Bits& n) { return shift_left(x, n); });
                   },
                   2});
  prove(goals);
}

TEST_CASE("refuted: an odd lane holds the product of the even ones") {
  const Outcome found = refute({"lane 1 from lane 0", [](z3::context& c, int) -> Claim {
                                  const Operands o(c);
                                  const LanesI32 r =
                                      lanes::fixed_point::rounding_doubling_high_mul(o.x, o.y);
                                  return {o.inputs(), always(c), r.v.lane[0] == r.v.lane[1]};
                                }});
  const auto plain = [&](const char* x, const char* y) {
    return sim::fixed_point::rounding_doubling_high_mul(static_cast<int32_t>(found.at(x)),
                                                        static_cast<int32_t>(found.at(y)));
  };
  CHECK(plain("x0", "y0") != plain("x1", "y1"));
}

}  // namespace
}  // namespace facsim::proof
