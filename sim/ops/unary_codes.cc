// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/unary_codes.h"

#include <fmt/format.h>

#include "sim/core/error.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {

UnaryCodes::UnaryCodes(std::string_view kind, IntType input_type, IntType output_type)
    : input_type_(input_type), output_type_(output_type) {
  if (input_type.bits <= 16 && output_type.bits <= 16) return;
  throw Error({ErrorCode::unsupported, std::string(kind),
               fmt::format("{} to {}", to_string(input_type), to_string(output_type)),
               "types of at most 16 bits", ""});
}

void UnaryCodes::make_table() {
  const FloatMode mode;
  Tensor table =
      Tensor::uninitialized(output_type_.storage(), Shape{int64_t{1} << input_type_.bits});
  Events ignored;
  try {
    for (int64_t i = 0; i < table.numel(); ++i) {
      table.set_int(i, evaluate(input_type_.min() + i, ignored, nullptr));
    }
  } catch (const Error&) {
    return;
  }
  table_ = std::move(table);
}

Shape UnaryCodes::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 1);
  return inputs[0];
}

Events UnaryCodes::run(std::span<const Tensor* const> inputs, Tensor& output,
                       const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  const Tensor& input = *inputs[0];
  detail::check_codes(kind(), "input", input, input_type_);
  const bool use_table = !table_.empty() && context.isa != Isa::scalar && !context.count_events;
  const auto lowest = static_cast<int32_t>(input_type_.min());
  Events events;
  detail::with_integer(input.dtype(), [&]<class In>() {
    detail::with_integer(output.dtype(), [&]<class Out>() {
      const In* x = input.data<In>();
      Out* y = output.data<Out>();
      const Out* table = use_table ? table_.data<Out>() : nullptr;
      events = detail::for_blocks(context.pool, input.numel(), detail::kElementBlock,
                                  [&](int64_t begin, int64_t end) {
                                    Events counted;
                                    if (table != nullptr) {
                                      for (int64_t i = begin; i < end; ++i) {
                                        y[i] = table[static_cast<int64_t>(x[i]) - lowest];
                                      }
                                      return counted;
                                    }
                                    for (int64_t i = begin; i < end; ++i) {
                                      y[i] = static_cast<Out>(evaluate(x[i], counted, nullptr));
                                    }
                                    return counted;
                                  });
    });
  });
  return context.count_events ? events : Events{};
}

Explanation UnaryCodes::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const FloatMode mode;
  const Shape out = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, out.numel());
  detail::check_codes(kind(), "input", *inputs[0], input_type_);
  Explanation explanation;
  Events ignored;
  const int64_t code = inputs[0]->int_at(flat_index);
  explanation.steps = {detail::integer_step("code", code)};
  explanation.result = evaluate(code, ignored, &explanation.steps);
  return explanation;
}

}  // namespace facsim::sim
