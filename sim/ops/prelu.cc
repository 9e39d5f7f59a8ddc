// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/prelu.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/core/error.h"
#include "sim/ops/broadcast-internal.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/scale_program-internal.h"

namespace facsim::sim {

namespace {

constexpr int64_t kPreluBlock = 1024;

struct PreluInputs {
  const Tensor& x;
  const Tensor& alpha;
  detail::BroadcastIndex alpha_index;
};

/// Both sides of each element, then the one that the sign takes.
template <class X, class Alpha, class Out>
void prelu_block(const PreluParams& params, const RequantizeKernel& positive,
                 const RequantizeKernel& negative, const PreluInputs& in, int64_t begin,
                 int64_t end, Out* out, Isa isa) {
  std::array<int32_t, kPreluBlock> values{}, products{};
  std::array<Out, kPreluBlock> negatives{};
  const X* x = in.x.data<X>();
  const Alpha* alpha = in.alpha.data<Alpha>();
  const auto zero_point = static_cast<int32_t>(params.zero_point);
  const auto alpha_zero_point = static_cast<int32_t>(params.alpha_zero_point);
  const auto count = static_cast<size_t>(end - begin);
  for (size_t i = 0; i < count; ++i) {
    const int64_t index = begin + static_cast<int64_t>(i);
    const int32_t value = x[index] - zero_point;
    values[i] = std::max(value, 0);
    products[i] = std::min(value, 0) * (alpha[in.alpha_index(index)] - alpha_zero_point);
  }
  const auto n = static_cast<int64_t>(count);
  positive.run(values.data(), n, 1, 0, n, out, n, isa, false);
  negative.run(products.data(), n, 1, 0, n, negatives.data(), n, isa, false);
  for (size_t i = 0; i < count; ++i) {
    if (x[begin + static_cast<int64_t>(i)] < zero_point) out[i] = negatives[i];
  }
}

}  // namespace

Prelu::Prelu(PreluParams params) : params_(std::move(params)) {
  const IntType x = params_.input_type, alpha = params_.alpha_type;
  if (std::max(x.bits, alpha.bits) > 16) {
    throw Error({ErrorCode::unsupported, "prelu",
                 fmt::format("{} and {}", to_string(x), to_string(alpha)),
                 "types of at most 16 bits", ""});
  }
  detail::check_zero_point("prelu", "zero_point", params_.zero_point, x);
  detail::check_zero_point("prelu", "alpha zero_point", params_.alpha_zero_point, alpha);
  const IntType output = params_.positive.output_type();
  detail::check_scale_program("prelu", "positive", params_.positive, output);
  detail::check_scale_program("prelu", "negative", params_.negative, output);
  const int64_t lowest = x.min() - params_.zero_point;  // <= 0
  const int64_t a = lowest * (alpha.min() - params_.alpha_zero_point);
  const int64_t b = lowest * (alpha.max() - params_.alpha_zero_point);
  positive_ = RequantizeKernel(params_.positive, 0, x.max() - params_.zero_point);
  negative_ = RequantizeKernel(params_.negative, std::min(a, b), std::max(a, b));
}

Shape Prelu::output_shape(std::span<const Shape> inputs) const {
  detail::check_input_count(kind(), inputs.size(), 2);
  const Shape shape = detail::broadcast(kind(), inputs[0], inputs[1]);
  if (shape == inputs[0]) return shape;
  throw Error({ErrorCode::shape_mismatch, "prelu", "alpha " + to_string(inputs[1]),
               "a shape that broadcasts to " + to_string(inputs[0]), ""});
}

Events Prelu::run(std::span<const Tensor* const> inputs, Tensor& output,
                  const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  detail::check_codes(kind(), "input", *inputs[0], params_.input_type);
  detail::check_codes(kind(), "alpha", *inputs[1], params_.alpha_type);
  const PreluInputs in{*inputs[0], *inputs[1],
                       detail::BroadcastIndex(inputs[1]->shape(), output.shape())};
  // The product of two differences of 16 bits needs 33. By storage, as prelu_block is compiled.
  const bool fits = size_of(in.x.dtype()) + size_of(in.alpha.dtype()) <= 3;
  if (!fits || context.isa == Isa::scalar || context.count_events) {
    const Events events = detail::for_blocks(
        context.pool, output.numel(), detail::kElementBlock, [&](int64_t begin, int64_t end) {
          Events counted;
          for (int64_t i = begin; i < end; ++i) {
            const int64_t value = in.x.int_at(i) - params_.zero_point;
            const int64_t alpha = in.alpha.int_at(in.alpha_index(i)) - params_.alpha_zero_point;
            output.set_int(i, value >= 0 ? params_.positive.apply(value, 0, counted)
                                         : params_.negative.apply(value * alpha, 0, counted));
          }
          return counted;
        });
    return context.count_events ? events : Events{};
  }
  detail::with_integer(in.x.dtype(), [&]<class X>() {
    detail::with_integer(in.alpha.dtype(), [&]<class Alpha>() {
      detail::with_integer(output.dtype(), [&]<class Out>() {
        if constexpr (sizeof(X) + sizeof(Alpha) <= 3) {
          Out* out = output.data<Out>();
          detail::for_blocks(context.pool, output.numel(), kPreluBlock,
                             [&](int64_t begin, int64_t end) {
                               prelu_block<X, Alpha>(params_, positive_, negative_, in, begin, end,
                                                     out + begin, context.isa);
                               return Events{};
                             });
        }
      });
    });
  });
  return {};
}

std::vector<SourceElement> Prelu::sources(std::span<const Shape> inputs, int64_t flat_index) const {
  const Shape out = output_shape(inputs);
  detail::check_flat_index(kind(), flat_index, out.numel());
  return detail::broadcast_sources(inputs, out, flat_index);
}

Explanation Prelu::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape shape = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, shape.numel());
  detail::check_codes(kind(), "input", *inputs[0], params_.input_type);
  detail::check_codes(kind(), "alpha", *inputs[1], params_.alpha_type);
  const detail::BroadcastIndex alpha_index(inputs[1]->shape(), shape);
  const int64_t value = inputs[0]->int_at(flat_index) - params_.zero_point;
  const int64_t alpha = inputs[1]->int_at(alpha_index(flat_index)) - params_.alpha_zero_point;
  Explanation explanation;
  Events ignored;
  explanation.steps = {detail::integer_step("x - zero_point", value),
                       detail::integer_step("alpha - zero_point", alpha)};
  explanation.result =
      detail::apply_traced(value >= 0 ? params_.positive : params_.negative,
                           value >= 0 ? value : value * alpha, ignored, &explanation.steps);
  return explanation;
}

}  // namespace facsim::sim
