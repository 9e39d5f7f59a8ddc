// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mutex>

#include "sim/kernels/accumulator_statistics-internal.h"
#include "sim/kernels/conv2d_kernel-internal.h"
#include "sim/ops/conv2d.h"
#include "sim/ops/conv2d_check-internal.h"
#include "sim/ops/conv2d_norm-internal.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

/// Statistics that several threads add to: integer sums, so the order of blocks does not matter.
class SharedStatistics {
 public:
  /// Null: nothing is wanted.
  explicit SharedStatistics(AccumulatorStatistics* statistics) : statistics_(statistics) {}

  bool wanted() const { return statistics_ != nullptr; }
  void add(const AccumulatorStatistics& part, int64_t first_channel) {
    const std::lock_guard lock(mutex_);
    merge_statistics(part, first_channel, *statistics_);
  }

 private:
  AccumulatorStatistics* statistics_;
  std::mutex mutex_;
};

Events accumulate_all(const Conv2dParams& params, const Tensor& input, Tensor& accumulators,
                      SharedStatistics& statistics, const RunContext& context) {
  check_conv2d_params(params, RequantizeUse::unused);
  detail::check_codes("conv2d", "input", input, params.input_type);
  const Conv2dShape shape = Conv2dShape::of(params, input.shape());
  FACSIM_CHECK(accumulators.shape() == shape.output());
  FACSIM_CHECK(accumulators.dtype() == accumulator_dtype(params.accumulator));
  const Conv2dRange range(params);
  range.check_order(params.accumulator);
  const Isa isa = resolve_isa(context.isa);
  const EventCounting counting = context.count_events ? EventCounting::on : EventCounting::off;
  return detail::with_integer(accumulators.dtype(), [&]<class Out>() {
    Out* const destination = static_cast<Out*>(accumulators.raw());
    if (const auto kind = choose_conv2d_kernel(params, range, isa, counting)) {
      static thread_local Conv2dWeights kept;  // a training step finds its memory again
      Borrowed<Conv2dWeights> packed(kept);
      pack_conv2d_weights(params, range, *kind, *packed);
      const int64_t magnitude = range.magnitude();
      int32_t* in_place = nullptr;
      if constexpr (sizeof(Out) == 4) in_place = reinterpret_cast<int32_t*>(destination);
      const auto run = run_conv2d_kernel(
          params, *packed, shape, input, isa, counting, context.pool,
          {[&](const AccumulatorBlock& block) {
             if (statistics.wanted()) {
               statistics.add(block_statistics(block.acc, block.stride, block.pixels,
                                               block.channels, magnitude, isa),
                              block.first_channel);
             }
             Out* out = destination + block.first_pixel * shape.oc + block.first_channel;
             if (static_cast<const void*>(out) != block.acc) {
               for (int64_t p = 0; p < block.pixels; ++p) {
                 std::copy_n(block.acc + p * block.stride, block.channels, out + p * shape.oc);
               }
             }
             return Events{};
           },
           in_place});
      if (run) return run->events;
    }
    const Conv2dNorm norm(params);
    return run_conv2d_norm(
        norm, shape, input, context, [&](int64_t row, std::span<const int64_t> acc) {
          if (statistics.wanted()) {
            statistics.add(row_statistics(acc, shape.oc), 0);
          }
          std::transform(acc.begin(), acc.end(), destination + row * shape.ow * shape.oc,
                         [](int64_t v) { return static_cast<Out>(v); });
          return Events{};
        });
  });
}

}  // namespace

DType accumulator_dtype(const Accumulator& accumulator) {
  return accumulator.bits <= 32 ? DType::int32 : DType::int64;
}

Events conv2d_accumulate(const Conv2dParams& params, const Tensor& input, Tensor& accumulators,
                         const RunContext& context) {
  SharedStatistics none(nullptr);
  return accumulate_all(params, input, accumulators, none, context);
}

Events conv2d_accumulate(const Conv2dParams& params, const Tensor& input, Tensor& accumulators,
                         AccumulatorStatistics& statistics, const RunContext& context) {
  AccumulatorStatistics result;
  if (params.weights.shape().rank() == 4) result = empty_statistics(params.weights.shape()[0]);
  SharedStatistics shared(&result);
  const Events events = accumulate_all(params, input, accumulators, shared, context);
  statistics = std::move(result);
  return events;
}

}  // namespace facsim::sim
