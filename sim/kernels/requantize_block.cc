// SPDX-License-Identifier: Apache-2.0
// The block interpreter: the primitives of the norm, instantiated with int64_t, in loops that the
// compiler vectorizes for each target.
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

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

// Each step is a function of its own, defined here so that it is compiled for the target; v is the
// block.
using Integers = int64_t* HWY_RESTRICT;
template <class Real>  // float, or double after to_f64
using Reals = Real* HWY_RESTRICT;
using IntegerOperand = const int64_t* HWY_RESTRICT;
using RealOperand = const float* HWY_RESTRICT;

void shl(Integers v, IntegerOperand n, int64_t size) {
  for (int64_t i = 0; i < size; ++i) v[i] = shift_left(v[i], n[i]);
}

template <class Mode>
void shr(Integers v, IntegerOperand n, int64_t size) {
  for (int64_t i = 0; i < size; ++i) v[i] = rounding::shift_right<Mode>(v[i], n[i]);
}

template <class Mode>
void div(Integers v, IntegerOperand d, int64_t size) {
  for (int64_t i = 0; i < size; ++i) v[i] = rounding::divide<Mode>(v[i], d[i]);
}

void mul(Integers v, IntegerOperand a, int64_t size) {
  for (int64_t i = 0; i < size; ++i) v[i] = v[i] * a[i];
}

void add(Integers v, IntegerOperand a, int64_t size) {
  for (int64_t i = 0; i < size; ++i) v[i] = v[i] + a[i];
}

void sub(Integers v, IntegerOperand a, int64_t size) {
  for (int64_t i = 0; i < size; ++i) v[i] = v[i] - a[i];
}

void clamp(Integers v, IntegerOperand low, IntegerOperand high, int64_t size) {
  for (int64_t i = 0; i < size; ++i) v[i] = smaller_of(larger_of(v[i], low[i]), high[i]);
}

/// Returns how many values changed.
template <class Policy>
int64_t resize(Integers v, IntType type, int64_t size) {
  const overflow::Bounds<int64_t> bounds = overflow::bounds_of(type, int64_t{0});
  int64_t changed = 0;
  for (int64_t i = 0; i < size; ++i) {
    const int64_t brought = Policy::bring(v[i], bounds);
    changed += select<int64_t>(brought != v[i], 1, 0);
    v[i] = brought;
  }
  return changed;
}

template <class Real>
void to_real(const int64_t* HWY_RESTRICT v, Reals<Real> r, int64_t size) {
  for (int64_t i = 0; i < size; ++i) r[i] = static_cast<Real>(v[i]);
}

template <class Real>
void fadd(Reals<Real> r, RealOperand a, int64_t size) {
  for (int64_t i = 0; i < size; ++i) r[i] = r[i] + a[i];
}

template <class Real>
void fsub(Reals<Real> r, RealOperand a, int64_t size) {
  for (int64_t i = 0; i < size; ++i) r[i] = r[i] - a[i];
}

template <class Real>
void fmul(Reals<Real> r, RealOperand a, int64_t size) {
  for (int64_t i = 0; i < size; ++i) r[i] = r[i] * a[i];
}

template <class Real>
void fused_multiply_add(Reals<Real> r, RealOperand a, RealOperand b, int64_t size) {
  for (int64_t i = 0; i < size; ++i) {
    r[i] = std::fma(r[i], static_cast<Real>(a[i]), static_cast<Real>(b[i]));
  }
}

/// Moves away from zero by a.
template <class Real>
void grow(Reals<Real> r, RealOperand a, int64_t size) {
  for (int64_t i = 0; i < size; ++i) r[i] = r[i] + std::copysign(static_cast<Real>(a[i]), r[i]);
}

template <class Real>
void fdiv(Reals<Real> r, RealOperand a, int64_t size) {
  for (int64_t i = 0; i < size; ++i) r[i] = r[i] / a[i];
}

void fclamp(Reals<float> r, RealOperand low, RealOperand high, int64_t size) {
  for (int64_t i = 0; i < size; ++i) r[i] = clamp_float32(r[i], low[i], high[i]);
}

void fclamp(Reals<double> r, RealOperand low, RealOperand high, int64_t size) {
  for (int64_t i = 0; i < size; ++i) r[i] = clamp_float64(r[i], low[i], high[i]);
}

/// I: an integer type that holds every result.
template <class Mode, class I, class Real>
void round(const Real* HWY_RESTRICT r, Integers v, int64_t size) {
  for (int64_t i = 0; i < size; ++i) v[i] = rounding::to_integer<Mode, I>(r[i]);
}

