// SPDX-License-Identifier: Apache-2.0
// The block interpreter: the primitives of the norm, instantiated with int32_t and int64_t, in
// loops that the compiler vectorizes for each target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/requantize_block.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>

#include "sim/core/numeric.h"
#include "sim/kernels/requantize_plan-internal.h"
#include "sim/overflow/all.h"
#include "sim/requantize/float32.h"
#include "sim/requantize/float64.h"
#include "sim/rounding/all.h"

// Compilers would unroll the loops over channels before they vectorize, and then vectorize over
// rows.
#ifndef FACSIM_LOOP_OVER_CHANNELS
#if defined(__clang__)
#define FACSIM_LOOP_OVER_CHANNELS _Pragma("clang loop unroll(disable)")
#else
#define FACSIM_LOOP_OVER_CHANNELS _Pragma("GCC unroll 1")
#endif
#endif

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Channels of a block: a vector of int32 on the widest target. Their operands stay in registers
/// from row to row.
inline constexpr int64_t kBlockChannels = 16;
inline constexpr int64_t kBlockRows = 32;

// Each step is a function of its own, defined here so that it is compiled for the target. Values
// are [rows, kBlockChannels], operands [kBlockChannels]; I is int32_t or int64_t, Real float or
// double.
template <class T>
using Values = T* HWY_RESTRICT;
template <class T>
using Source = const T* HWY_RESTRICT;

/// A copy of an operand, which no store to the values can change.
template <class T>
struct Operand16 {
  explicit HWY_INLINE Operand16(const T* from) { std::copy_n(from, kBlockChannels, value); }
  HWY_INLINE T operator[](int64_t c) const { return value[c]; }
  T value[kBlockChannels];
};

/// v[row, c] = f(v[row, c], c)
template <class T, class F>
HWY_INLINE void update(Values<T> v, int64_t rows, const F& f) {
  for (int64_t r = 0; r < rows; ++r, v += kBlockChannels) {
    FACSIM_LOOP_OVER_CHANNELS
    for (int64_t c = 0; c < kBlockChannels; ++c) v[c] = f(v[c], c);
  }
}

/// v[row, c] = f(v[row, c], a[c])
template <class T, class A, class F>
HWY_INLINE void update_with(Values<T> v, const A* a, int64_t rows, const F& f) {
  const Operand16<A> operand(a);
  for (int64_t r = 0; r < rows; ++r, v += kBlockChannels) {
    FACSIM_LOOP_OVER_CHANNELS
    for (int64_t c = 0; c < kBlockChannels; ++c) v[c] = f(v[c], operand[c]);
  }
}

/// v[row, c] = f(v[row, c], a[c], b[c])
template <class T, class A, class F>
HWY_INLINE void update_with(Values<T> v, const A* a, const A* b, int64_t rows, const F& f) {
  const Operand16<A> first(a), second(b);
  for (int64_t r = 0; r < rows; ++r, v += kBlockChannels) {
    FACSIM_LOOP_OVER_CHANNELS
    for (int64_t c = 0; c < kBlockChannels; ++c) v[c] = f(v[c], first[c], second[c]);
  }
}

/// to[row, c] = f(from[row, c], c)
template <class From, class To, class F>
HWY_INLINE void convert(Source<From> from, Values<To> to, int64_t rows, const F& f) {
  for (int64_t r = 0; r < rows; ++r, from += kBlockChannels, to += kBlockChannels) {
    FACSIM_LOOP_OVER_CHANNELS
    for (int64_t c = 0; c < kBlockChannels; ++c) to[c] = static_cast<To>(f(from[c], c));
  }
}

template <class From, class To>
void copy_values(Source<From> from, Values<To> to, int64_t rows) {
  convert<From, To>(from, to, rows, [](From v, int64_t) HWY_ATTR { return v; });
}

template <class I>
void shl(Values<I> v, const I* n, int64_t rows) {
  update_with<I>(v, n, rows, [](I x, I by) HWY_ATTR { return shift_left(x, by); });
}

template <class Mode, class I>
void shr(Values<I> v, const I* n, int64_t rows) {
  update_with<I>(v, n, rows, [](I x, I by) HWY_ATTR { return rounding::shift_right<Mode>(x, by); });
}

template <class Mode>
void shr_narrowing(Source<int64_t> v, Values<int32_t> to, const int64_t* n, int64_t rows) {
  const Operand16<int64_t> by(n);
  convert<int64_t, int32_t>(v, to, rows, [&](int64_t x, int64_t c) HWY_ATTR {
    return rounding::shift_right<Mode>(x, by[c]);
  });
}

template <class Mode, class I>
void div(Values<I> v, const I* d, int64_t rows) {
  update_with<I>(v, d, rows, [](I x, I by) HWY_ATTR { return rounding::divide<Mode>(x, by); });
}

