// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/requantize.h"

#include <algorithm>
#include <optional>

#include "sim/core/check.h"
#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/kernels/dispatch-internal.h"
#include "sim/kernels/requantize_fused-internal.h"
#include "sim/kernels/requantize_plan-internal.h"
#include "sim/requantize/range.h"

namespace facsim::sim {
namespace {

template <class T>
void store_as(void* out, int64_t index, int64_t value) {
  static_cast<T*>(out)[index] = static_cast<T>(value);
}

void store(DType type, void* out, int64_t index, int64_t value) {
  switch (type) {
    case DType::int8:
      return store_as<int8_t>(out, index, value);
    case DType::uint8:
      return store_as<uint8_t>(out, index, value);
    case DType::int16:
      return store_as<int16_t>(out, index, value);
    case DType::uint16:
      return store_as<uint16_t>(out, index, value);
    case DType::int32:
      return store_as<int32_t>(out, index, value);
    default:
      return store_as<int64_t>(out, index, value);
  }
}

template <class Acc>
Events run_norm(const Requantizer& requantizer, const RequantizeJob<Acc>& job) {
  Events events;
  const int64_t last_channel = requantizer.channels() - 1;
  for (int64_t row = 0; row < job.rows; ++row) {
    for (int64_t c = 0; c < job.channels; ++c) {
      const int64_t channel = last_channel == 0 ? 0 : job.first_channel + c;
      const int64_t result = requantizer.apply(job.acc[row * job.acc_stride + c], channel, events);
      store(requantizer.output_type().storage(), job.out, row * job.out_stride + c, result);
    }
  }
  return events;
}

/// Four of the widest vectors: as long as a row must be for a kernel to lose nothing.
constexpr int64_t kRowLength = 64;

/// Calls f for jobs that cover `job`. Dense rows that are a whole period of the operands, or that
/// may be cut anywhere because these are per tensor, are regrouped: to `length` if per tensor, to
/// the length of the expanded operands if not.
template <class Acc, class F>
void for_each_job(const RequantizeJob<Acc>& job, int64_t operand_channels, size_t out_size, F&& f) {
  const bool dense = job.acc_stride == job.channels && job.out_stride == job.channels;
  const bool whole = operand_channels == 1 || job.channels == operand_channels;
  const bool good =
      operand_channels > 1 ? job.channels % kRowLength == 0 : job.channels == kRowLength;
  if ((!dense && job.rows > 1) || !whole || good) return f(job);
  const int64_t length =
      operand_channels > 1 ? operand_channels * repetitions(operand_channels) : kRowLength;
  const int64_t elements = job.rows * job.channels;
  RequantizeJob<Acc> part = job;
  part.acc_stride = part.out_stride = length;
  if (elements >= length) {
    part.rows = elements / length;
    part.channels = length;
    f(part);
  }
  part.acc += elements / length * length;
  part.out = static_cast<std::byte*>(part.out) +
             elements / length * length * static_cast<int64_t>(out_size);
  part.rows = 1;
  part.channels = elements % length;
  if (part.channels > 0) f(part);
}

BlockKernel32 block_kernel(const RequantizeJob<int32_t>& /*job*/, size_t dispatch_index) {
  return requantize_block32(dispatch_index);
}
BlockKernel64 block_kernel(const RequantizeJob<int64_t>& /*job*/, size_t dispatch_index) {
  return requantize_block64(dispatch_index);
}

}  // namespace

struct RequantizeKernel::Impl {
  Requantizer requantizer;
  std::optional<FusedProgram> fused;  ///< for int32 accumulators
  std::optional<BlockProgram> block;
  bool has_reals = false;  ///< some step takes a float: what runs it needs FloatMode

  void check_channels(int64_t first, int64_t count) const {
    FACSIM_CHECK(requantizer.channels() == 1 ||
                 (first >= 0 && first + count <= requantizer.channels()));
  }

  template <class Acc>
  Events run(const RequantizeJob<Acc>& job, Isa isa, bool count_events) const {
    if (job.rows <= 0 || job.channels <= 0) return {};
    check_channels(job.first_channel, job.channels);
    isa = resolve_isa(isa);
    if (isa == Isa::scalar || !block) return run_norm(requantizer, job);
    const size_t index = highway_dispatch_index(isa);
    if (!has_reals) return run_fast(job, index, count_events);
    const FloatMode mode;
    return run_fast(job, index, count_events);
  }