/// The running values of up to kRequantizeBlock accumulators; a step reads one array and writes
/// one.
struct Block {
  int64_t size;
  alignas(64) int64_t integer[kRequantizeBlock];
  alignas(64) float real[kRequantizeBlock];
  alignas(64) double wide[kRequantizeBlock];
};

template <class T>
const T* operand_at(const ExpandedOperand<T>& operand, int64_t at) {
  return operand.empty() ? nullptr : operand.data() + at;
}

/// A step over reals, whose element 0 is element `at` of the expanded operands.
template <class Real>
void run_real_step(Block& block, Real* r, const BlockStep& step, int64_t at) {
  const float* a = operand_at(step.real_a, at);
  const float* b = operand_at(step.real_b, at);
  int64_t* v = block.integer;
  const int64_t size = block.size;
  switch (step.kind) {
    case StepKind::to_f32:
    case StepKind::to_f64:
      return to_real<Real>(v, r, size);
    case StepKind::fadd:
      return fadd<Real>(r, a, size);
    case StepKind::fsub:
      return fsub<Real>(r, a, size);
    case StepKind::fmul:
      return b == nullptr ? fmul<Real>(r, a, size) : fused_multiply_add<Real>(r, a, b, size);
    case StepKind::fdiv:
      return fdiv<Real>(r, a, size);
    case StepKind::fclamp:
      return fclamp(r, a, b, size);
    default:  // round
      if (a != nullptr) grow<Real>(r, a, size);
      return with_rounding(step.rounding, [&]<class Mode>(Mode) {
        step.fits_int32 ? round<Mode, int32_t, Real>(r, v, size)
                        : round<Mode, int64_t, Real>(r, v, size);
      });
  }
}

/// One step over the block, whose first element is element `at` of the expanded operands.
void run_step(Block& block, const BlockStep& step, int64_t at, Events* events) {
  const int64_t* a = operand_at(step.a, at);
  const int64_t* b = operand_at(step.b, at);
  int64_t* v = block.integer;
  const int64_t size = block.size;
  switch (step.kind) {
    case StepKind::shl:
      return shl(v, a, size);
    case StepKind::shr:
      return with_rounding(step.rounding, [&]<class Mode>(Mode) { shr<Mode>(v, a, size); });
    case StepKind::mul:
      return mul(v, a, size);
    case StepKind::add:
      return add(v, a, size);
    case StepKind::sub:
      return sub(v, a, size);
    case StepKind::div:
      return with_rounding(step.rounding, [&]<class Mode>(Mode) { div<Mode>(v, a, size); });
    case StepKind::resize: {
      const int64_t changed = with_overflow(
          step.overflow, [&]<class Policy>(Policy) { return resize<Policy>(v, step.type, size); });
      if (events == nullptr) return;
      (step.overflow == Overflow::wrap ? events->wrapped : events->saturated) += changed;
      return;
    }
    case StepKind::clamp:
      return clamp(v, a, b, size);
    default:
      return step.is_float64 ? run_real_step(block, block.wide, step, at)
                             : run_real_step(block, block.real, step, at);
  }
}

template <class T>
void store_as(const int64_t* HWY_RESTRICT v, void* out, int64_t at, int64_t size) {
  T* HWY_RESTRICT to = static_cast<T*>(out) + at;
  for (int64_t i = 0; i < size; ++i) to[i] = static_cast<T>(v[i]);
}

void store(const Block& block, DType type, void* out, int64_t at) {
  switch (type) {
    case DType::int8:
      return store_as<int8_t>(block.integer, out, at, block.size);
    case DType::uint8:
      return store_as<uint8_t>(block.integer, out, at, block.size);
    case DType::int16:
      return store_as<int16_t>(block.integer, out, at, block.size);
    case DType::uint16:
      return store_as<uint16_t>(block.integer, out, at, block.size);
    case DType::int32:
      return store_as<int32_t>(block.integer, out, at, block.size);
    default:
      return store_as<int64_t>(block.integer, out, at, block.size);
  }
}

template <class Acc>
int64_t run(const BlockProgram& program, const RequantizeJob<Acc>& job, Events* events) {
  Block block;
  for (int64_t row = 0; row < job.rows; ++row) {
    for (int64_t c = 0; c < job.channels; c += kRequantizeBlock) {
      block.size = std::min(kRequantizeBlock, job.channels - c);
      const Acc* acc = job.acc + row * job.acc_stride + c;
      std::copy(acc, acc + block.size, block.integer);
      const int64_t operand = (job.first_channel + c) & program.operand_mask;
      for (const BlockStep& step : program.steps) run_step(block, step, operand, events);
      store(block, program.output, job.out, row * job.out_stride + c);
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
