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
  goals.push_back({"rounding_divide_by_pot_in_range, both lanes, n 1..31",
                   [](z3::context& c, int i) {
                     const int n = 1 + i / 2;
                     return lane_equals(
                         c, i % 2,
                         [n](const LanesI32& x, const LanesI32& half) {
                           return vector::rounding_divide_by_pot_in_range(
                               x, same(constant_like(x.v.lane[0], n)), half);
                         },
                         [n](const Bits& x, const Bits& half) {
                           return scalar::rounding_divide_by_pot_in_range(x, constant_like(x, n),
                                                                          half);
                         });
                   },
                   62});
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
