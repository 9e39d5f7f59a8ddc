// SPDX-License-Identifier: Apache-2.0
// Every overflow policy, for every type and every value; and the left shift that discards high
// bits.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/overflow/all.h"
#include "tests/proof/prover.h"

namespace facsim::proof {
namespace {

using Bounds = sim::overflow::Bounds<Bits>;

/// What a policy promises of its result r, as a property.
using Spec = Truth (*)(const Bits& v, const Bits& r, sim::IntType type);

Bits low(const Bits& v, sim::IntType type) { return constant_like(v, type.min()); }
Bits high(const Bits& v, sim::IntType type) { return constant_like(v, type.max()); }
Truth inside(const Bits& v, sim::IntType type) { return between(v, type.min(), type.max()); }

/// r is v where v is inside `floor`..max, else what `otherwise` demands.
Truth if_inside(const Bits& v, const Bits& r, const Bits& floor, sim::IntType type,
                const Truth& otherwise) {
  const Truth fits = v >= floor && v <= high(v, type);
  return (fits && r == v) || (!fits && otherwise);
}
Truth nearest_end(const Bits& v, const Bits& r, const Bits& floor, sim::IntType type) {
  return (v < floor && r == floor) || (v > high(v, type) && r == high(v, type));
}

Truth wrap(const Bits& v, const Bits& r, sim::IntType type) {
  // A multiple of 2^bits apart: one more bit of width, so that the difference is exact.
  const Bits difference = resized(v, v.width() + 1) - resized(r, v.width() + 1);
  const Bits bits = constant_like(difference, type.bits);
  return inside(r, type) && shift_left(shift_right_floor(difference, bits), bits) == difference;
}
Truth saturate(const Bits& v, const Bits& r, sim::IntType type) {
  return if_inside(v, r, low(v, type), type, nearest_end(v, r, low(v, type), type));
}
Truth saturate_symmetric(const Bits& v, const Bits& r, sim::IntType type) {
  const Bits floor = constant_like(v, type.is_signed ? -type.max() : 0);
  return if_inside(v, r, floor, type, nearest_end(v, r, floor, type));
}
Truth saturate_zero(const Bits& v, const Bits& r, sim::IntType type) {
  return if_inside(v, r, low(v, type), type, r == constant_like(v, 0));
}
Truth error(const Bits& v, const Bits& r, sim::IntType /*type*/) { return r == v; }

struct PolicyCase {
  const char* name;
  Bits (*bring)(Bits v, Bounds bounds);
  sim::Overflow policy;
  Spec meaning;
};

#define FACSIM_OVERFLOW(name) {#name, sim::overflow::name::bring<Bits>, sim::Overflow::name, name},
const PolicyCase kPolicies[] = {
#include "sim/overflow/overflow.def"
};
#undef FACSIM_OVERFLOW

/// int1..int64, then uint1..uint63.
sim::IntType type_number(int i) {
  return i < 64 ? sim::IntType{i + 1, true} : sim::IntType{i - 63, false};
}
constexpr int kTypes = 64 + 63;

Claim brings(z3::context& context, int width, const PolicyCase& policy, sim::IntType type,
             Spec meaning) {
  const Bits v = any(context, "v", width);
  const Bounds bounds = sim::overflow::bounds_of(type, v);
  const Bits r = policy.bring(v, bounds);
  return {{v},
          always(context),
          meaning(v, r, type) && sim::overflow::outside(v, bounds) == !inside(v, type)};
}

TEST_CASE("proof: every overflow policy is its definition, for every type, in 64 and 128 bits") {
  std::vector<Goal> goals;
  for (const int width : {64, 128}) {
    for (const PolicyCase& policy : kPolicies) {
      goals.push_back({fmt::format("{} from {} bits, every type", policy.name, width),
                       [width, &policy](z3::context& c, int i) {
                         // A 64-bit type in 64 bits: `wrap` has no spare bit, kernels leave it out.
                         const bool no_spare = width == 64 && i == 63;
                         return brings(c, no_spare ? 65 : width, policy, type_number(i),
                                       policy.meaning);
                       },
                       kTypes});
    }
  }
  prove(goals);
}

TEST_CASE("refuted: no overflow policy has another policy's definition") {
  for (const PolicyCase& policy : kPolicies) {
    for (const PolicyCase& other : kPolicies) {
      if (&policy == &other) continue;
      const Outcome found =
          refute({fmt::format("{} is {}", policy.name, other.name), [&](z3::context& c, int) {
                    return brings(c, 64, policy, sim::kInt8, other.meaning);
                  }});
      const int64_t v = found.at("v");
      CAPTURE(v);
      const auto run = [v](sim::Overflow kind) {
        bool changed = false;
        return static_cast<int64_t>(
            kind == sim::Overflow::error ? v : bring_into(kind, v, sim::kInt8, changed));
      };
      CHECK(run(policy.policy) != run(other.policy));
    }
  }
}

TEST_CASE("proof: shifting left in 32 bits wraps the exact product, in 64 bits too") {
  const auto claim = [](z3::context& context, int width, int n, auto policy) -> Claim {
    const Bits v = any(context, "v", width);
    const Bits exact = shift_left(widen(v), constant_like(widen(v), n));
    const Bits brought = decltype(policy)::bring(
        exact, Bounds{constant_like(exact, sim::IntType{width, true}.min()),
                      constant_like(exact, sim::IntType{width, true}.max())});
    return {{v}, always(context), widen(shift_left(v, constant_like(v, n))) == brought};
  };
  prove({{"shift_left of 32 bits",
          [&](z3::context& c, int n) { return claim(c, 32, n, sim::overflow::wrap{}); }, 32},
         {"shift_left of 64 bits",
          [&](z3::context& c, int n) { return claim(c, 64, n, sim::overflow::wrap{}); }, 64}});
  const Outcome found = refute({"shift_left of 32 bits saturates", [&](z3::context& c, int) {
                                  return claim(c, 32, 3, sim::overflow::saturate{});
                                }});
  const auto v = static_cast<int32_t>(found.at("v"));
  bool changed = false;
  CHECK(sim::shift_left(v, 3) !=
        bring_into(sim::Overflow::saturate, int64_t{v} * 8, sim::kInt32, changed));
}

}  // namespace
}  // namespace facsim::proof
