// SPDX-License-Identifier: Apache-2.0
// The stages (requantize_tile-inl.h) with an integer multiplier.
#if defined(FACSIM_SIM_KERNELS_REQUANTIZE_FIXED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FACSIM_SIM_KERNELS_REQUANTIZE_FIXED_INL_H_
#undef FACSIM_SIM_KERNELS_REQUANTIZE_FIXED_INL_H_
#else
#define FACSIM_SIM_KERNELS_REQUANTIZE_FIXED_INL_H_
#endif

#include "sim/kernels/requantize_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

/// Double rounding for all operands.
struct DoubleStage {
  struct Operands {
    LanesI32 left_shift, multiplier, shift;
  };
  explicit DoubleStage(const FusedProgram& program)
      : left_shift(program.left_shift.data()),
        multiplier(program.multiplier.data()),
        shift(program.shift.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_lanes(left_shift + i), load_lanes(multiplier + i), load_lanes(shift + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    const LanesI32 x = shift_left(to_lanes(acc), o.left_shift);
    return to_vector(fixed_point::rounding_divide_by_pot(
        fixed_point::rounding_doubling_high_mul(x, o.multiplier), o.shift));
  }

  const int32_t* left_shift;
  const int32_t* multiplier;
  const int32_t* shift;
};

/// Double rounding where FusedProgram::high_half holds. Without kShiftLeft only the doubling of the
/// product is shifted by.
template <bool kShiftLeft>
struct HighDoubleStage {
  struct Operands {
    LanesI32 left_shift, shift;
    LanesFactor multiplier;
    LanesI64 nudge;
  };
  explicit HighDoubleStage(const FusedProgram& program)
      : left_shift(program.left_shift.data()),
        multiplier(program.multiplier.data()),
        shift(program.shift.data()),
        nudge_high(program.nudge_high.data()),
        nudge_low(program.nudge_low.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_lanes(left_shift + i), load_lanes(shift + i), factor(load_lanes(multiplier + i)),
            join_halves(load_lanes(nudge_high + i), load_lanes(nudge_low + i))};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    const LanesI32 x = to_lanes(acc);
    const LanesI32 twice = kShiftLeft ? shift_left(x, o.left_shift) : x + x;
    return to_vector(fixed_point::divide_doubling_high_product(widen(twice) * o.multiplier, o.nudge,
                                                               x, o.shift));
  }

  const int32_t* left_shift;
  const int32_t* multiplier;
  const int32_t* shift;
  const int32_t* nudge_high;
  const int32_t* nudge_low;
};

/// Single rounding for all operands.
struct SingleStage {
  struct Operands {
    LanesI32 multiplier, shift;
  };
  explicit SingleStage(const FusedProgram& program)
      : multiplier(program.multiplier.data()), shift(program.shift.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_lanes(multiplier + i), load_lanes(shift + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    return to_vector(
        fixed_point::multiply_by_quantized_multiplier_single(to_lanes(acc), o.multiplier, o.shift));
  }

  const int32_t* multiplier;
  const int32_t* shift;
};

/// Single rounding where FusedProgram::high_half holds.
struct HighSingleStage {
  struct Operands {
    LanesFactor multiplier;
    LanesI32 shift;
    LanesI64 nudge;
  };
  explicit HighSingleStage(const FusedProgram& program)
      : multiplier(program.multiplier.data()),
        shift(program.shift.data()),
        nudge_high(program.nudge_high.data()),
        nudge_low(program.nudge_low.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {factor(load_lanes(multiplier + i)), load_lanes(shift + i),
            join_halves(load_lanes(nudge_high + i), load_lanes(nudge_low + i))};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    return to_vector(
        fixed_point::shift_high_product(widen(to_lanes(acc)) * o.multiplier, o.nudge, o.shift));
  }

  const int32_t* multiplier;
  const int32_t* shift;
  const int32_t* nudge_high;
  const int32_t* nudge_low;
};

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();
#endif  // include guard
