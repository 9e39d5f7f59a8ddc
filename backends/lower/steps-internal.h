// SPDX-License-Identifier: Apache-2.0
// Steps of programs that lowerings write themselves.
#pragma once

#include <vector>

#include "backends/lower/lower.h"

namespace facsim::backends::detail {

sim::Step make_step(sim::StepKind kind, sim::Operand a);
sim::Step make_shr(int64_t count, sim::Rounding rounding);
/// The shift is an argument of the program.
sim::Step make_shr(sim::Operand count, sim::Rounding rounding);
sim::Step make_round(sim::Rounding rounding);
/// Saturates to `type`.
sim::Step make_resize(sim::IntType type);
sim::Step make_clamp(ClampBounds bounds);
/// The same bounds less a zero point, before the rounding of a float32 value.
sim::Step make_fclamp(ClampBounds bounds, int64_t zero_point);

/// resize; clamp: how a program without an output zero point ends.
std::vector<sim::Step> range_steps(sim::IntType type, ClampBounds clamp);
/// add zero_point; resize; clamp: how a program ends whose output has one. The addition is there
/// for a zero point of 0 as well: programs of one platform have the same steps for every layer.
std::vector<sim::Step> output_steps(int64_t zero_point, sim::IntType type, ClampBounds clamp);

/// `first`, then `more`.
std::vector<sim::Step> joined(std::vector<sim::Step> first, std::vector<sim::Step> more);

}  // namespace facsim::backends::detail
