// SPDX-License-Identifier: Apache-2.0
#include <iterator>

#include "backends/lower/steps-internal.h"

namespace facsim::backends::detail {

sim::Step make_step(sim::StepKind kind, sim::Operand a) {
  return {.kind = kind, .a = std::move(a), .b = {}};
}

sim::Step make_shr(int64_t count, sim::Rounding rounding) {
  return make_shr(sim::Operand::constant(count), rounding);
}

sim::Step make_shr(sim::Operand count, sim::Rounding rounding) {
  return {.kind = sim::StepKind::shr, .a = std::move(count), .b = {}, .rounding = rounding};
}

sim::Step make_round(sim::Rounding rounding) {
  return {.kind = sim::StepKind::round, .a = {}, .b = {}, .rounding = rounding};
}

sim::Step make_resize(sim::IntType type) {
  return {.kind = sim::StepKind::resize, .a = {}, .b = {}, .type = type};
}

sim::Step make_clamp(ClampBounds bounds) {
  return {.kind = sim::StepKind::clamp,
          .a = sim::Operand::constant(bounds.min),
          .b = sim::Operand::constant(bounds.max)};
}

sim::Step make_fclamp(ClampBounds bounds, int64_t zero_point) {
  return {.kind = sim::StepKind::fclamp,
          .a = sim::Operand::constant_f32(static_cast<float>(bounds.min - zero_point)),
          .b = sim::Operand::constant_f32(static_cast<float>(bounds.max - zero_point))};
}

std::vector<sim::Step> range_steps(sim::IntType type, ClampBounds clamp) {
  return {make_resize(type), make_clamp(clamp)};
}

std::vector<sim::Step> output_steps(int64_t zero_point, sim::IntType type, ClampBounds clamp) {
  return joined({make_step(sim::StepKind::add, sim::Operand::constant(zero_point))},
                range_steps(type, clamp));
}

std::vector<sim::Step> joined(std::vector<sim::Step> first, std::vector<sim::Step> more) {
  first.insert(first.end(), std::make_move_iterator(more.begin()),
               std::make_move_iterator(more.end()));
  return first;
}

}  // namespace facsim::backends::detail
