// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/softmax_real.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

struct SoftmaxReal::Row {
  int32_t max = 0;
  float sum = 0, reciprocal = 0;
};

SoftmaxReal::SoftmaxReal(SoftmaxRealParams params) : params_(params) {
  const FloatMode mode;
  if (params.input_type != kInt8 || (params.output_type != kInt8 && params.output_type != kInt16)) {
    throw Error(
        {ErrorCode::unsupported, "softmax",
         fmt::format("{} to {}", to_string(params.input_type), to_string(params.output_type)),
         "int8 to int8 or int16", ""});
  }
  const auto require = [](bool ok, const char* field, double found, const char* expected) {
    if (ok) return;
    throw Error({ErrorCode::bad_value, fmt::format("softmax {}", field), fmt::format("{}", found),
                 expected, ""});
  };
  require(std::isfinite(params.scale_times_beta) && params.scale_times_beta >= 0,
          "scale_times_beta", params.scale_times_beta, "a finite number >= 0");
  require(std::isnormal(params.output_scale) && params.output_scale > 0, "output_scale",
          params.output_scale, "a normal number > 0");
  require(params.output_zero_point >= params.output_type.min() &&
              params.output_zero_point <= params.output_type.max(),
          "output_zero_point", static_cast<double>(params.output_zero_point),
          "a code of the output");
  for (size_t d = 0; d < table_.size(); ++d) {
    const float argument = -params.scale_times_beta * static_cast<float>(d);
    table_[d] = static_cast<float>(std::exp(static_cast<double>(argument)));
  }
}

Shape SoftmaxReal::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& shape = inputs[0];
  if (shape.rank() >= 1 && shape[shape.rank() - 1] >= 1) return shape;
  throw Error({ErrorCode::shape_mismatch, "softmax", "input shape " + to_string(shape),
               "a last axis of at least 1", ""});
}

SoftmaxReal::Row SoftmaxReal::reduce(const int8_t* x, int64_t depth) const {
  Row row;
  row.max = *std::max_element(x, x + depth);
  for (int64_t i = 0; i < depth; ++i) row.sum += table_[static_cast<size_t>(row.max - x[i])];
  row.reciprocal = 1.0f / (row.sum * params_.output_scale);
  return row;
}

int64_t SoftmaxReal::output_of(float exponential, const Row& row) const {
  const float rounded = round_real(Rounding::half_away_from_zero, exponential * row.reciprocal);
  // The sum is at least 1: an infinite reciprocal comes from a tiny output scale only.
  const float bounded = std::clamp(rounded, -0x1p30f, 0x1p30f);
  return std::clamp(static_cast<int64_t>(bounded) + params_.output_zero_point,
                    params_.output_type.min(), params_.output_type.max());
}

Events SoftmaxReal::run(std::span<const Tensor* const> inputs, Tensor& output,
                        const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  const int64_t depth = input.shape()[input.shape().rank() - 1];
  const int8_t* x = input.data<int8_t>();
  detail::for_blocks(context.pool, input.numel() / depth,
                     std::max<int64_t>(1, detail::kElementBlock / depth),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t r = begin; r < end; ++r) {
                         const int8_t* codes = x + r * depth;
                         const Row row = reduce(codes, depth);
                         for (int64_t i = 0; i < depth; ++i) {
                           const auto d = static_cast<size_t>(row.max - codes[i]);
                           output.set_int(r * depth + i, output_of(table_[d], row));
                         }
                       }
                       return Events{};
                     });
  return {};
}

std::vector<SourceElement> SoftmaxReal::sources(std::span<const Shape> inputs,
                                                int64_t flat_index) const {
  return detail::row_sources(*this, inputs, flat_index);
}

Explanation SoftmaxReal::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const FloatMode mode;
  const Shape shape = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, shape.numel());
  detail::check_codes(kind(), "input", *inputs[0], params_.input_type);
  const int64_t depth = shape[shape.rank() - 1];
  const int8_t* x = inputs[0]->data<int8_t>();
  const Row row = reduce(x + flat_index / depth * depth, depth);
  const auto d = static_cast<size_t>(row.max - x[flat_index]);
  Explanation explanation;
  explanation.result = output_of(table_[d], row);
  explanation.steps = {detail::integer_step("largest code of the row", row.max),
                       detail::integer_step("largest - code", static_cast<int64_t>(d)),
                       detail::real_step("exp by table", table_[d]),
                       detail::real_step("sum of exp", row.sum),
                       detail::real_step("1 / (sum * output_scale)", row.reciprocal),
                       detail::real_step("exp * reciprocal", table_[d] * row.reciprocal),
                       detail::integer_step("rounded + zero_point, clamped", explanation.result)};
  return explanation;
}

}  // namespace facsim::sim
