// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/multi_threshold.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "sim/core/wide.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

[[noreturn]] void refuse_thresholds(ErrorCode code, std::string found, std::string expected) {
  throw Error({code, "multi_threshold", std::move(found), std::move(expected), ""});
}

int64_t reached(const std::vector<int64_t>& thresholds, int64_t code) {
  return std::upper_bound(thresholds.begin(), thresholds.end(), code) - thresholds.begin();
}

}  // namespace

MultiThreshold::MultiThreshold(MultiThresholdParams params) : params_(std::move(params)) {
  if (params_.input_type.bits > 32) {
    refuse_thresholds(ErrorCode::unsupported, to_string(params_.input_type), "at most 32 bits");
  }
  if (params_.thresholds.empty()) {
    refuse_thresholds(ErrorCode::bad_value, "no thresholds", "one list, or one per channel");
  }
  const size_t count = params_.thresholds.front().size();
  for (const std::vector<int64_t>& list : params_.thresholds) {
    if (list.size() != count || !std::is_sorted(list.begin(), list.end())) {
      refuse_thresholds(ErrorCode::bad_value, fmt::format("{} thresholds", list.size()),
                        fmt::format("{} in ascending order", count));
    }
  }
  const IntType type = params_.output_type;
  for (const int128 steps : {int128{0}, static_cast<int128>(count)}) {
    const int128 value = params_.bias + params_.scale * steps;
    if (value < type.min() || value > type.max()) {
      refuse_thresholds(
          ErrorCode::bad_value,
          fmt::format("{} + {} * {}", params_.bias, params_.scale, static_cast<int64_t>(steps)),
          to_string(type));
    }
  }
}

Shape MultiThreshold::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& shape = inputs[0];
  const auto channels = static_cast<int64_t>(params_.thresholds.size());
  if (channels != 1 && (shape.rank() == 0 || shape[shape.rank() - 1] != channels)) {
    refuse_thresholds(ErrorCode::shape_mismatch, to_string(shape),
                      fmt::format("a last axis of {}", channels));
  }
  return shape;
}

const std::vector<int64_t>& MultiThreshold::of_element(int64_t i, int64_t channels) const {
  return params_.thresholds[params_.thresholds.size() == 1 ? 0 : static_cast<size_t>(i % channels)];
}

Events MultiThreshold::run(std::span<const Tensor* const> inputs, Tensor& output,
                           const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  const auto channels = static_cast<int64_t>(params_.thresholds.size());
  detail::with_integer(input.dtype(), [&]<class In>() {
    detail::with_integer(output.dtype(), [&]<class Out>() {
      const In* x = input.data<In>();
      Out* y = output.data<Out>();
      detail::for_blocks(context.pool, input.numel(), detail::kElementBlock,
                         [&](int64_t begin, int64_t end) {
                           for (int64_t i = begin; i < end; ++i) {
                             const int64_t steps = reached(of_element(i, channels), x[i]);
                             y[i] = static_cast<Out>(params_.bias + params_.scale * steps);
                           }
                           return Events{};
                         });
    });
  });
  return {};
}

Explanation MultiThreshold::explain(std::span<const Tensor* const> inputs,
                                    int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_codes(kind(), "input", *inputs[0], params_.input_type);
  const int64_t code = inputs[0]->int_at(flat_index);
  const auto channels = static_cast<int64_t>(params_.thresholds.size());
  const int64_t steps = reached(of_element(flat_index, channels), code);
  Explanation explanation;
  explanation.result = params_.bias + params_.scale * steps;
  explanation.steps = {detail::integer_step("code", code),
                       detail::integer_step("thresholds reached", steps),
                       detail::integer_step("bias + scale * reached", explanation.result)};
  return explanation;
}

}  // namespace facsim::sim
