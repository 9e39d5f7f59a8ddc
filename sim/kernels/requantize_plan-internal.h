// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <vector>

#include "sim/core/events.h"
#include "sim/core/types.h"
#include "sim/kernels/requantize.h"
#include "sim/requantize/bound_step.h"
#include "sim/requantize/range.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim {

/// Elements a per-tensor operand is expanded to, and how far short per-channel ones are repeated.
inline constexpr int64_t kExpandedElements = 256;
/// Readable elements behind an expanded operand, which go on repeating it: kernels load whole
/// vectors.
inline constexpr int64_t kOperandPadding = 64;

/// How often the operands of so many channels are repeated, so that short rows can be joined to
/// rows of useful length.
constexpr int64_t repetitions(int64_t channels) {
  return channels >= kExpandedElements ? 1 : kExpandedElements / channels;
}

/// Whole cache lines: vectors loaded from it do not straddle two.
template <class T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <class U>
  explicit LineAllocator(const LineAllocator<U>& /*other*/) {}
  T* allocate(size_t count) {
    return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{64}));
  }
  void deallocate(T* data, size_t /*count*/) { ::operator delete (data, std::align_val_t{64}); }
  friend bool operator==(const LineAllocator&, const LineAllocator&) = default;
};

/// Values of one operand per element of a row. Empty where the program has no such operand.
template <class T>
using ExpandedOperand = std::vector<T, LineAllocator<T>>;

template <class To, class T, class Convert>
ExpandedOperand<To> expand(const PerChannel<T>& operand, int64_t channels, Convert&& convert) {
  if (operand.values().empty()) return {};
  const int64_t elements = channels * repetitions(channels) + kOperandPadding;
  ExpandedOperand<To> expanded(static_cast<size_t>(elements));
  for (int64_t i = 0; i < elements; ++i) {
    expanded[static_cast<size_t>(i)] = convert(operand[i % channels]);
  }
  return expanded;
}

/// True if the step is proved to change no value of the range.
bool changes_nothing(const BoundStep& step, const ValueRange& range);

/// The integers that a step of the block interpreter takes and gives: int32 where every value it
/// can meet is proved to fit, int64 elsewhere.
enum class BlockLanes {
  narrow,
  wide,
  widening,   ///< narrow to wide: mul
  narrowing,  ///< wide to narrow: shr and resize
};

/// A step of the block interpreter.
struct BlockStep {
  StepKind kind;
  Rounding rounding;
  Overflow overflow;
  IntType type;
  BlockLanes lanes;
  bool widen_before;  ///< the integers of the step before are narrow, the lanes wide
  bool narrow_after;  ///< the lanes are wide, the integers for the step after narrow
  bool is_real;       ///< it takes or gives reals
  bool is_float64;    ///< those that to_f64 made
  ExpandedOperand<int32_t> narrow_a, narrow_b;  ///< of narrow and widening steps
  ExpandedOperand<int64_t> wide_a, wide_b;
  ExpandedOperand<float> real_a, real_b;
};

/// A program every integer of which is proved to fit int64 and that cannot throw. Steps that are
/// proved to change nothing are left out.
struct BlockProgram {
  std::vector<BlockStep> steps;
  DType output = DType::int8;
  int64_t operand_mask = -1;  ///< 0 per tensor: every block's operands are those at element 0
  bool narrow_input = true;
  bool narrow_output = true;
};

/// The program, if the ranges of the accumulators and of every step prove that int64 suffices,
/// nothing throws and the results have the output type.
std::optional<BlockProgram> plan_block(const Requantizer& requantizer, const ValueRange& input,
                                       const std::vector<ValueRange>& ranges);

/// Runs the job and adds its events if `events` is set. Returns the Highway target that ran. Needs
/// FloatMode around it.
using BlockKernel32 = int64_t (*)(const BlockProgram&, const RequantizeJob<int32_t>&, Events*);
using BlockKernel64 = int64_t (*)(const BlockProgram&, const RequantizeJob<int64_t>&, Events*);
BlockKernel32 requantize_block32(size_t dispatch_index);
BlockKernel64 requantize_block64(size_t dispatch_index);

}  // namespace facsim::sim
