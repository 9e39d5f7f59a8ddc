// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/lut.h"

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

Lut::Lut(LutParams params) : params_(std::move(params)) {
  const IntType in = params_.input_type, out = params_.output_type;
  if (in.bits > 16) {
    throw Error({ErrorCode::unsupported, "lut input_type", fmt::format("{} bits", in.bits),
                 "at most 16 bits", ""});
  }
  const int64_t entries = int64_t{1} << in.bits;
  if (static_cast<int64_t>(params_.table.size()) != entries) {
    throw Error({ErrorCode::bad_value, "lut table", fmt::format("{} entries", params_.table.size()),
                 fmt::format("{} (one per code of {} bits)", entries, in.bits), ""});
  }
  table_ = Tensor::uninitialized(out.storage(), Shape{entries});
  for (int64_t i = 0; i < entries; ++i) {
    const int64_t value = params_.table[static_cast<size_t>(i)];
    if (value < out.min() || value > out.max()) {
      throw Error({ErrorCode::bad_value, fmt::format("lut table[{}]", i), fmt::format("{}", value),
                   fmt::format("{}..{}", out.min(), out.max()), ""});
    }
    table_.set_int(i, value);
  }
}

Shape Lut::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  return inputs[0];
}

DType Lut::output_dtype() const { return params_.output_type.storage(); }

Events Lut::run(std::span<const Tensor* const> inputs, Tensor& output,
                const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, params_.input_type);
  const auto lowest = static_cast<int32_t>(params_.input_type.min());
  detail::with_integer(input.dtype(), [&]<class In>() {
    detail::with_integer(output.dtype(), [&]<class Out>() {
      const In* x = input.data<In>();
      const Out* table = table_.data<Out>();
      Out* y = output.data<Out>();
      detail::for_blocks(context.pool, input.numel(), detail::kElementBlock,
                         [&](int64_t begin, int64_t end) {
                           for (int64_t i = begin; i < end; ++i) {
                             y[i] = table[static_cast<int64_t>(x[i]) - lowest];
                           }
                           return Events{};
                         });
    });
  });
  return {};
}

Explanation Lut::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_codes(kind(), "input", *inputs[0], params_.input_type);
  const int64_t code = inputs[0]->int_at(flat_index);
  Explanation explanation;
  explanation.result = table_.int_at(code - params_.input_type.min());
  explanation.steps = {
      detail::integer_step("code", code),
      detail::integer_step(fmt::format("table[{}]", code - params_.input_type.min()),
                           explanation.result)};
  return explanation;
}

}  // namespace facsim::sim
