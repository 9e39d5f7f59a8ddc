// SPDX-License-Identifier: Apache-2.0
// The fused forms with a float32 scale. Callers give them IEEE 754's default mode (FloatMode).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/requantize_float.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/requantize_float-inl.h"
#include "sim/kernels/requantize_fused-internal.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

template <class Mode>
FusedKernel float_kernel(const FusedProgram& program) {
  switch (program.shape) {
    case FusedProgram::FloatShape::scale:
      return kernel_of<ScaleStage<Mode>>(program);
    case FusedProgram::FloatShape::scale_bias:
      return kernel_of<ScaleBiasStage<Mode>>(program);
    case FusedProgram::FloatShape::bias_scale:
      return kernel_of<BiasScaleStage<Mode>>(program);
    case FusedProgram::FloatShape::bias_scale_bias:
      return kernel_of<BiasScaleBiasStage<Mode>>(program);
    case FusedProgram::FloatShape::bias_scale_biases:
      return kernel_of<BiasScaleBiasesStage<Mode>>(program);
    case FusedProgram::FloatShape::scale_clamp_scale:
      return kernel_of<TwoScalesStage<Mode, false>>(program);
    case FusedProgram::FloatShape::scale_clamp_divide:
      return kernel_of<TwoScalesStage<Mode, true>>(program);
  }
  return nullptr;
}

FusedKernel float_scale(const FusedProgram& program) {
  return program.form == FusedProgram::Form::float_half_even ? float_kernel<HalfEven>(program)
                                                             : float_kernel<HalfAway>(program);
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(float_scale);

FusedKernel requantize_float(const FusedProgram& program, size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(float_scale)[dispatch_index](program);
}
}  // namespace facsim::sim
#endif
