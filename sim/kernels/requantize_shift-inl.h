// SPDX-License-Identifier: Apache-2.0
// The stage of the rounding shift, for those who want it in registers.
#if defined(FACSIM_SIM_KERNELS_REQUANTIZE_SHIFT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FACSIM_SIM_KERNELS_REQUANTIZE_SHIFT_INL_H_
#undef FACSIM_SIM_KERNELS_REQUANTIZE_SHIFT_INL_H_
#else
#define FACSIM_SIM_KERNELS_REQUANTIZE_SHIFT_INL_H_
#endif

#include "sim/kernels/requantize_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

/// A rounding shift by half_up, floor or half_even (kEven) where FusedProgram::nudged holds.
template <bool kEven, bool kShiftLeft>
struct NudgedStage {
  struct Operands {
    LanesI32 left_shift, shift, nudge, odd_mask;
  };
  explicit NudgedStage(const FusedProgram& program)
      : left_shift(program.left_shift.data()),
        shift(program.shift.data()),
        nudge(program.nudge_low.data()),
        odd_mask(program.odd_mask.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_lanes(left_shift + i), load_lanes(shift + i), load_lanes(nudge + i),
            load_lanes(odd_mask + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    LanesI32 x = to_lanes(acc);
    if constexpr (kShiftLeft) x = shift_left(x, o.left_shift);
    return to_vector(kEven ? fixed_point::shift_half_even(x, o.shift, o.nudge, o.odd_mask)
                           : fixed_point::shift_nudged(x, o.shift, o.nudge));
  }

  const int32_t* left_shift;
  const int32_t* shift;
  const int32_t* nudge;
  const int32_t* odd_mask;
};

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();
#endif  // include guard
