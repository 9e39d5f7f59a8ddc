// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/map_blocked.h"

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

MapBlocked::MapBlocked(MapBlockedParams params) : params_(std::move(params)) {
  const auto refuse = [&](const char* field, std::string found, std::string expected) {
    throw Error({ErrorCode::bad_value, fmt::format("{} {}", params_.kind, field), std::move(found),
                 std::move(expected), ""});
  };
  const Requantizer& requantize = params_.requantize;
  const bool quantizes = params_.kind == "quantize_blocked";
  if (!quantizes && params_.kind != "dequantize_blocked") {
    refuse("kind", "not a blocked op", "quantize_blocked, dequantize_blocked");
  }
  if (requantize.program().input_is_real != quantizes || requantize.output_is_real() == quantizes ||
      (params_.input_dtype == DType::float32) != quantizes) {
    refuse("requantize", fmt::format("input {}", to_string(params_.input_dtype)),
           "float32 to codes (quantize) or codes to float32 (dequantize)");
  }
  const Shape& arguments = params_.arguments;
  if (params_.axis < 0 || params_.axis >= arguments.rank()) {
    refuse("axis", fmt::format("{}", params_.axis), fmt::format("0..{}", arguments.rank() - 1));
  }
  if (params_.block_size < 1) refuse("block_size", fmt::format("{}", params_.block_size), ">= 1");
  if (requantize.channels() != 1 && requantize.channels() != arguments.numel()) {
    refuse("requantize", fmt::format("{} scales", requantize.channels()),
           fmt::format("{}, one per block", arguments.numel()));
  }
}

Shape MapBlocked::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& x = inputs[0];
  const Shape& arguments = params_.arguments;
  bool fits = x.rank() == arguments.rank();
  for (int i = 0; fits && i < x.rank(); ++i) {
    const int64_t size = i == params_.axis ? params_.block_size : 1;
    fits = x[i] >= 1 && (x[i] - 1) / size + 1 == arguments[i];
  }
  if (!fits) {
    throw Error({ErrorCode::shape_mismatch, params_.kind, "input shape " + to_string(x),
                 fmt::format("scales {} in blocks of {} along axis {}", to_string(arguments),
                             params_.block_size, params_.axis),
                 ""});
  }
  return x;
}

DType MapBlocked::output_dtype() const {
  return params_.requantize.output_is_real() ? DType::float32
                                             : params_.requantize.output_type().storage();
}

int64_t MapBlocked::block_of(int64_t flat_index, const Shape& shape) const {
  int64_t block = 0;
  int64_t stride = 1;
  for (int i = shape.rank(); i-- > 0;) {
    const int64_t index = flat_index % shape[i];
    flat_index /= shape[i];
    block += (i == params_.axis ? index / params_.block_size : index) * stride;
    stride *= params_.arguments[i];
  }
  return block;
}

Events MapBlocked::run(std::span<const Tensor* const> inputs, Tensor& output,
                       const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), params_.input_dtype);
  const bool per_tensor = params_.requantize.channels() == 1;
  const Events events = detail::for_blocks(
      context.pool, input.numel(), detail::kElementBlock, [&](int64_t begin, int64_t end) {
        Events counted;
        for (int64_t i = begin; i < end; ++i) {
          const int64_t block = per_tensor ? 0 : block_of(i, input.shape());
          if (input.dtype() == DType::float32) {
            const float x = input.data<float>()[i];
            output.set_int(i, params_.requantize.apply_real(x, block, counted));
          } else {
            output.data<float>()[i] =
                params_.requantize.apply_to_real(input.int_at(i), block, counted);
          }
        }
        return counted;
      });
  return context.count_events ? events : Events{};
}

Explanation MapBlocked::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  const Tensor& input = *inputs[0];
  detail::check_dtype(kind(), "input", input.dtype(), params_.input_dtype);
  const Requantizer& requantize = params_.requantize;
  const int64_t block = requantize.channels() == 1 ? 0 : block_of(flat_index, out);
  Explanation explanation;
  Events ignored;
  if (input.dtype() == DType::float32) {
    const float x = input.data<float>()[flat_index];
    explanation.steps = requantize.trace_real(x, block);
    explanation.result = requantize.apply_real(x, block, ignored);
  } else {
    explanation.steps = requantize.trace(input.int_at(flat_index), block);
  }
  explanation.steps.insert(explanation.steps.begin(), detail::integer_step("block", block));
  return explanation;
}

}  // namespace facsim::sim
