// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "sim/kernels/conv2d_kernel-internal.h"
#include "sim/kernels/depthwise_rows-internal.h"
#include "sim/kernels/requantize.h"
#include "sim/ops/conv2d_check-internal.h"
#include "sim/ops/conv2d_norm-internal.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/conv2d_segments-internal.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/packed_on_demand-internal.h"

namespace facsim::sim {
namespace {

/// For the range of accumulators that range analysis proves, or else the accumulator's width.
RequantizeKernel requantize_kernel(const Conv2dParams& params, const Conv2dRange& range) {
  if (!range.exact(params.accumulator)) {
    const IntType type = params.accumulator.type();
    return {params.requantize, type.min(), type.max()};
  }
  return {params.requantize, static_cast<int64_t>(range.all().total_min),
          static_cast<int64_t>(range.all().total_max)};
}

}  // namespace

struct Conv2d::Prepared {
  explicit Prepared(const Conv2dParams& params)
      : range(params), norm(params), requantize(requantize_kernel(params, range)) {
    range.check_order(params.accumulator);
  }

  Conv2dRange range;
  Conv2dNorm norm;
  RequantizeKernel requantize;
  PackedOnDemand packed;
  /// Made when a run first asks. `fused` is of this requantization.
  const DepthwiseRows* depthwise_rows(const Conv2dParams& params, const FusedProgram& fused) const {
    std::call_once(rows_once, [&] { rows_made = DepthwiseRows::make(params, range, fused); });
    return rows_made.get();
  }
  /// Made when a run first finds no kernel for the whole.
  const Conv2dSegments* segments(const Conv2dParams& params) const {
    std::call_once(segments_once, [&] { segments_made = Conv2dSegments::make(params, range); });
    return segments_made.get();
  }

 private:
  mutable std::once_flag rows_once;
  mutable std::unique_ptr<const DepthwiseRows> rows_made;
  mutable std::once_flag segments_once;
  mutable std::unique_ptr<const Conv2dSegments> segments_made;
};

Conv2d::Conv2d(Conv2dParams params) : params_(std::move(params)) {
  check_conv2d_params(params_, RequantizeUse::used);
  prepared_ = std::make_unique<const Prepared>(params_);
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
  const Isa isa = resolve_isa(context.isa);
  const auto requantize = [&](const auto* acc, int64_t stride, int64_t first_pixel, int64_t pixels,
                              int64_t first_channel, int64_t channels) {
    std::byte* out =
        static_cast<std::byte*>(output.raw()) +
        (first_pixel * shape.oc + first_channel) * static_cast<int64_t>(size_of(output.dtype()));
    return prepared_->requantize.run(acc, stride, pixels, first_channel, channels, out, shape.oc,
                                     isa, context.count_events);
  };
  const EventCounting counting = context.count_events ? EventCounting::on : EventCounting::off;
  const PreparedRequantize prepared = prepared_->requantize.prepared(isa, context.count_events);
  const auto kind = choose_conv2d_kernel(params_, prepared_->range, isa, counting);
  if (kind == Conv2dKernelKind::depthwise_quads && prepared.fused_program() != nullptr) {
    if (const auto* rows = prepared_->depthwise_rows(params_, *prepared.fused_program())) {
      rows->run(shape, input, output.raw(), context.pool);
      return {};
    }
  }
  if (kind) {
    const Conv2dWeights& weights = prepared_->packed.get(params_, prepared_->range, *kind);
    const CodeOutput codes{prepared, static_cast<std::byte*>(output.raw()), shape.oc,
                           static_cast<int64_t>(size_of(output.dtype()))};
    const auto run = run_conv2d_kernel(params_, weights, shape, input, isa, counting, context.pool,
                                       {{}, nullptr, codes});
    if (run) return run->events;
  } else if (isa != Isa::scalar && prepared_->segments(params_) != nullptr) {
    const std::optional<Events> events = prepared_->segments(params_)->run(
        input, shape.output(), isa, context.pool,
        [&](const int64_t* acc, int64_t first_pixel, int64_t pixels) {
          return requantize(acc, shape.oc, first_pixel, pixels, 0, shape.oc);
        });
    if (events) return *events;
  }
  return run_conv2d_norm(
      prepared_->norm, shape, input, context, [&](int64_t row, std::span<const int64_t> acc) {
        return requantize(acc.data(), shape.oc, row * shape.ow, shape.ow, 0, shape.oc);
      });
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

int64_t Conv2d::accumulator_bound(int64_t oc) const { return prepared_->range.magnitude(oc); }

bool Conv2d::accumulator_is_exact() const { return prepared_->range.exact(params_.accumulator); }

}  // namespace facsim::sim
