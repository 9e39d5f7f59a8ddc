// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "sim/core/events.h"
#include "sim/kernels/isa.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim {

/// A requantization prepared to run over many accumulators at once: the same bits and the same
/// events as Requantizer::apply for each, whichever form was chosen.
///
/// Forms, the first that range analysis proves equal is taken:
///   fixed_double, fixed_single, float_half_even, rounding_shift: fused Highway kernels for the
///   programs
///     of those shapes (sim/requantize/programs.h), whoever wrote them;
///   block: each step over a block of accumulators in 64-bit lanes, for any program whose values
///   are
///     proved to fit them and that cannot throw;
///   norm: Requantizer::apply.
/// A value is immutable and cheap to copy (copies share the prepared arguments).
class RequantizeKernel {
 public:
  RequantizeKernel() = default;
  /// `acc_min`..`acc_max`: the range every accumulator is proved to lie in. Error bad_value if the
  /// program starts or ends with a float32, or its output type is not stored in 8, 16, 32 or 64
  /// bits.
  RequantizeKernel(const Requantizer& requantizer, int64_t acc_min, int64_t acc_max);

  /// out[r * out_stride + c] = apply(acc[r * acc_stride + c], first_channel + c) for r in [0,
  /// rows), c in [0, channels). Strides count elements; out's element type is
  /// output_type().storage(). A program per tensor takes any channel. Isa::scalar runs the norm;
  /// with `count_events` a slower form runs that counts. Error unsupported for an isa this CPU
  /// lacks; bad_value as apply.
  Events run(const int32_t* acc, int64_t acc_stride, int64_t rows, int64_t first_channel,
             int64_t channels, void* out, int64_t out_stride, Isa isa, bool count_events) const;
  Events run(const int64_t* acc, int64_t acc_stride, int64_t rows, int64_t first_channel,
             int64_t channels, void* out, int64_t out_stride, Isa isa, bool count_events) const;

  /// The form that runs for int32 accumulators without event counting, by name.
  std::string_view form() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

}  // namespace facsim::sim
