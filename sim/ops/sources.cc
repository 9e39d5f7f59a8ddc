// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/sources.h"

#include "sim/ops/add.h"
#include "sim/ops/avg_pool2d.h"
#include "sim/ops/avg_pool2d_dequantized.h"
#include "sim/ops/broadcast-internal.h"
#include "sim/ops/in_place.h"
#include "sim/ops/max_pool2d.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/pool_window-internal.h"
#include "sim/ops/reshape.h"
#include "sim/ops/unary_codes.h"
#include "sim/ops/unary_real.h"

namespace facsim::sim {

namespace {

/// Element `flat_index` of a tensor whose images are flattened as NCHW, inside the NHWC one.
SourceElement reshape_source(const ReshapeParams& params, const Shape& in, int64_t flat_index) {
  if (params.order != ReshapeParams::Order::nchw || in.rank() < 3) return {0, flat_index};
  const int64_t per_image = in.numel() / in[0], channels = in[in.rank() - 1];
  const int64_t pixels = per_image / channels, i = flat_index % per_image;
  return {0, flat_index - i + i % pixels * channels + i / pixels};
}

bool is_elementwise(const Op& op) {
  return dynamic_cast<const UnaryCodes*>(&op) != nullptr ||
         dynamic_cast<const UnaryReal*>(&op) != nullptr ||
         dynamic_cast<const InPlaceOp*>(&op) != nullptr;
}

}  // namespace

std::vector<SourceElement> sources_of(const Op& op, std::span<const Shape> inputs,
                                      int64_t flat_index) {
  if (const auto* itself = dynamic_cast<const SourcesOp*>(&op)) {
    return itself->sources(inputs, flat_index);
  }
  const Shape out = op.output_shape(inputs);
  detail::check_flat_index(op.kind(), flat_index, out.numel());
  const auto window = [&](const Window2d& of) {
    return detail::window_sources(of, inputs[0], out, flat_index);
  };
  if (dynamic_cast<const Add*>(&op) != nullptr) {
    return detail::broadcast_sources(inputs, out, flat_index);
  }
  if (const auto* pool = dynamic_cast<const AvgPool2d*>(&op)) {
    return window(detail::effective_window(pool->params(), inputs[0]));
  }
  if (const auto* pool = dynamic_cast<const AvgPool2dDequantized*>(&op)) {
    return window(pool->params().window);
  }
  if (const auto* pool = dynamic_cast<const MaxPool2d*>(&op)) return window(pool->params().window);
  if (const auto* reshape = dynamic_cast<const Reshape*>(&op)) {
    return {reshape_source(reshape->params(), inputs[0], flat_index)};
  }
  if (is_elementwise(op)) return {{0, flat_index}};
  return {};
}

std::vector<SourceElement> detail::row_sources(const Op& op, std::span<const Shape> inputs,
                                               int64_t flat_index) {
  const Shape out = op.output_shape(inputs);
  check_flat_index(op.kind(), flat_index, out.numel());
  const int64_t depth = out[out.rank() - 1], first = flat_index / depth * depth;
  std::vector<SourceElement> sources;
  for (int64_t i = first; i < first + depth; ++i) sources.push_back({0, i});
  return sources;
}

}  // namespace facsim::sim
