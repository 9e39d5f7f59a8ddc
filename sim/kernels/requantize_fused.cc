// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/requantize_fused.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstring>

#include "sim/kernels/lanes-inl.h"
#include "sim/kernels/requantize_fused-internal.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

using TagF32 = hn::Repartition<float, TagI32>;

/// Applies `f(accumulators, operand index) -> int32 vector` to every vector of the job's rows and
/// narrows the results to T, saturating. The last vector of a row goes through a buffer.
template <class T, class F>
HWY_INLINE void for_each_vector(const RequantizeJob<int32_t>& job, F&& f) {
  const TagI32 d;
  const hn::Rebind<T, TagI32> narrow_tag;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t row = 0; row < job.rows; ++row) {
    const int32_t* acc = job.acc + row * job.acc_stride;
    T* out = static_cast<T*>(job.out) + row * job.out_stride;
    int64_t c = 0;
    for (; c + lanes <= job.channels; c += lanes) {
      const VecI32 y = f(hn::LoadU(d, acc + c), job.operand + c);
      hn::StoreU(hn::DemoteTo(narrow_tag, y), narrow_tag, out + c);
    }
    const int64_t rest = job.channels - c;
    if (rest == 0) continue;
    HWY_ALIGN int32_t acc_rest[hn::MaxLanes(TagI32())] = {};
    HWY_ALIGN T out_rest[hn::MaxLanes(TagI32())];
    std::copy(acc + c, acc + job.channels, acc_rest);
    const VecI32 y = f(hn::Load(d, acc_rest), job.operand + c);
    hn::StoreU(hn::DemoteTo(narrow_tag, y), narrow_tag, out_rest);
    std::copy(out_rest, out_rest + rest, out + c);
  }
}

/// Calls f with a value of the program's output element type.
template <class F>
HWY_INLINE int64_t with_output(const FusedProgram& program, F&& f) {
  switch (program.output) {
    case DType::int8:
      f(int8_t{});
      break;
    case DType::uint8:
      f(uint8_t{});
      break;
    default:
      f(int16_t{});
      break;
  }
  return HWY_TARGET;
}

/// The common end of the integer forms: add the zero point, clamp.
HWY_INLINE VecI32 to_output(const FusedProgram& program, LanesI32 y, int64_t i) {
  const TagI32 d;
  const VecI32 shifted = hn::Add(to_vector(y), hn::LoadU(d, program.zero_point.data() + i));
  return hn::Min(hn::Max(shifted, hn::LoadU(d, program.clamp_min.data() + i)),
                 hn::LoadU(d, program.clamp_max.data() + i));
}

template <class T, bool kLeftShift, bool kInRange>
void fixed_double_as(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  for_each_vector<T>(job, [&](VecI32 acc, int64_t i) HWY_ATTR {
    LanesI32 x = to_lanes(acc);
    if constexpr (kLeftShift) x = shift_left(x, load(program.left_shift.data() + i));
    const LanesI32 high =
        fixed_point::rounding_doubling_high_mul(x, load(program.multiplier.data() + i));
    const LanesI32 shift = load(program.shift.data() + i);
    if constexpr (kInRange) {
      return to_output(
          program,
          fixed_point::rounding_divide_by_pot_in_range(high, shift, load(program.half.data() + i)),
          i);
    } else {
      return to_output(program, fixed_point::rounding_divide_by_pot(high, shift), i);
    }
  });
}

int64_t fixed_double(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  const bool left_shift = !program.left_shift.empty();
  const bool in_range = !program.half.empty();
  return with_output(program, [&]<class T>(T) HWY_ATTR {
    if (left_shift) {
      in_range ? fixed_double_as<T, true, true>(program, job)
               : fixed_double_as<T, true, false>(program, job);
    } else {
      in_range ? fixed_double_as<T, false, true>(program, job)
               : fixed_double_as<T, false, false>(program, job);
    }
  });
}

int64_t fixed_single(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  return with_output(program, [&]<class T>(T) HWY_ATTR {
    for_each_vector<T>(job, [&](VecI32 acc, int64_t i) HWY_ATTR {
      const LanesI32 y = fixed_point::multiply_by_quantized_multiplier_single(
          to_lanes(acc), load(program.multiplier.data() + i), load(program.shift.data() + i));
      return to_output(program, y, i);
    });
  });
}

template <class T, FusedProgram::FloatShape kShape>
void float_half_even_as(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  using Shape = FusedProgram::FloatShape;
  constexpr bool kBefore = kShape == Shape::bias_scale || kShape == Shape::bias_scale_bias;
  constexpr bool kLast = kShape == Shape::scale_bias_bias;
  constexpr bool kAfter = kShape == Shape::scale_bias || kShape == Shape::bias_scale_bias || kLast;
  for_each_vector<T>(job, [&](VecI32 acc, int64_t i) HWY_ATTR {
    const TagF32 d;
    const auto at = [i, d](const ExpandedOperand<float>& operand)
                        HWY_ATTR { return hn::LoadU(d, operand.data() + i); };
    auto r = hn::ConvertTo(d, acc);
    if constexpr (kBefore) r = hn::Add(r, at(program.bias_before));
    if constexpr (kShape == Shape::divide) {
      r = hn::Div(r, at(program.scale));
    } else {
      r = hn::Mul(r, at(program.scale));
    }
    if constexpr (kAfter) r = hn::Add(r, at(program.bias_after));
    if constexpr (kLast) r = hn::Add(r, at(program.bias_last));
    r = hn::Min(hn::Max(r, at(program.real_min)), at(program.real_max));
    const auto sum = hn::Add(r, hn::Set(d, kRoundingMagic));
    return hn::Add(hn::BitCast(TagI32(), sum),
                   hn::LoadU(TagI32(), program.zero_point_minus_magic.data() + i));
  });
}

int64_t float_half_even(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  using Shape = FusedProgram::FloatShape;
  return with_output(program, [&]<class T>(T) HWY_ATTR {
    switch (program.shape) {
      case Shape::scale:
        return float_half_even_as<T, Shape::scale>(program, job);
      case Shape::bias_scale:
        return float_half_even_as<T, Shape::bias_scale>(program, job);
      case Shape::scale_bias:
        return float_half_even_as<T, Shape::scale_bias>(program, job);
      case Shape::bias_scale_bias:
        return float_half_even_as<T, Shape::bias_scale_bias>(program, job);
      case Shape::scale_bias_bias:
        return float_half_even_as<T, Shape::scale_bias_bias>(program, job);
      case Shape::divide:
        return float_half_even_as<T, Shape::divide>(program, job);
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(fixed_double);
HWY_EXPORT(fixed_single);
HWY_EXPORT(float_half_even);

FusedKernel requantize_fused(FusedProgram::Form form, size_t dispatch_index) {
  switch (form) {
    case FusedProgram::Form::fixed_double:
      return HWY_DISPATCH_TABLE(fixed_double)[dispatch_index];
    case FusedProgram::Form::fixed_single:
      return HWY_DISPATCH_TABLE(fixed_single)[dispatch_index];
    case FusedProgram::Form::float_half_even:
      return HWY_DISPATCH_TABLE(float_half_even)[dispatch_index];
    case FusedProgram::Form::rounding_shift:
      return requantize_rounding_shift(dispatch_index);
  }
  return nullptr;
}
}  // namespace facsim::sim
#endif
