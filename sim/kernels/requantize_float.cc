// SPDX-License-Identifier: Apache-2.0
// The fused forms with a float32 scale. Callers give them IEEE 754's default mode (FloatMode).
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/requantize_float.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/requantize_fused-internal.h"
#include "sim/kernels/requantize_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

using TagF32 = hn::Repartition<float, TagI32>;
using VecF32 = hn::Vec<TagF32>;

/// Rounds half_even; |v| <= 2^30. Highway's NearestInt also gives numbers past the ends of int32 a
/// meaning, which costs more than the conversion.
HWY_INLINE VecI32 round_half_even(VecF32 v) {
#if HWY_TARGET == HWY_AVX3
  return VecI32{_mm512_cvtps_epi32(v.raw)};
#elif HWY_TARGET == HWY_AVX2
  return VecI32{_mm256_cvtps_epi32(v.raw)};
#elif HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  return VecI32{_mm_cvtps_epi32(v.raw)};
#else
  return hn::NearestInt(v);
#endif
}

/// acc * scale, the clamp left to the end.
struct ScaleStage {
  struct Operands {
    VecF32 scale;
  };
  explicit ScaleStage(const FusedProgram& program) : scale(program.scale.data()) {}

  HWY_INLINE Operands load(int64_t i) const { return {hn::LoadU(TagF32(), scale + i)}; }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    return round_half_even(hn::Mul(hn::ConvertTo(TagF32(), acc), o.scale));
  }

  const float* scale;
};

/// acc * scale + bias, the clamp left to the end.
struct ScaleBiasStage {
  struct Operands {
    VecF32 scale, bias;
  };
  explicit ScaleBiasStage(const FusedProgram& program)
      : scale(program.scale.data()), bias(program.bias_after.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    const TagF32 d;
    return {hn::LoadU(d, scale + i), hn::LoadU(d, bias + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    return round_half_even(hn::Add(hn::Mul(hn::ConvertTo(TagF32(), acc), o.scale), o.bias));
  }

  const float* scale;
  const float* bias;
};

/// (acc + bias) * scale, the clamp left to the end.
struct BiasScaleStage {
  struct Operands {
    VecF32 bias, scale;
  };
  explicit BiasScaleStage(const FusedProgram& program)
      : bias(program.bias_before.data()), scale(program.scale.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    const TagF32 d;
    return {hn::LoadU(d, bias + i), hn::LoadU(d, scale + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    return round_half_even(hn::Mul(hn::Add(hn::ConvertTo(TagF32(), acc), o.bias), o.scale));
  }

  const float* bias;
  const float* scale;
};

/// min(max((acc + bias_before) * scale + bias_after + bias_last, low), high), or a division instead
/// of the product. A bias the program does not have is -0: adding it changes nothing.
template <bool kDivide>
struct ClampedStage {
  struct Operands {
    VecF32 bias_before, scale, bias_after, bias_last, low, high;
  };
  explicit ClampedStage(const FusedProgram& program)
      : bias_before(program.bias_before.data()),
        scale(program.scale.data()),
        bias_after(program.bias_after.data()),
        bias_last(program.bias_last.data()),
        low(program.real_min.data()),
        high(program.real_max.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    const TagF32 d;
    return {hn::LoadU(d, bias_before + i), hn::LoadU(d, scale + i), hn::LoadU(d, bias_after + i),
            hn::LoadU(d, bias_last + i),   hn::LoadU(d, low + i),   hn::LoadU(d, high + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    const VecF32 x = hn::Add(hn::ConvertTo(TagF32(), acc), o.bias_before);
    const VecF32 scaled = kDivide ? hn::Div(x, o.scale) : hn::Mul(x, o.scale);
    const VecF32 r = hn::Add(hn::Add(scaled, o.bias_after), o.bias_last);
    return round_half_even(hn::Min(hn::Max(r, o.low), o.high));
  }

  const float* bias_before;
  const float* scale;
  const float* bias_after;
  const float* bias_last;
  const float* low;
  const float* high;
};

FusedKernel float_half_even(const FusedProgram& program) {
  switch (program.shape) {
    case FusedProgram::FloatShape::scale:
      return kernel_of<ScaleStage>(program);
    case FusedProgram::FloatShape::scale_bias:
      return kernel_of<ScaleBiasStage>(program);
    case FusedProgram::FloatShape::bias_scale:
      return kernel_of<BiasScaleStage>(program);
    case FusedProgram::FloatShape::clamped_scale:
      return kernel_of<ClampedStage<false>>(program);
    case FusedProgram::FloatShape::clamped_divide:
      return kernel_of<ClampedStage<true>>(program);
  }
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(float_half_even);

FusedKernel requantize_float_half_even(const FusedProgram& program, size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(float_half_even)[dispatch_index](program);
}
}  // namespace facsim::sim
#endif
