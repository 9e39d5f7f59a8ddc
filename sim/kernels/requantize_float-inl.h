// SPDX-License-Identifier: Apache-2.0
// The stages (requantize_tile-inl.h) with a float32 scale. Callers give them FloatMode.
#if defined(FACSIM_SIM_KERNELS_REQUANTIZE_FLOAT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FACSIM_SIM_KERNELS_REQUANTIZE_FLOAT_INL_H_
#undef FACSIM_SIM_KERNELS_REQUANTIZE_FLOAT_INL_H_
#else
#define FACSIM_SIM_KERNELS_REQUANTIZE_FLOAT_INL_H_
#endif

#include "sim/kernels/requantize_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

using TagF32 = hn::Repartition<float, TagI32>;
using VecF32 = hn::Vec<TagF32>;

/// Rounding of |v| <= 2^30. Highway's conversions also give numbers past the ends of int32 a
/// meaning, which costs more than the conversion.
struct HalfEven {
  static HWY_INLINE VecI32 round(VecF32 v) {
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
};

/// trunc(v + copysign(h, v)), h the largest float32 below 1/2. A tie k + 1/2 is 2^-25 from k + 1
/// then and rounds there; nothing below a tie does: its distance from it is at least that of
/// neighbours at the sum, which the sum keeps. From 2^23 on v is an integer, and h less than half
/// of what separates it from others.
struct HalfAway {
  static HWY_INLINE VecI32 round(VecF32 v) {
    const TagF32 d;
    const VecF32 moved = hn::Add(v, hn::CopySign(hn::Set(d, 0x1.fffffep-2F), v));
#if HWY_TARGET == HWY_AVX3
    return VecI32{_mm512_cvttps_epi32(moved.raw)};
#elif HWY_TARGET == HWY_AVX2
    return VecI32{_mm256_cvttps_epi32(moved.raw)};
#elif HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
    return VecI32{_mm_cvttps_epi32(moved.raw)};
#else
    return hn::ConvertTo(TagI32(), moved);
#endif
  }
};

HWY_INLINE VecF32 load_reals(const float* from) { return hn::LoadU(TagF32(), from); }

/// acc * scale
template <class Mode>
struct ScaleStage {
  struct Operands {
    VecF32 scale;
  };
  explicit ScaleStage(const FusedProgram& program) : scale(program.scale.data()) {}

  HWY_INLINE Operands load(int64_t i) const { return {load_reals(scale + i)}; }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    return Mode::round(hn::Mul(hn::ConvertTo(TagF32(), acc), o.scale));
  }

  const float* scale;
};

/// acc * scale + bias
template <class Mode>
struct ScaleBiasStage {
  struct Operands {
    VecF32 scale, bias;
  };
  explicit ScaleBiasStage(const FusedProgram& program)
      : scale(program.scale.data()), bias(program.bias_after.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_reals(scale + i), load_reals(bias + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    return Mode::round(hn::Add(hn::Mul(hn::ConvertTo(TagF32(), acc), o.scale), o.bias));
  }

  const float* scale;
  const float* bias;
};

/// (acc + bias) * scale
template <class Mode>
struct BiasScaleStage {
  struct Operands {
    VecF32 bias, scale;
  };
  explicit BiasScaleStage(const FusedProgram& program)
      : bias(program.bias_before.data()), scale(program.scale.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_reals(bias + i), load_reals(scale + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    return Mode::round(hn::Mul(hn::Add(hn::ConvertTo(TagF32(), acc), o.bias), o.scale));
  }

  const float* bias;
  const float* scale;
};

/// (acc + bias_before) * scale + bias_after
template <class Mode>
struct BiasScaleBiasStage {
  struct Operands {
    VecF32 bias_before, scale, bias_after;
  };
  explicit BiasScaleBiasStage(const FusedProgram& program)
      : bias_before(program.bias_before.data()),
        scale(program.scale.data()),
        bias_after(program.bias_after.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_reals(bias_before + i), load_reals(scale + i), load_reals(bias_after + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    const VecF32 x = hn::Add(hn::ConvertTo(TagF32(), acc), o.bias_before);
    return Mode::round(hn::Add(hn::Mul(x, o.scale), o.bias_after));
  }

  const float* bias_before;
  const float* scale;
  const float* bias_after;
};

/// (acc + bias_before) * scale + bias_after + bias_end
template <class Mode>
struct BiasScaleBiasesStage {
  struct Operands {
    VecF32 bias_before, scale, bias_after, bias_end;
  };
  explicit BiasScaleBiasesStage(const FusedProgram& program)
      : bias_before(program.bias_before.data()),
        scale(program.scale.data()),
        bias_after(program.bias_after.data()),
        bias_end(program.bias_end.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_reals(bias_before + i), load_reals(scale + i), load_reals(bias_after + i),
            load_reals(bias_end + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    const VecF32 x = hn::Add(hn::ConvertTo(TagF32(), acc), o.bias_before);
    return Mode::round(hn::Add(hn::Add(hn::Mul(x, o.scale), o.bias_after), o.bias_end));
  }

  const float* bias_before;
  const float* scale;
  const float* bias_after;
  const float* bias_end;
};

/// Two scales, the second a multiplication or a division, and all that can stand around them:
///   r = min(max((acc + bias_before) * scale + bias_after, middle_min), middle_max)
///   min(max(r * second_scale + bias_last + bias_end, low), high)
template <class Mode, bool kDivide>
struct TwoScalesStage {
  struct Operands {
    VecF32 bias_before, scale, bias_after, middle_min, middle_max, second_scale, bias_last,
        bias_end, low, high;
  };
  explicit TwoScalesStage(const FusedProgram& program)
      : bias_before(program.bias_before.data()),
        scale(program.scale.data()),
        bias_after(program.bias_after.data()),
        middle_min(program.middle_min.data()),
        middle_max(program.middle_max.data()),
        second_scale(program.second_scale.data()),
        bias_last(program.bias_last.data()),
        bias_end(program.bias_end.data()),
        low(program.real_min.data()),
        high(program.real_max.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    return {load_reals(bias_before + i), load_reals(scale + i),      load_reals(bias_after + i),
            load_reals(middle_min + i),  load_reals(middle_max + i), load_reals(second_scale + i),
            load_reals(bias_last + i),   load_reals(bias_end + i),   load_reals(low + i),
            load_reals(high + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 acc, const Operands& o) {
    const VecF32 x = hn::Add(hn::ConvertTo(TagF32(), acc), o.bias_before);
    const VecF32 y = hn::Add(hn::Mul(x, o.scale), o.bias_after);
    const VecF32 r = hn::Min(hn::Max(y, o.middle_min), o.middle_max);
    const VecF32 s = kDivide ? hn::Div(r, o.second_scale) : hn::Mul(r, o.second_scale);
    const VecF32 t = hn::Add(hn::Add(s, o.bias_last), o.bias_end);
    return Mode::round(hn::Min(hn::Max(t, o.low), o.high));
  }

  const float* bias_before;
  const float* scale;
  const float* bias_after;
  const float* middle_min;
  const float* middle_max;
  const float* second_scale;
  const float* bias_last;
  const float* bias_end;
  const float* low;
  const float* high;
};

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();
#endif  // include guard