  // Not inlined, so that no float operation leaves the FloatMode scope of the caller.
  template <class Acc>
  __attribute__((noinline)) Events run_fast(const RequantizeJob<Acc>& job, size_t dispatch_index,
                                            bool count_events) const {
    const size_t out_size = size_of(requantizer.output_type().storage());
    if constexpr (std::is_same_v<Acc, int32_t>) {
      if (fused && !count_events) {
        const FusedKernel kernel = requantize_fused(*fused, dispatch_index);
        for_each_job(job, requantizer.channels(), out_size,
                     [&](const RequantizeJob<Acc>& part) { kernel(*fused, part); });
        return {};
      }
    }
    Events events;
    const auto kernel = block_kernel(job, dispatch_index);
    for_each_job(job, requantizer.channels(), out_size, [&](const RequantizeJob<Acc>& part) {
      kernel(*block, part, count_events ? &events : nullptr);
    });
    return events;
  }
};

RequantizeKernel::RequantizeKernel(const Requantizer& requantizer, int64_t acc_min,
                                   int64_t acc_max) {
  if (requantizer.program().input_is_real || requantizer.output_is_real()) {
    throw Error(ErrorInfo{ErrorCode::bad_value, "requantize", "a program from or to float32",
                          "a program from integers to integers", ""});
  }
  FACSIM_CHECK(acc_min <= acc_max);
  const ValueRange input = ValueRange::integers(acc_min, acc_max);
  const std::vector<ValueRange> ranges =
      infer_ranges(requantizer.bound_steps(), requantizer.channels(), input);
  const std::vector<BoundStep>& steps = requantizer.bound_steps();
  const bool has_reals = std::any_of(steps.begin(), steps.end(),
                                     [](const BoundStep& step) { return takes_real(step.kind); });
  impl_ = std::make_shared<const Impl>(Impl{requantizer, match_fused(requantizer, input, ranges),
                                            plan_block(requantizer, input, ranges), has_reals});
}

Events RequantizeKernel::run(const int32_t* acc, int64_t acc_stride, int64_t rows,
                             int64_t first_channel, int64_t channels, void* out, int64_t out_stride,
                             Isa isa, bool count_events) const {
  return impl_->run(
      RequantizeJob<int32_t>{acc, acc_stride, rows, first_channel, channels, out, out_stride}, isa,
      count_events);
}

Events RequantizeKernel::run(const int64_t* acc, int64_t acc_stride, int64_t rows,
                             int64_t first_channel, int64_t channels, void* out, int64_t out_stride,
                             Isa isa, bool count_events) const {
  return impl_->run(
      RequantizeJob<int64_t>{acc, acc_stride, rows, first_channel, channels, out, out_stride}, isa,
      count_events);
}

PreparedRequantize RequantizeKernel::prepared(Isa isa, bool count_events) const {
  isa = resolve_isa(isa);
  PreparedRequantize result;
  result.impl_ = impl_.get();
  result.count_events_ = count_events;
  result.norm_ = isa == Isa::scalar || !impl_->block;
  if (result.norm_) return result;
  result.dispatch_index_ = highway_dispatch_index(isa);
  if (impl_->fused && !count_events) {
    result.program_ = &*impl_->fused;
    result.fused_ = requantize_fused(*impl_->fused, result.dispatch_index_);
  }
  return result;
}

Events PreparedRequantize::run_unfused(const RequantizeJob<int32_t>& job) const {
  if (job.rows <= 0 || job.channels <= 0) return {};
  impl_->check_channels(job.first_channel, job.channels);
  return norm_ ? run_norm(impl_->requantizer, job)
               : impl_->run_fast(job, dispatch_index_, count_events_);
}

std::string_view RequantizeKernel::form() const {
  if (impl_ == nullptr) return "none";
  if (!impl_->block) return "norm";
  return impl_->fused ? to_string(impl_->fused->form) : "block";
}

}  // namespace facsim::sim