template <class I>
void mul(Values<I> v, const I* a, int64_t rows) {
  update_with<I>(v, a, rows, [](I x, I y) HWY_ATTR { return x * y; });
}

void mul_widening(Source<int32_t> v, Values<int64_t> to, const int32_t* a, int64_t rows) {
  const Operand16<int32_t> factor(a);
  convert<int32_t, int64_t>(
      v, to, rows, [&](int32_t x, int64_t c) HWY_ATTR { return widen(x) * widen(factor[c]); });
}

template <class I>
void add(Values<I> v, const I* a, int64_t rows) {
  update_with<I>(v, a, rows, [](I x, I y) HWY_ATTR { return x + y; });
}

template <class I>
void sub(Values<I> v, const I* a, int64_t rows) {
  update_with<I>(v, a, rows, [](I x, I y) HWY_ATTR { return x - y; });
}

template <class I>
void clamp(Values<I> v, const I* low, const I* high, int64_t rows) {
  update_with<I>(v, low, high, rows,
                 [](I x, I min, I max) HWY_ATTR { return smaller_of(larger_of(x, min), max); });
}

/// Adds 1 to changed[c], if it is set, for each value that changes.
template <class Policy, class I>
void resize(Values<I> v, IntType type, int64_t rows, int64_t* HWY_RESTRICT changed) {
  const overflow::Bounds<I> bounds = overflow::bounds_of(type, I{0});
  if (changed == nullptr) {
    return update<I>(v, rows, [&](I x, int64_t) HWY_ATTR { return Policy::bring(x, bounds); });
  }
  update<I>(v, rows, [&](I x, int64_t c) HWY_ATTR {
    const I brought = Policy::bring(x, bounds);
    changed[c] += select<int64_t>(brought != x, 1, 0);
    return brought;
  });
}

template <class Policy>
void resize_narrowing(Source<int64_t> v, Values<int32_t> to, IntType type, int64_t rows,
                      int64_t* HWY_RESTRICT changed) {
  const overflow::Bounds<int64_t> bounds = overflow::bounds_of(type, int64_t{0});
  if (changed == nullptr) {
    return convert<int64_t, int32_t>(
        v, to, rows, [&](int64_t x, int64_t) HWY_ATTR { return Policy::bring(x, bounds); });
  }
  convert<int64_t, int32_t>(v, to, rows, [&](int64_t x, int64_t c) HWY_ATTR {
    const int64_t brought = Policy::bring(x, bounds);
    changed[c] += select<int64_t>(brought != x, 1, 0);
    return brought;
  });
}

template <class Real>
void fadd(Values<Real> r, const float* a, int64_t rows) {
  update_with<Real>(r, a, rows, [](Real x, float y) HWY_ATTR { return x + y; });
}

template <class Real>
void fsub(Values<Real> r, const float* a, int64_t rows) {
  update_with<Real>(r, a, rows, [](Real x, float y) HWY_ATTR { return x - y; });
}

template <class Real>
void fmul(Values<Real> r, const float* a, int64_t rows) {
  update_with<Real>(r, a, rows, [](Real x, float y) HWY_ATTR { return x * y; });
}

template <class Real>
void fused_multiply_add(Values<Real> r, const float* a, const float* b, int64_t rows) {
  update_with<Real>(r, a, b, rows, [](Real x, float factor, float addend) HWY_ATTR {
    return std::fma(x, static_cast<Real>(factor), static_cast<Real>(addend));
  });
}

/// Moves away from zero by a.
template <class Real>
void grow(Values<Real> r, const float* a, int64_t rows) {
  update_with<Real>(r, a, rows, [](Real x, float by) HWY_ATTR {
    return x + std::copysign(static_cast<Real>(by), x);
  });
}

template <class Real>
void fdiv(Values<Real> r, const float* a, int64_t rows) {
  update_with<Real>(r, a, rows, [](Real x, float y) HWY_ATTR { return x / y; });
}

void fclamp(Values<float> r, const float* low, const float* high, int64_t rows) {
  update_with<float>(r, low, high, rows, [](float x, float min, float max) HWY_ATTR {
    return clamp_float32(x, min, max);
  });
}

void fclamp(Values<double> r, const float* low, const float* high, int64_t rows) {
  update_with<double>(r, low, high, rows, [](double x, float min, float max) HWY_ATTR {
    return clamp_float64(x, min, max);
  });
}

template <class Mode, class Real, class I>
void round(Source<Real> r, Values<I> v, int64_t rows) {
  convert<Real, I>(r, v, rows,
                   [](Real x, int64_t) HWY_ATTR { return rounding::to_integer<Mode, I>(x); });
}

