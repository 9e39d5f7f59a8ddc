// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/softmax_scaled.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

struct SoftmaxScaled::Row {
  int64_t max = 0;
  float sum = 0;
};

SoftmaxScaled::SoftmaxScaled(SoftmaxScaledParams params) : params_(params) {
  const FloatMode mode;
  if (params.type != kInt8 && params.type != kUint8) {
    throw Error({ErrorCode::unsupported, "softmax", to_string(params.type), "int8 or uint8", ""});
  }
  const auto require = [](bool ok, const char* field, double found, const char* expected) {
    if (ok) return;
    throw Error({ErrorCode::bad_value, fmt::format("softmax {}", field), fmt::format("{}", found),
                 expected, ""});
  };
  for (const auto& [field, scale] : {std::pair{"input_scale", params.input_scale},
                                     std::pair{"output_scale", params.output_scale}}) {
    require(std::isnormal(scale) && scale > 0, field, scale, "a normal number > 0");
  }
  require(params.output_zero_point >= params.type.min() &&
              params.output_zero_point <= params.type.max(),
          "output_zero_point", static_cast<double>(params.output_zero_point),
          "a code of the output");
  steps_ = std::floor(1.0f / params.output_scale);
}

Shape SoftmaxScaled::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& shape = inputs[0];
  if (shape.rank() < 1 || shape[shape.rank() - 1] < 1) {
    throw Error({ErrorCode::shape_mismatch, "softmax", "input shape " + to_string(shape),
                 "a last axis of at least 1", ""});
  }
  const FloatMode mode;
  const int64_t depth = shape[shape.rank() - 1];
  if (!std::isfinite(table_for(depth).front() * steps_)) {
    throw Error({ErrorCode::unsupported, "softmax",
                 fmt::format("{} steps of 1 over an axis of {}", steps_, depth),
                 "at most 148 times the axis' extent",
                 "larger products overflow float32 and their codes are undefined"});
  }
  return shape;
}

std::vector<float> SoftmaxScaled::table_for(int64_t depth) const {
  const float largest_sum = std::numeric_limits<float>::max() / static_cast<float>(depth);
  const double bits = std::log(static_cast<double>(largest_sum));
  const auto scale = static_cast<double>(params_.input_scale);
  const double shift = std::max(0.0, bits - 5.0) / scale;
  std::vector<float> table(256);
  for (size_t d = 0; d < table.size(); ++d) {
    table[d] = static_cast<float>(std::exp((shift - static_cast<double>(d)) * scale));
  }
  return table;
}

SoftmaxScaled::Row SoftmaxScaled::reduce(const Tensor& x, int64_t begin, int64_t depth,
                                         std::span<const float> table) const {
  Row row;
  row.max = x.int_at(begin);
  for (int64_t i = 1; i < depth; ++i) row.max = std::max(row.max, x.int_at(begin + i));
  for (int64_t i = 0; i < depth; ++i) {
    row.sum += table[static_cast<size_t>(row.max - x.int_at(begin + i))];
  }
  return row;
}

int64_t SoftmaxScaled::output_of(float exponential, float sum) const {
  const float rounded = round_real(Rounding::half_even, exponential * steps_ / sum);
  return std::min(static_cast<int64_t>(rounded) + params_.output_zero_point, params_.type.max());
}

Events SoftmaxScaled::run(std::span<const Tensor* const> inputs, Tensor& output,
                          const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.type);
  const int64_t depth = input.shape()[input.shape().rank() - 1];
  std::vector<float> table;
  {
    const FloatMode mode;
    table = table_for(depth);
  }
  detail::for_blocks(context.pool, input.numel() / depth,
                     std::max<int64_t>(1, detail::kElementBlock / depth),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t r = begin * depth; r < end * depth; r += depth) {
                         const Row row = reduce(input, r, depth, table);
                         for (int64_t i = r; i < r + depth; ++i) {
                           const auto d = static_cast<size_t>(row.max - input.int_at(i));
                           output.set_int(i, output_of(table[d], row.sum));
                         }
                       }
                       return Events{};
                     });
  return {};
}

std::vector<SourceElement> SoftmaxScaled::sources(std::span<const Shape> inputs,
                                                  int64_t flat_index) const {
  return detail::row_sources(*this, inputs, flat_index);
}

Explanation SoftmaxScaled::explain(std::span<const Tensor* const> inputs,
                                   int64_t flat_index) const {
  const FloatMode mode;
  const Shape shape = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, shape.numel());
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.type);
  const int64_t depth = shape[shape.rank() - 1];
  const std::vector<float> table = table_for(depth);
  const Row row = reduce(input, flat_index / depth * depth, depth, table);
  const int64_t difference = row.max - input.int_at(flat_index);
  const float exponential = table[static_cast<size_t>(difference)];
  Explanation explanation;
  explanation.result = output_of(exponential, row.sum);
  explanation.steps = {detail::integer_step("largest code of the row", row.max),
                       detail::integer_step("largest - code", difference),
                       detail::real_step("exp by table, scaled", exponential),
                       detail::real_step("sum of exp, scaled", row.sum),
                       detail::real_step("exp * steps / sum", exponential * steps_ / row.sum),
                       detail::integer_step("rounded + zero_point, clamped", explanation.result)};
  return explanation;
}

}  // namespace facsim::sim
