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
  const int64_t channels = job.channels;
  const int64_t operand = job.first_channel;
  for (int64_t row = 0; row < job.rows; ++row) {
    const int32_t* HWY_RESTRICT acc = job.acc + row * job.acc_stride;
    T* HWY_RESTRICT out = static_cast<T*>(job.out) + row * job.out_stride;
    int64_t c = 0;
    for (; c + lanes <= channels; c += lanes) {
      const VecI32 y = f(hn::LoadU(d, acc + c), operand + c);
      hn::StoreU(hn::DemoteTo(narrow_tag, y), narrow_tag, out + c);
    }
    const int64_t rest = channels - c;
    if (rest <= 0) continue;
    HWY_ALIGN int32_t acc_rest[hn::MaxLanes(TagI32())] = {};
    HWY_ALIGN T out_rest[hn::MaxLanes(TagI32())];
    std::copy(acc + c, acc + channels, acc_rest);
    const VecI32 y = f(hn::Load(d, acc_rest), operand + c);
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

/// The common end of the integer forms: add the zero point, clamp. Operands are held as pointers of
/// their own: read through the program, they would be reloaded after every store of an int8.
struct OutputOperands {
  explicit OutputOperands(const FusedProgram& program)
      : zero_point(program.zero_point.data()),
        clamp_min(program.clamp_min.data()),
        clamp_max(program.clamp_max.data()) {}

  HWY_INLINE VecI32 apply(LanesI32 y, int64_t i) const {
    const TagI32 d;
    const VecI32 shifted = hn::Add(to_vector(y), hn::LoadU(d, zero_point + i));
    return hn::Min(hn::Max(shifted, hn::LoadU(d, clamp_min + i)), hn::LoadU(d, clamp_max + i));
  }

  const int32_t* zero_point;
  const int32_t* clamp_min;
  const int32_t* clamp_max;
};

template <class T, bool kLeftShift, bool kInRange>
void fixed_double_as(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  const int32_t* left_shift = program.left_shift.data();
  const int32_t* multiplier = program.multiplier.data();
  const int32_t* shift = program.shift.data();
  const int32_t* half = program.half.data();
  const OutputOperands output(program);
  for_each_vector<T>(job, [=](VecI32 acc, int64_t i) HWY_ATTR {
    LanesI32 x = to_lanes(acc);
    if constexpr (kLeftShift) x = shift_left(x, load(left_shift + i));
    const LanesI32 high = fixed_point::rounding_doubling_high_mul(x, load(multiplier + i));
    const LanesI32 n = load(shift + i);
    if constexpr (kInRange) {
      return output.apply(fixed_point::rounding_divide_by_pot_in_range(high, n, load(half + i)), i);
    } else {
      return output.apply(fixed_point::rounding_divide_by_pot(high, n), i);
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

template <class T>
void fixed_single_as(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  const int32_t* multiplier = program.multiplier.data();
  const int32_t* shift = program.shift.data();
  const OutputOperands output(program);
  for_each_vector<T>(job, [=](VecI32 acc, int64_t i) HWY_ATTR {
    return output.apply(fixed_point::multiply_by_quantized_multiplier_single(
                            to_lanes(acc), load(multiplier + i), load(shift + i)),
                        i);
  });
}

int64_t fixed_single(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  return with_output(program, [&]<class T>(T) HWY_ATTR { fixed_single_as<T>(program, job); });
}

template <class T, FusedProgram::FloatShape kShape>
void float_half_even_as(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  using Shape = FusedProgram::FloatShape;
  constexpr bool kBefore = kShape == Shape::bias_scale || kShape == Shape::bias_scale_bias;
  constexpr bool kLast = kShape == Shape::scale_bias_bias;
  constexpr bool kAfter = kShape == Shape::scale_bias || kShape == Shape::bias_scale_bias || kLast;
  const float* bias_before = program.bias_before.data();
  const float* scale = program.scale.data();
  const float* bias_after = program.bias_after.data();
  const float* bias_last = program.bias_last.data();
  const float* low = program.real_min.data();
  const float* high = program.real_max.data();
  const int32_t* zero_point_minus_magic = program.zero_point_minus_magic.data();
  for_each_vector<T>(job, [=](VecI32 acc, int64_t i) HWY_ATTR {
    const TagF32 d;
    auto r = hn::ConvertTo(d, acc);
    if constexpr (kBefore) r = hn::Add(r, hn::LoadU(d, bias_before + i));
    if constexpr (kShape == Shape::divide) {
      r = hn::Div(r, hn::LoadU(d, scale + i));
    } else {
      r = hn::Mul(r, hn::LoadU(d, scale + i));
    }
    if constexpr (kAfter) r = hn::Add(r, hn::LoadU(d, bias_after + i));
    if constexpr (kLast) r = hn::Add(r, hn::LoadU(d, bias_last + i));
    r = hn::Min(hn::Max(r, hn::LoadU(d, low + i)), hn::LoadU(d, high + i));
    const auto sum = hn::Add(r, hn::Set(d, kRoundingMagic));
    return hn::Add(hn::BitCast(TagI32(), sum), hn::LoadU(TagI32(), zero_point_minus_magic + i));
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
