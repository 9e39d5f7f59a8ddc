// SPDX-License-Identifier: Apache-2.0
// The block interpreter: the primitives of the norm, instantiated with int64_t, in loops that the
// compiler vectorizes for each target.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/requantize_block.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "sim/core/numeric.h"
#include "sim/kernels/requantize_plan-internal.h"
#include "sim/overflow/all.h"
#include "sim/rounding/all.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

/// The running values of up to kRequantizeBlock accumulators; a step reads one and writes one.
struct Block {
  int64_t size = 0;
  alignas(64) int64_t integer[kRequantizeBlock];
  alignas(64) float real[kRequantizeBlock];
};

template <class F>
HWY_INLINE void for_each_integer(Block& block, F&& f) {
  for (int64_t i = 0; i < block.size; ++i) block.integer[i] = f(block.integer[i], i);
}

template <class F>
HWY_INLINE void for_each_real(Block& block, F&& f) {
  for (int64_t i = 0; i < block.size; ++i) block.real[i] = f(block.real[i], i);
}

void resize(Block& block, const BlockStep& step, Events* events) {
  const auto bounds = overflow::bounds_of(step.type, int64_t{0});
  int64_t changed = 0;
  with_overflow(step.overflow, [&]<class Policy>(Policy) HWY_ATTR {
    for_each_integer(block, [&](int64_t v, int64_t) HWY_ATTR {
      const int64_t brought = Policy::bring(v, bounds);
      changed += brought != v ? 1 : 0;
      return brought;
    });
  });
  if (events != nullptr) {
    (step.overflow == Overflow::wrap ? events->wrapped : events->saturated) += changed;
  }
}

template <class T>
const T* operand_at(const ExpandedOperand<T>& operand, int64_t at) {
  return operand.empty() ? nullptr : operand.data() + at;
}

/// One step over the block. `at` is the block's first element in the expanded operands.
void run_step(Block& block, const BlockStep& step, int64_t at, Events* events) {
  const int64_t* a = operand_at(step.a, at);
  const int64_t* b = operand_at(step.b, at);
  const float* real_a = operand_at(step.real_a, at);
  const float* real_b = operand_at(step.real_b, at);
  switch (step.kind) {
    case StepKind::shl:
      return for_each_integer(block,
                              [&](int64_t v, int64_t i) HWY_ATTR { return shift_left(v, a[i]); });
    case StepKind::shr:
      return with_rounding(step.rounding, [&]<class Mode>(Mode) HWY_ATTR {
        for_each_integer(block, [&](int64_t v, int64_t i)
                                    HWY_ATTR { return rounding::shift_right<Mode>(v, a[i]); });
      });
    case StepKind::mul:
      return for_each_integer(block, [&](int64_t v, int64_t i) HWY_ATTR { return v * a[i]; });
    case StepKind::add:
      return for_each_integer(block, [&](int64_t v, int64_t i) HWY_ATTR { return v + a[i]; });
    case StepKind::sub:
      return for_each_integer(block, [&](int64_t v, int64_t i) HWY_ATTR { return v - a[i]; });
    case StepKind::div:
      return with_rounding(step.rounding, [&]<class Mode>(Mode) HWY_ATTR {
        for_each_integer(
            block, [&](int64_t v, int64_t i) HWY_ATTR { return rounding::divide<Mode>(v, a[i]); });
      });
    case StepKind::resize:
      return resize(block, step, events);
    case StepKind::clamp:
      return for_each_integer(block, [&](int64_t v, int64_t i)
                                         HWY_ATTR { return smaller_of(larger_of(v, a[i]), b[i]); });
    case StepKind::to_f32:
      for (int64_t i = 0; i < block.size; ++i) {
        block.real[i] = static_cast<float>(block.integer[i]);
      }
      return;
    case StepKind::fadd:
      return for_each_real(block, [&](float v, int64_t i) HWY_ATTR { return v + real_a[i]; });
    case StepKind::fsub:
      return for_each_real(block, [&](float v, int64_t i) HWY_ATTR { return v - real_a[i]; });
    case StepKind::fmul:
      return for_each_real(block, [&](float v, int64_t i) HWY_ATTR { return v * real_a[i]; });
    case StepKind::fdiv:
      return for_each_real(block, [&](float v, int64_t i) HWY_ATTR { return v / real_a[i]; });
    case StepKind::fclamp:
      return for_each_real(block, [&](float v, int64_t i) HWY_ATTR {
        const float raised = v > real_a[i] ? v : real_a[i];
        return raised < real_b[i] ? raised : real_b[i];
      });
    case StepKind::round:
      return with_rounding(step.rounding, [&]<class Mode>(Mode) HWY_ATTR {
        for (int64_t i = 0; i < block.size; ++i) {
          block.integer[i] = rounding::to_integer<Mode>(block.real[i]);
        }
      });
  }
}

template <class T>
HWY_INLINE void store_as(const Block& block, void* out, int64_t at) {
  T* to = static_cast<T*>(out) + at;
  for (int64_t i = 0; i < block.size; ++i) to[i] = static_cast<T>(block.integer[i]);
}

void store(const Block& block, DType type, void* out, int64_t at) {
  switch (type) {
    case DType::int8:
      return store_as<int8_t>(block, out, at);
    case DType::uint8:
      return store_as<uint8_t>(block, out, at);
    case DType::int16:
      return store_as<int16_t>(block, out, at);
    case DType::uint16:
      return store_as<uint16_t>(block, out, at);
    case DType::int32:
      return store_as<int32_t>(block, out, at);
    default:
      return store_as<int64_t>(block, out, at);
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
      for (const BlockStep& step : program.steps) run_step(block, step, job.operand + c, events);
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
