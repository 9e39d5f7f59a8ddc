// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "sim/core/events.h"
#include "sim/kernels/isa.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim {

/// Rows of accumulators and where their codes go:
///   out[r * out_stride + c] = apply(acc[r * acc_stride + c], first_channel + c)
/// for r in [0, rows), c in [0, channels). Strides count elements; out's element type is the
/// storage of the program's output type.
template <class Acc>
struct RequantizeJob {
  const Acc* acc = nullptr;
  int64_t acc_stride = 0;
  int64_t rows = 0;
  int64_t first_channel = 0;
  int64_t channels = 0;
  void* out = nullptr;
  int64_t out_stride = 0;
};

struct FusedProgram;
class PreparedRequantize;

/// A requantization prepared to run over many accumulators at once: the same bits and the same
/// events as Requantizer::apply for each, whichever form was chosen.
///
/// Forms, the first that range analysis proves equal is taken:
///   fixed_double, fixed_single, float_half_even, float_half_away, rounding_shift: fused Highway
///     kernels for the programs of those shapes (sim/requantize/programs.h), whoever wrote them;
///   block: each step over a block of accumulators, in 32-bit lanes where its values are proved to
///     fit them and in 64-bit lanes elsewhere, for any program that needs no more and cannot throw;
///   norm: Requantizer::apply.
/// A value is immutable and cheap to copy (copies share the prepared arguments).
class RequantizeKernel {
 public:
  RequantizeKernel() = default;
  /// `acc_min`..`acc_max`: the range every accumulator is proved to lie in. Error bad_value if the
  /// program starts or ends with a float32, or its output type is not stored in 8, 16, 32 or 64
  /// bits.
  RequantizeKernel(const Requantizer& requantizer, int64_t acc_min, int64_t acc_max);

  /// Runs the job of these members (see RequantizeJob). A program per tensor takes any channel.
  /// Isa::scalar runs the norm; with `count_events` a slower form runs that counts. Error
  /// unsupported for an isa this CPU lacks; bad_value as apply.
  Events run(const int32_t* acc, int64_t acc_stride, int64_t rows, int64_t first_channel,
             int64_t channels, void* out, int64_t out_stride, Isa isa, bool count_events) const;
  Events run(const int64_t* acc, int64_t acc_stride, int64_t rows, int64_t first_channel,
             int64_t channels, void* out, int64_t out_stride, Isa isa, bool count_events) const;

  /// What `isa` and `count_events` choose, found once for many small jobs. It refers to what this
  /// and its copies share. Error unsupported for an isa this CPU lacks.
  PreparedRequantize prepared(Isa isa, bool count_events) const;

  /// The form that runs for int32 accumulators without event counting, by name.
  std::string_view form() const;

 private:
  struct Impl;
  friend class PreparedRequantize;
  std::shared_ptr<const Impl> impl_;
};

/// RequantizeKernel::run for one isa, for callers that requantize tile after tile while it is in
/// the first cache level: a call costs little more than its work. Rows of 16, 32 and 64 channels
/// waste nothing. Valid as long as a copy of the kernel lives.
///
/// The caller guards the floating-point mode: `const FloatMode mode;` around a strip of calls, in a
/// function that is not inlined into others (see FloatMode).
class PreparedRequantize {
 public:
  PreparedRequantize() = default;
  /// Channels of the job must lie inside those of the program, unless it is per tensor. Returns the
  /// events, if they are counted. Error bad_value as apply.
  Events run(const RequantizeJob<int32_t>& job) const {
    if (fused_ == nullptr) return run_unfused(job);
    fused_(*program_, job);
    return {};
  }

  /// The program, where run does nothing but compute a fused form of it.
  const FusedProgram* fused_program() const { return fused_ == nullptr ? nullptr : program_; }

 private:
  friend class RequantizeKernel;
  Events run_unfused(const RequantizeJob<int32_t>& job) const;

  int64_t (*fused_)(const FusedProgram&, const RequantizeJob<int32_t>&) = nullptr;
  const FusedProgram* program_ = nullptr;
  const RequantizeKernel::Impl* impl_ = nullptr;
  size_t dispatch_index_ = 0;
  bool norm_ = true;
  bool count_events_ = false;
};

}  // namespace facsim::sim
