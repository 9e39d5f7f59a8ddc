// SPDX-License-Identifier: Apache-2.0
// The rounding shift of power-of-two platforms. What no shorter form covers are the norm's
// primitives instantiated with int32_t, in a loop that the compiler vectorizes for each target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/requantize_shift.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/core/numeric.h"
#include "sim/kernels/requantize_fused-internal.h"
#include "sim/kernels/requantize_shift-inl.h"
#include "sim/rounding/all.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

/// Values that only want the end.
struct ShiftedStage {
  struct Operands {};
  explicit ShiftedStage(const FusedProgram& /*program*/) {}
  static HWY_INLINE Operands load(int64_t /*i*/) { return {}; }
  static HWY_INLINE VecI32 apply(VecI32 y, const Operands& /*o*/) { return y; }
};

template <class Mode>
void shift_row(const int32_t* HWY_RESTRICT acc, const int32_t* HWY_RESTRICT left,
               const int32_t* HWY_RESTRICT right, int32_t* HWY_RESTRICT out, int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    out[i] = rounding::shift_right<Mode>(sim::shift_left(acc[i], left[i]), right[i]);
  }
}

/// A part of the job at a time, through a buffer in the first cache level.
template <class Mode>
int64_t shift_rows(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  const FusedKernel end = kernel_of<ShiftedStage>(program);
  constexpr int64_t kRows = 16, kColumns = 64;
  HWY_ALIGN int32_t shifted[kRows * kColumns];
  const auto out_size = static_cast<int64_t>(size_of(program.output));
  for (int64_t row = 0; row < job.rows; row += kRows) {
    const int64_t rows = std::min(kRows, job.rows - row);
    for (int64_t c = 0; c < job.channels; c += kColumns) {
      const int64_t channels = std::min(kColumns, job.channels - c);
      const int64_t first = job.first_channel + c;
      const int64_t operand = first & program.operand_mask;
      for (int64_t r = 0; r < rows; ++r) {
        shift_row<Mode>(job.acc + (row + r) * job.acc_stride + c,
                        program.left_shift.data() + operand, program.shift.data() + operand,
                        shifted + r * kColumns, channels);
      }
      std::byte* out = static_cast<std::byte*>(job.out) + (row * job.out_stride + c) * out_size;
      end(program, {shifted, kColumns, rows, first, channels, out, job.out_stride});
    }
  }
  return HWY_TARGET;
}

template <bool kEven>
FusedKernel nudged_shift(const FusedProgram& program) {
  return program.shifts_left ? kernel_of<NudgedStage<kEven, true>>(program)
                             : kernel_of<NudgedStage<kEven, false>>(program);
}

FusedKernel rounding_shift(const FusedProgram& program) {
  if (program.nudged) {
    return program.rounding == Rounding::half_even ? nudged_shift<true>(program)
                                                   : nudged_shift<false>(program);
  }
  return with_rounding(program.rounding,
                       []<class Mode>(Mode) -> FusedKernel { return shift_rows<Mode>; });
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(rounding_shift);
FusedKernel requantize_rounding_shift(const FusedProgram& program, size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(rounding_shift)[dispatch_index](program);
}
}  // namespace facsim::sim
#endif
