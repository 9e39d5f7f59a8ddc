// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sim/overflow/overflow.h"
#include "sim/rounding/rounding.h"

namespace facsim::sim {

/// A value a step takes: a constant, or a named argument that the layer supplies (one per tensor or
/// one per channel; pools index it by window count - 1).
struct Operand {
  enum class Kind { none, integer, real, argument };
  Kind kind = Kind::none;
  int64_t integer = 0;
  float real = 0;
  std::string argument;  ///< multiplier, shift, left_shift, scale, zero_point, bias, clamp_min, …

  static Operand constant(int64_t v) { return {Kind::integer, v, 0, {}}; }
  static Operand constant_f32(float v) { return {Kind::real, 0, v, {}}; }
  static Operand arg(std::string name) { return {Kind::argument, 0, 0, std::move(name)}; }
  friend bool operator==(const Operand&, const Operand&) = default;
};

/// The step kinds of design.md §3, plus `fsub`, `div` and `to_f64`. v is the running value.
enum class StepKind {
  shl,     ///< v * 2^a, a 0..62; integer
  shr,     ///< v / 2^a rounded by `rounding`, a 0..62; integer
  mul,     ///< v * a; integer
  add,     ///< v + a; integer
  sub,     ///< v - a; integer
  div,     ///< v / a rounded by `rounding`, a > 0; integer (average pools divide by the count)
  resize,  ///< v brought into `type` by `overflow`; integer; counts Events
  clamp,   ///< min(max(v, a), b); integer
  to_f32,  ///< integer to float32, half_even
  to_f64,  ///< integer to float64, half_even: the float steps up to `round` are then float64
  fadd,    ///< v + a in float32, one rounding
  fsub,    ///< v - a in float32
  fmul,    ///< v * a in float32; with b: v * a + b, one rounding (fused)
  fdiv,    ///< v / a in float32
  fclamp,  ///< min(max(v, a), b) in float32; a NaN becomes a
  round,   ///< float32 to integer by `rounding`; magnitudes >= 2^63 and NaN: error; with a >= 0: of
           ///< v + copysign(a, v), one rounding
};

struct Step {
  StepKind kind;
  Operand a;
  Operand b;
  Rounding rounding = Rounding::half_even;
  IntType type{};
  Overflow overflow = Overflow::saturate;
  friend bool operator==(const Step&, const Step&) = default;
};

/// True if the step takes a float32 or float64 (fadd … round), false if it takes an integer.
bool takes_real(StepKind kind);
/// True if the step gives a float32 or float64 (to_f32, to_f64, fadd … fclamp), false if it gives
/// an integer.
bool gives_real(StepKind kind);

/// A short list of typed steps over one accumulator: the canonical form of every requantization
/// (design.md §3). Starts from an integer or (`input_is_real`) a float32.
struct StepProgram {
  std::vector<Step> steps;
  bool input_is_real = false;
  friend bool operator==(const StepProgram&, const StepProgram&) = default;
};

/// One line per step, for people: "mul multiplier", "shr 31 half_up", "resize int32 saturate".
std::string to_string(const Step& step);
std::string to_string(const StepProgram& program);
std::string_view to_string(StepKind kind);

}  // namespace facsim::sim
