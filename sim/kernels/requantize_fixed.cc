// SPDX-License-Identifier: Apache-2.0
// The fused forms with an integer multiplier.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/requantize_fixed.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/requantize_fixed-inl.h"
#include "sim/kernels/requantize_fused-internal.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

FusedKernel fixed_double(const FusedProgram& program) {
  if (!program.high_half) return kernel_of<DoubleStage>(program);
  return program.shifts_left ? kernel_of<HighDoubleStage<true>>(program)
                             : kernel_of<HighDoubleStage<false>>(program);
}

FusedKernel fixed_single(const FusedProgram& program) {
  return program.high_half ? kernel_of<HighSingleStage>(program) : kernel_of<SingleStage>(program);
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(fixed_double);
HWY_EXPORT(fixed_single);

FusedKernel requantize_fixed_double(const FusedProgram& program, size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(fixed_double)[dispatch_index](program);
}
FusedKernel requantize_fixed_single(const FusedProgram& program, size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(fixed_single)[dispatch_index](program);
}
}  // namespace facsim::sim
#endif
