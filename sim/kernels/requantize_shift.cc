// SPDX-License-Identifier: Apache-2.0
// The rounding shift of power-of-two platforms: the norm's primitives instantiated with int32_t, in
// a loop that the compiler vectorizes for each target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/requantize_shift.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/core/numeric.h"
#include "sim/kernels/requantize_fused-internal.h"
#include "sim/rounding/all.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

template <class T>
using Restrict = T* HWY_RESTRICT;

template <class Mode, class T>
void shift_row(Restrict<const int32_t> acc, Restrict<const int32_t> left,
               Restrict<const int32_t> right, Restrict<const int32_t> zero_point,
               Restrict<const int32_t> low, Restrict<const int32_t> high, Restrict<T> out,
               int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    const int32_t y = rounding::shift_right<Mode>(shift_left(acc[i], left[i]), right[i]);
    out[i] = static_cast<T>(smaller_of(larger_of(y + zero_point[i], low[i]), high[i]));
  }
}

template <class Mode, class T>
void shift_as(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  for (int64_t row = 0; row < job.rows; ++row) {
    shift_row<Mode, T>(
        job.acc + row * job.acc_stride, program.left_shift.data() + job.first_channel,
        program.shift.data() + job.first_channel, program.zero_point.data() + job.first_channel,
        program.clamp_min.data() + job.first_channel, program.clamp_max.data() + job.first_channel,
        static_cast<T*>(job.out) + row * job.out_stride, job.channels);
  }
}

int64_t rounding_shift(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  with_rounding(program.rounding, [&]<class Mode>(Mode) HWY_ATTR {
    switch (program.output) {
      case DType::int8:
        return shift_as<Mode, int8_t>(program, job);
      case DType::uint8:
        return shift_as<Mode, uint8_t>(program, job);
      default:
        return shift_as<Mode, int16_t>(program, job);
    }
  });
  return HWY_TARGET;
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(rounding_shift);
FusedKernel requantize_rounding_shift(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(rounding_shift)[dispatch_index];
}
}  // namespace facsim::sim
#endif
