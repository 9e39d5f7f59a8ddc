// SPDX-License-Identifier: Apache-2.0
// Steps of a requantization program in few words.
#pragma once

#include <cstdint>
#include <utility>

#include "sim/requantize/step.h"

namespace facsim::sim {

inline Operand c(int64_t v) { return Operand::constant(v); }
inline Operand f(float v) { return Operand::constant_f32(v); }

inline Step step(StepKind kind, Operand a = {}, Operand b = {},
                 Rounding rounding = Rounding::half_even) {
  return {kind, std::move(a), std::move(b), rounding, kInt32, Overflow::saturate};
}

inline Step resize(IntType type, Overflow overflow = Overflow::saturate) {
  return {StepKind::resize, {}, {}, Rounding::half_even, type, overflow};
}

}  // namespace facsim::sim
