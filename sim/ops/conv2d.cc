// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d.h"

#include <algorithm>
#include <mutex>

#include "sim/core/error.h"
#include "sim/ops/conv2d_check.h"
#include "sim/ops/conv2d_norm.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

/// Order `any` promises a result only where order cannot change it.
void check_order(const Accumulator& accumulator, bool exact) {
  if (accumulator.order == Accumulator::Order::sequential || exact ||
      accumulator.overflow == Overflow::wrap) {
    return;
  }
  throw Error({ErrorCode::unsupported, "conv2d accumulator",
               "order any with overflow " + std::string(to_string(accumulator.overflow)) + " in " +
                   std::to_string(accumulator.bits) + " bits, which these weights can leave",
               "order sequential, or overflow wrap", ""});
}

bool is_exact(const Conv2dRange& range, const Accumulator& accumulator) {
  return range.inside(accumulator.min(), accumulator.max());
}

/// Runs the norm row by row: consume(n, oh, acc [OW, OC]) -> Events, in parallel over rows.
template <class Consume>
Events run_norm(const Conv2dNorm& norm, const Conv2dShape& s, const Tensor& input,
                const RunContext& context, const Consume& consume) {
  Events total;
  std::mutex mutex;
  parallel_for(context.pool, s.n * s.oh, [&](int64_t i) {
    Events events;
    std::vector<int64_t> acc(static_cast<size_t>(s.ow * s.oc));
    if (context.count_events) {
      norm.row<true>(s, input, i / s.oh, i % s.oh, acc, events);
    } else {
      norm.row<false>(s, input, i / s.oh, i % s.oh, acc, events);
    }
    events += consume(i, acc);
    const std::lock_guard lock(mutex);
    total += events;
  });
  return total;
}

Events norm_to_codes(const Conv2dNorm& norm, const Conv2dShape& s, const Requantizer& requantize,
                     const Tensor& input, Tensor& output, const RunContext& context) {
  return run_norm(norm, s, input, context, [&](int64_t row, const std::vector<int64_t>& acc) {
    Events events;
    detail::with_integer(output.dtype(), [&]<class Code>() {
      Code* out = output.data<Code>() + row * s.ow * s.oc;
      for (size_t i = 0; i < acc.size(); ++i) {
        const int64_t channel = static_cast<int64_t>(i) % s.oc;
        out[i] = static_cast<Code>(requantize.apply(acc[i], channel, events));
      }
    });
    return events;
  });
}

Events norm_to_accumulators(const Conv2dNorm& norm, const Conv2dShape& s, const Tensor& input,
                            Tensor& accumulators, const RunContext& context) {
  return run_norm(norm, s, input, context, [&](int64_t row, const std::vector<int64_t>& acc) {
    detail::with_integer(accumulators.dtype(), [&]<class Out>() {
      std::transform(acc.begin(), acc.end(), accumulators.data<Out>() + row * s.ow * s.oc,
                     [](int64_t v) { return static_cast<Out>(v); });
    });
    return Events{};
  });
}

}  // namespace

struct Conv2d::Prepared {
  explicit Prepared(const Conv2dParams& params) : norm(params), range(params) {}
  Conv2dNorm norm;
  Conv2dRange range;
};

Conv2d::Conv2d(Conv2dParams params) : params_(std::move(params)) {
  check_conv2d_params(params_, RequantizeUse::used);
  prepared_ = std::make_unique<const Prepared>(params_);
  check_order(params_.accumulator, accumulator_is_exact());
}

Conv2d::~Conv2d() = default;

Shape Conv2d::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count("conv2d", inputs.size(), 1);
  return Conv2dShape::of(params_, inputs[0]).output();
}

DType Conv2d::output_dtype() const { return params_.requantize.output_type().storage(); }

Events Conv2d::run(std::span<const Tensor* const> inputs, Tensor& output,
                   const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes("conv2d", "input", input, params_.input_type);
  const Conv2dShape shape = Conv2dShape::of(params_, input.shape());
  return norm_to_codes(prepared_->norm, shape, params_.requantize, input, output, context);
}

Explanation Conv2d::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  detail::check_input_count("conv2d", inputs.size(), 1);
  const Tensor& input = *inputs[0];
  detail::check_codes("conv2d", "input", input, params_.input_type);
  const Conv2dShape shape = Conv2dShape::of(params_, input.shape());
  detail::check_flat_index("conv2d", flat_index, shape.output().numel());
  Explanation explanation;
  Events events;
  const int64_t acc = prepared_->norm.at(shape, input, flat_index);
  explanation.accumulator = acc;
  explanation.steps = params_.requantize.trace(acc, flat_index % shape.oc);
  explanation.result = params_.requantize.apply(acc, flat_index % shape.oc, events);
  return explanation;
}

int64_t Conv2d::macs(std::span<const Shape> inputs) const {
  detail::check_input_count("conv2d", inputs.size(), 1);
  const Conv2dShape s = Conv2dShape::of(params_, inputs[0]);
  return s.oh * s.ow * s.oc * s.taps();
}

int64_t Conv2d::accumulator_bound(int64_t oc) const {
  const Conv2dRange::Bounds& bounds = prepared_->range.channel(oc);
  return static_cast<int64_t>(
      std::min<int128>(std::max(-bounds.partial_min, bounds.partial_max), INT64_MAX));
}

bool Conv2d::accumulator_is_exact() const {
  return is_exact(prepared_->range, params_.accumulator);
}

DType accumulator_dtype(const Accumulator& accumulator) {
  return accumulator.bits <= 32 ? DType::int32 : DType::int64;
}

Events conv2d_accumulate(const Conv2dParams& params, const Tensor& input, Tensor& accumulators,
                         const RunContext& context) {
  check_conv2d_params(params, RequantizeUse::unused);
  detail::check_codes("conv2d", "input", input, params.input_type);
  const Conv2dShape shape = Conv2dShape::of(params, input.shape());
  FACSIM_CHECK(accumulators.shape() == shape.output());
  FACSIM_CHECK(accumulators.dtype() == accumulator_dtype(params.accumulator));
  check_order(params.accumulator, is_exact(Conv2dRange(params), params.accumulator));
  return norm_to_accumulators(Conv2dNorm(params), shape, input, accumulators, context);
}

namespace {

AccumulatorStatistics empty_statistics(int64_t channels) {
  const size_t n = static_cast<size_t>(channels);
  return {std::vector<int64_t>(n), std::vector<int128>(n), std::vector<int64_t>(n, INT64_MAX),
          std::vector<int64_t>(n, INT64_MIN)};
}

}  // namespace

Events conv2d_accumulate(const Conv2dParams& params, const Tensor& input, Tensor& accumulators,
                         AccumulatorStatistics& statistics, const RunContext& context) {
  const Events events = conv2d_accumulate(params, input, accumulators, context);
  const int64_t channels = params.weights.shape()[0];
  statistics = empty_statistics(channels);
  for (int64_t i = 0; i < accumulators.numel(); ++i) {
    const int64_t acc = accumulators.int_at(i);
    const size_t c = static_cast<size_t>(i % channels);
    statistics.sum[c] += acc;
    statistics.sum_of_squares[c] += static_cast<int128>(acc) * acc;
    statistics.min[c] = std::min(statistics.min[c], acc);
    statistics.max[c] = std::max(statistics.max[c], acc);
  }
  return events;
}

}  // namespace facsim::sim