/// The running values of kBlockChannels channels; a step reads one array and writes one.
struct Block {
  int64_t rows;
  int64_t channels;  ///< those that count
  alignas(64) int32_t narrow[kBlockRows * kBlockChannels];
  alignas(64) int64_t wide[kBlockRows * kBlockChannels];
  alignas(64) float real[kBlockRows * kBlockChannels];
  alignas(64) double wide_real[kBlockRows * kBlockChannels];
};

template <class T>
const T* operand_at(const ExpandedOperand<T>& operand, int64_t at) {
  return operand.empty() ? nullptr : operand.data() + at;
}

/// A step over reals, whose channel 0 is element `at` of the expanded operands.
template <class Real>
void run_real_step(Block& block, Real* r, const BlockStep& step, int64_t at) {
  const float* a = operand_at(step.real_a, at);
  const float* b = operand_at(step.real_b, at);
  const bool narrow = step.lanes == BlockLanes::narrow;
  const int64_t rows = block.rows;
  switch (step.kind) {
    case StepKind::to_f32:
    case StepKind::to_f64:
      return narrow ? copy_values<int32_t, Real>(block.narrow, r, rows)
                    : copy_values<int64_t, Real>(block.wide, r, rows);
    case StepKind::fadd:
      return fadd<Real>(r, a, rows);
    case StepKind::fsub:
      return fsub<Real>(r, a, rows);
    case StepKind::fmul:
      return b == nullptr ? fmul<Real>(r, a, rows) : fused_multiply_add<Real>(r, a, b, rows);
    case StepKind::fdiv:
      return fdiv<Real>(r, a, rows);
    case StepKind::fclamp:
      return fclamp(r, a, b, rows);
    default:  // round
      if (a != nullptr) grow<Real>(r, a, rows);
      return with_rounding(step.rounding, [&]<class Mode>(Mode) {
        narrow ? round<Mode, Real, int32_t>(r, block.narrow, rows)
               : round<Mode, Real, int64_t>(r, block.wide, rows);
      });
  }
}

/// A step from I to I in place.
template <class I>
void run_integer_step(I* v, const BlockStep& step, const I* a, const I* b, int64_t rows,
                      int64_t* changed) {
  switch (step.kind) {
    case StepKind::shl:
      return shl<I>(v, a, rows);
    case StepKind::shr:
      return with_rounding(step.rounding, [&]<class Mode>(Mode) { shr<Mode, I>(v, a, rows); });
    case StepKind::mul:
      return mul<I>(v, a, rows);
    case StepKind::add:
      return add<I>(v, a, rows);
    case StepKind::sub:
      return sub<I>(v, a, rows);
    case StepKind::div:
      return with_rounding(step.rounding, [&]<class Mode>(Mode) { div<Mode, I>(v, a, rows); });
    case StepKind::resize:
      return with_overflow(step.overflow, [&]<class Policy>(Policy) {
        resize<Policy, I>(v, step.type, rows, changed);
      });
    default:
      return clamp<I>(v, a, b, rows);
  }
}

/// One step over the block, whose channel 0 is element `at` of the expanded operands. `changed`, if
/// set: where a resize counts.
void run_step(Block& block, const BlockStep& step, int64_t at, int64_t* changed) {
  const int64_t rows = block.rows;
  if (step.is_real) {
    return step.is_float64 ? run_real_step(block, block.wide_real, step, at)
                           : run_real_step(block, block.real, step, at);
  }
  const int32_t* narrow_a = operand_at(step.narrow_a, at);
  const int64_t* wide_a = operand_at(step.wide_a, at);
  if (step.widen_before) copy_values<int32_t, int64_t>(block.narrow, block.wide, rows);
  switch (step.lanes) {
    case BlockLanes::narrow:
      run_integer_step<int32_t>(block.narrow, step, narrow_a, operand_at(step.narrow_b, at), rows,
                                changed);
      break;
    case BlockLanes::wide:
      run_integer_step<int64_t>(block.wide, step, wide_a, operand_at(step.wide_b, at), rows,
                                changed);
      break;
    case BlockLanes::widening:
      mul_widening(block.narrow, block.wide, narrow_a, rows);
      break;
    case BlockLanes::narrowing:
      if (step.kind == StepKind::shr) {
        with_rounding(step.rounding, [&]<class Mode>(Mode) {
          shr_narrowing<Mode>(block.wide, block.narrow, wide_a, rows);
        });
      } else {
        with_overflow(step.overflow, [&]<class Policy>(Policy) {
          resize_narrowing<Policy>(block.wide, block.narrow, step.type, rows, changed);
        });
      }
      break;
  }
  if (step.narrow_after) copy_values<int64_t, int32_t>(block.wide, block.narrow, rows);
}

