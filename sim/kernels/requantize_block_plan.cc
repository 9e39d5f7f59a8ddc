// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <functional>
#include <utility>

#include "sim/kernels/requantize_plan-internal.h"

namespace facsim::sim {
namespace {

bool block_fits_int64(const ValueRange& v) {
  return v.is_real || (v.bounded && v.min >= INT64_MIN && v.max <= INT64_MAX);
}
bool block_fits_int32(const ValueRange& v) {
  return !v.is_real && v.bounded && v.min >= INT32_MIN && v.max <= INT32_MAX;
}

bool all_between(const PerChannel<int64_t>& operand, int64_t min, int64_t max) {
  return std::all_of(operand.values().begin(), operand.values().end(),
                     [=](int64_t v) { return v >= min && v <= max; });
}

/// True if a step from int32 to int32 may also be computed in int32.
bool computes_in_int32(const BoundStep& step) {
  switch (step.kind) {
    case StepKind::shl:
    case StepKind::shr:
      return all_between(step.a, 0, 31);
    case StepKind::resize:  // to fewer bits than 32: to int32 itself it would change nothing
      return step.type.min() >= INT32_MIN && step.type.max() <= INT32_MAX;
    case StepKind::clamp:  // a bound outside int32 does what int32's own end does
      return true;
    default:
      return all_between(step.a, INT32_MIN, INT32_MAX);
  }
}

class BlockPlanner {
 public:
  BlockPlanner(const Requantizer& requantizer, const ValueRange& input)
      : channels_(requantizer.channels()), narrow_(block_fits_int32(input)) {
    program_.output = requantizer.output_type().storage();
    program_.operand_mask = channels_ == 1 ? 0 : -1;
    program_.narrow_input = narrow_;
  }

  void add(const BoundStep& step, const ValueRange& result) {
    BlockStep planned{.kind = step.kind,
                      .rounding = step.rounding,
                      .overflow = step.overflow,
                      .type = step.type,
                      .lanes = BlockLanes::wide,
                      .widen_before = false,
                      .narrow_after = false,
                      .is_real = takes_real(step.kind) || gives_real(step.kind),
                      .is_float64 = false,
                      .narrow_a = {},
                      .narrow_b = {},
                      .wide_a = {},
                      .wide_b = {},
                      .real_a = expand<float>(step.real_a, channels_, std::identity()),
                      .real_b = expand<float>(step.real_b, channels_, std::identity())};
    if (!takes_real(step.kind)) is_float64_ = step.kind == StepKind::to_f64;
    planned.is_float64 = is_float64_;
    if (gives_real(step.kind)) {
      planned.lanes = narrow_ ? BlockLanes::narrow : BlockLanes::wide;
    } else if (step.kind == StepKind::round) {
      narrow_ = block_fits_int32(result);
      planned.lanes = narrow_ ? BlockLanes::narrow : BlockLanes::wide;
    } else {
      choose_lanes(step, block_fits_int32(result), planned);
      give_operands(step, planned);
    }
    program_.steps.push_back(std::move(planned));
  }

  BlockProgram finish() {
    program_.narrow_output = narrow_;
    return std::move(program_);
  }

 private:
  void choose_lanes(const BoundStep& step, bool narrow_result, BlockStep& planned) {
    if (narrow_ && narrow_result && computes_in_int32(step)) {
      planned.lanes = BlockLanes::narrow;
    } else if (narrow_ && step.kind == StepKind::mul && all_between(step.a, INT32_MIN, INT32_MAX)) {
      planned.lanes = BlockLanes::widening;
    } else {
      const bool narrowing = step.kind == StepKind::shr || step.kind == StepKind::resize;
      planned.widen_before = narrow_;
      planned.lanes = narrow_result && narrowing ? BlockLanes::narrowing : BlockLanes::wide;
      planned.narrow_after = narrow_result && !narrowing;
    }
    narrow_ = narrow_result;
  }

  void give_operands(const BoundStep& step, BlockStep& planned) const {
    if (planned.lanes == BlockLanes::narrow || planned.lanes == BlockLanes::widening) {
      const auto to_int32 = [](int64_t v) {
        return static_cast<int32_t>(std::clamp<int64_t>(v, INT32_MIN, INT32_MAX));
      };
      planned.narrow_a = expand<int32_t>(step.a, channels_, to_int32);
      planned.narrow_b = expand<int32_t>(step.b, channels_, to_int32);
    } else {
      planned.wide_a = expand<int64_t>(step.a, channels_, std::identity());
      planned.wide_b = expand<int64_t>(step.b, channels_, std::identity());
    }
  }

  int64_t channels_;
  bool narrow_;  ///< the integers so far are int32
  bool is_float64_ = false;
  BlockProgram program_;
};

}  // namespace

bool changes_nothing(const BoundStep& step, const ValueRange& v) {
  if (step.kind == StepKind::shl) return all_between(step.a, 0, 0);
  if (!v.bounded || v.min < INT64_MIN || v.max > INT64_MAX) return false;
  const auto min = static_cast<int64_t>(v.min), max = static_cast<int64_t>(v.max);
  if (step.kind == StepKind::resize) {
    const bool symmetric = step.overflow == Overflow::saturate_symmetric;
    return min >= (symmetric ? std::max(step.type.min(), -step.type.max()) : step.type.min()) &&
           max <= step.type.max();
  }
  return step.kind == StepKind::clamp && all_between(step.a, INT64_MIN, min) &&
         all_between(step.b, max, INT64_MAX);
}

std::optional<BlockProgram> plan_block(const Requantizer& requantizer, const ValueRange& input,
                                       const std::vector<ValueRange>& ranges) {
  const IntType output = requantizer.output_type();
  const ValueRange& result = ranges.empty() ? input : ranges.back();
  if (!block_fits_int64(input) || !std::all_of(ranges.begin(), ranges.end(), block_fits_int64) ||
      result.may_throw || result.min < output.min() || result.max > output.max()) {
    return std::nullopt;
  }
  BlockPlanner planner(requantizer, input);
  for (size_t i = 0; i < ranges.size(); ++i) {
    const BoundStep& step = requantizer.bound_steps()[i];
    if (!changes_nothing(step, i == 0 ? input : ranges[i - 1])) planner.add(step, ranges[i]);
  }
  return planner.finish();
}

}  // namespace facsim::sim
