// SPDX-License-Identifier: Apache-2.0
// Every rounding mode, as sim/rounding computes it, is its definition (spec.h) for every input.
//
// For 64 and 128 bits in two steps, each over the templates that run: what `shift_right` and
// `divide` tell a mode is true, for whatever the mode answers; and every mode answers rightly to
// every truth. For 32 bits also in one step, which would notice a gap between the two.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <optional>

#include "sim/rounding/all.h"
#include "tests/proof/prover.h"
#include "tests/proof/spec.h"

namespace facsim::proof {
namespace {

using Fraction = sim::rounding::Fraction<Bits>;
using Spec = Truth (*)(const spec::Rounding&);

struct ModeCase {
  const char* name;
  Bits (*rounds_up)(const Fraction& x);
  Bits (*shift)(Bits v, Bits n);
  int64_t (*plain_shift)(int64_t v, int64_t n);
  Spec meaning;
};

#define FACSIM_ROUNDING(mode)                             \
  {#mode, sim::rounding::mode::rounds_up<Bits>,           \
   sim::rounding::shift_right<sim::rounding::mode, Bits>, \
   sim::rounding::shift_right<sim::rounding::mode, int64_t>, spec::mode},
const ModeCase kModes[] = {
#include "sim/rounding/rounding.def"
};
#undef FACSIM_ROUNDING

/// A mode that keeps what it is told and answers with the free variable "up".
struct Told {
  static Bits rounds_up(const Fraction& x) {
    last() = x;
    return any(x.negative.e.ctx(), "up", x.negative.width());
  }
  static std::optional<Fraction>& last() {
    thread_local std::optional<Fraction> fraction;
    return fraction;
  }
  static Fraction take() {
    Fraction x = *last();
    last().reset();  // before its context goes
    return x;
  }
};

/// The integer 1 where `truth` holds and 0 where not.
Truth says(const Bits& field, const Truth& truth) {
  return field == select(truth, constant_like(field, 1), constant_like(field, 0));
}

/// x describes v / unit = floor + rest / unit.
Truth describes(const Fraction& x, const Bits& v, const Bits& floor, const Bits& rest,
                const Bits& unit) {
  const Bits twice = rest + rest;
  return says(x.negative, v < constant_like(v, 0)) &&
         says(x.floor_odd, (floor & constant_like(floor, 1)) == constant_like(floor, 1)) &&
         says(x.inexact, rest > constant_like(rest, 0)) && says(x.half, twice == unit) &&
         says(x.above_half, twice > unit);
}

/// shift_right of `width` bits by the constant n tells the truth.
Claim shift_tells(z3::context& context, int width, int n) {
  const Bits v = any(context, "v", width), up = any(context, "up", width);
  const Bits result = sim::rounding::shift_right<Told>(v, constant_like(v, n));
  const Fraction told = Told::take();
  const Bits wide_v = resized(v, width + 2);
  const Bits floor = shift_right_floor(wide_v, constant_like(wide_v, n));
  const Bits shift = constant_like(wide_v, n);
  const Bits rest = wide_v - shift_left(floor, shift);
  return {{v, up},
          always(context),
          result == resized(floor, width) + up &&
              resized(resized(floor, width), width + 2) == floor &&
              describes(told, v, resized(floor, width), rest,
                        shift_left(constant_like(wide_v, 1), shift))};
}

/// divide of `width` bits tells the truth, if the quotient and the remainder are right.
Claim divide_tells(z3::context& context, int width) {
  const Bits v = any(context, "v", width), d = any(context, "d", width);
  const Bits result = sim::rounding::divide<Told>(v, d);
  const Fraction told = Told::take();
  const Bits quotient = any(context, "quotient", width), rest = any(context, "remainder", width);
  return {{v, d, quotient, rest},
          rest >= constant_like(rest, 0) && rest < d,
          result == quotient + any(context, "up", width) &&
              describes(told, v, quotient, resized(rest, width + 2), resized(d, width + 2))};
}

/// The mode's answer to a true description gives the integer that its definition demands. The real
/// number is floor + rest / (rest + missing).
Claim mode_answers(z3::context& context, int answer, const ModeCase& mode, Spec meaning) {
  constexpr int kWidth = 128;
  const auto variable = [&](const char* name) { return any(context, name, kWidth); };
  const Fraction x{variable("negative"), variable("floor_odd"), variable("inexact"),
                   variable("half"), variable("above_half")};
  const Bits v = variable("v"), floor = variable("floor"), rest = variable("rest"),
             missing = variable("missing");
  const Bits up = mode.rounds_up(x), zero = constant_like(v, 0), one = constant_like(v, 1);
  const Bits r = floor + up;
  const auto wide = [](const Bits& b) { return resized(b, kWidth + 3); };
  const Bits unit = wide(rest) + wide(missing);
  const Bits error = answer == 0 ? wide(rest) : -wide(missing);
  // v < 0 exactly if floor(v / unit) < 0. Two cases: the mode answers 0 or 1; any other is wrong.
  return {{v, floor, rest, missing},
          missing > zero && rest >= zero && (v < zero) == (floor < zero) &&
              describes(x, v, floor, wide(rest), unit) &&
              (up == zero) == Truth{context.bool_val(answer == 0)},
          up == constant_like(up, answer) && meaning({v < zero, (r & one) == one, error, unit})};
}

/// shift_right itself against the definition, n free.
Claim shift_rounds(z3::context& context, int width, const ModeCase& mode, Spec meaning) {
  const Bits v = any(context, "v", width), n = any(context, "n", width);
  return {{v, n}, between(n, 0, width - 1), meaning(spec::shifted(v, n, mode.shift(v, n)))};
}

TEST_CASE("proof: shifts of 32, 64 and 128 bits and divisions tell a rounding mode the truth") {
  std::vector<Goal> goals;
  for (const int width : {128, 64, 32}) {
    goals.push_back({fmt::format("shift_right of {} bits, every shift", width),
                     [width](z3::context& c, int n) { return shift_tells(c, width, n); }, width});
    goals.push_back({fmt::format("divide of {} bits", width),
                     [width](z3::context& c, int) { return divide_tells(c, width); }});
  }
  prove(goals);
}

TEST_CASE("proof: every rounding mode answers with its definition, for every real number") {
  std::vector<Goal> goals;
  for (const ModeCase& mode : kModes) {
    goals.push_back({std::string(mode.name),
                     [&mode](z3::context& c, int answer) {
                       return mode_answers(c, answer, mode, mode.meaning);
                     },
                     2});
  }
  prove(goals);
}

TEST_CASE("proof: every rounding shift of 32 bits is its definition") {
  std::vector<Goal> goals;
  for (const ModeCase& mode : kModes) {
    goals.push_back({fmt::format("shift_right<{}>", mode.name), [&mode](z3::context& c, int) {
                       return shift_rounds(c, 32, mode, mode.meaning);
                     }});
  }
  prove(goals);
}

TEST_CASE("refuted: no rounding mode has another mode's definition") {
  for (const ModeCase& mode : kModes) {
    for (const ModeCase& other : kModes) {
      if (&mode == &other) continue;
      const Outcome found =
          refute({fmt::format("shift_right<{}> is {}", mode.name, other.name),
                  [&](z3::context& c, int) { return shift_rounds(c, 16, mode, other.meaning); }});
      const int64_t v = found.at("v"), n = found.at("n");
      CAPTURE(v);
      CAPTURE(n);
      CHECK(mode.plain_shift(v, n) != other.plain_shift(v, n));
    }
  }
}

}  // namespace
}  // namespace facsim::proof