/// Channels that the row does not have repeat its last one.
template <class Acc, class I>
void load_block(const Block& block, const Acc* acc, int64_t acc_stride, I* v) {
  for (int64_t r = 0; r < block.rows; ++r, acc += acc_stride, v += kBlockChannels) {
    if (block.channels == kBlockChannels) {
      FACSIM_LOOP_OVER_CHANNELS
      for (int64_t c = 0; c < kBlockChannels; ++c) v[c] = static_cast<I>(acc[c]);
    } else {
      FACSIM_LOOP_OVER_CHANNELS
      for (int64_t c = 0; c < kBlockChannels; ++c) {
        v[c] = static_cast<I>(acc[std::min(c, block.channels - 1)]);
      }
    }
  }
}

/// to[0..kBlockChannels) = v, whose values T holds.
template <class T, class I>
HWY_INLINE void store_row(Source<I> v, Values<T> to) {
#if HWY_TARGET != HWY_SCALAR
  if constexpr (std::is_same_v<I, int32_t> && sizeof(T) <= 2) {
    const hn::CappedTag<int32_t, kBlockChannels> d;
    const hn::Rebind<T, decltype(d)> narrow;
    for (size_t c = 0; c < kBlockChannels; c += hn::Lanes(d)) {
      hn::StoreU(hn::DemoteTo(narrow, hn::LoadU(d, v + c)), narrow, to + c);
    }
    return;
  }
#endif
  FACSIM_LOOP_OVER_CHANNELS
  for (int64_t c = 0; c < kBlockChannels; ++c) to[c] = static_cast<T>(v[c]);
}

template <class T, class I>
void store_as(const Block& block, Source<I> v, T* out, int64_t out_stride) {
  for (int64_t r = 0; r < block.rows; ++r, v += kBlockChannels, out += out_stride) {
    if (block.channels == kBlockChannels) {
      store_row<T, I>(v, out);
    } else {
      for (int64_t c = 0; c < block.channels; ++c) out[c] = static_cast<T>(v[c]);
    }
  }
}

template <class I>
void store_block(const Block& block, const I* v, DType type, void* out, int64_t at,
                 int64_t out_stride) {
  const auto store = [&]<class T>(T* to) { store_as<T, I>(block, v, to + at, out_stride); };
  switch (type) {
    case DType::int8:
      return store(static_cast<int8_t*>(out));
    case DType::uint8:
      return store(static_cast<uint8_t*>(out));
    case DType::int16:
      return store(static_cast<int16_t*>(out));
    case DType::uint16:
      return store(static_cast<uint16_t*>(out));
    case DType::int32:
      return store(static_cast<int32_t*>(out));
    default:
      return store(static_cast<int64_t*>(out));
  }
}

/// All steps over the block; a resize adds to the events, if these are wanted, what changed in
/// channels that count.
void run_steps(Block& block, const BlockProgram& program, int64_t operand, Events* events) {
  for (const BlockStep& step : program.steps) {
    if (events == nullptr || step.kind != StepKind::resize) {
      run_step(block, step, operand, nullptr);
      continue;
    }
    int64_t changed[kBlockChannels] = {};
    run_step(block, step, operand, changed);
    int64_t& count = step.overflow == Overflow::wrap ? events->wrapped : events->saturated;
    for (int64_t c = 0; c < block.channels; ++c) count += changed[c];
  }
}

template <class Acc>
int64_t run(const BlockProgram& program, const RequantizeJob<Acc>& job, Events* events) {
  Block block;
  for (int64_t row = 0; row < job.rows; row += kBlockRows) {
    block.rows = std::min(kBlockRows, job.rows - row);
    for (int64_t c = 0; c < job.channels; c += kBlockChannels) {
      block.channels = std::min(kBlockChannels, job.channels - c);
      const Acc* acc = job.acc + row * job.acc_stride + c;
      const int64_t out_at = row * job.out_stride + c;
      program.narrow_input ? load_block(block, acc, job.acc_stride, block.narrow)
                           : load_block(block, acc, job.acc_stride, block.wide);
      run_steps(block, program, (job.first_channel + c) & program.operand_mask, events);
      program.narrow_output
          ? store_block(block, block.narrow, program.output, job.out, out_at, job.out_stride)
          : store_block(block, block.wide, program.output, job.out, out_at, job.out_stride);
    }
  }
  return HWY_TARGET;
}

int64_t run_block32(const BlockProgram& program, const RequantizeJob<int32_t>& job,
                    Events* events) {
  return run(program, job, events);
}

int64_t run_block64(const BlockProgram& program, const RequantizeJob<int64_t>& job,
                    Events* events) {
  return run(program, job, events);
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(run_block32);
HWY_EXPORT(run_block64);
BlockKernel32 requantize_block32(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(run_block32)[dispatch_index];
}
BlockKernel64 requantize_block64(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(run_block64)[dispatch_index];
}
}  // namespace facsim::sim
#endif
