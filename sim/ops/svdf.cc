// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/svdf.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/error.h"
#include "sim/ops/accumulate.h"
#include "sim/ops/conv2d_check-internal.h"
#include "sim/ops/op_support-internal.h"
#include "sim/ops/recurrent-internal.h"
#include "sim/ops/scale_program-internal.h"

namespace facsim::sim {

Svdf::Svdf(SvdfParams params) : params_(std::move(params)) {
  detail::check_matrix("svdf", "feature_weights", params_.feature_weights, {kInt8});
  detail::check_matrix("svdf", "time_weights", params_.time_weights, {kInt8, kInt16});
  const int64_t rows = params_.feature_weights.shape()[0];
  if (params_.time_weights.shape()[0] != rows) {
    throw Error({ErrorCode::shape_mismatch, "svdf time_weights",
                 to_string(params_.time_weights.shape()), fmt::format("{} filters", rows), ""});
  }
  if (params_.rank < 1 || rows % params_.rank != 0) {
    throw Error({ErrorCode::bad_value, "svdf rank", fmt::format("{}", params_.rank),
                 fmt::format("a divisor of the {} filters", rows), ""});
  }
  detail::check_vector("svdf", "bias", params_.bias, units(), {kInt32});
  const IntType state = params_.state.output_type();
  if (state.bits > 16 || params_.input_type.bits > 16) {
    throw Error({ErrorCode::unsupported, "svdf",
                 fmt::format("input {}, state {}", to_string(params_.input_type), to_string(state)),
                 "types of at most 16 bits", ""});
  }
  detail::check_scale_program("svdf", "state", params_.state, state);
  detail::check_scale_program("svdf", "output", params_.output, params_.output.output_type());
  detail::check_zero_point("svdf", "input_zero_point", params_.input_zero_point,
                           params_.input_type);
  detail::check_zero_point("svdf", "state_zero_point", params_.state_zero_point, state);
  check_accumulator_of_all_taps("svdf", params_.accumulator);
  feature_weights_ = detail::widened(params_.feature_weights);
  time_weights_ = detail::widened(params_.time_weights);
}

Shape Svdf::output_shape(std::span<const Shape> inputs) const {
  if (inputs.size() != 2) detail::check_input_count(kind(), inputs.size(), 1);
  const Shape& x = inputs[0];
  const int64_t size = params_.feature_weights.shape()[1];
  if (x.rank() != 3 || x[2] != size) {
    throw Error({ErrorCode::shape_mismatch, "svdf", "input shape " + to_string(x),
                 fmt::format("(N, T, {})", size), ""});
  }
  if (inputs.size() == 2 && inputs[1] != Shape{x[0], filters(), memory()}) {
    throw Error({ErrorCode::shape_mismatch, "svdf", "state shape " + to_string(inputs[1]),
                 to_string(Shape{x[0], filters(), memory()}), ""});
  }
  return Shape{x[0], x[1], units()};
}

int64_t Svdf::macs(std::span<const Shape> inputs) const {
  return inputs[0][1] * filters() * (params_.feature_weights.shape()[1] + memory());
}

void Svdf::check_inputs(std::span<const Tensor* const> inputs) const {
  detail::check_codes(kind(), "input", *inputs[0], params_.input_type);
  if (inputs.size() == 2) {
    detail::check_codes(kind(), "state", *inputs[1], params_.state.output_type());
  }
}

std::vector<int64_t> Svdf::run_image(std::span<const Tensor* const> inputs, int64_t image,
                                     bool count_events, Events& events) const {
  const Shape& shape = inputs[0]->shape();
  const int64_t steps = shape[1], size = shape[2], taps = params_.rank * memory();
  const auto add_up = [&](const int32_t* x, const int32_t* w, int64_t n, int64_t bias) {
    const Accumulated sum = count_events ? accumulate<true>(x, w, n, bias, params_.accumulator)
                                         : accumulate<false>(x, w, n, bias, params_.accumulator);
    events.accumulator_overflow += sum.left_width ? 1 : 0;
    return sum.value;
  };
  std::vector<int32_t> states(static_cast<size_t>(filters() * memory()), 0);
  if (inputs.size() == 2) {
    states = detail::centred_codes(*inputs[1], image * filters() * memory(), filters() * memory(),
                                   params_.state_zero_point);
  }
  std::vector<int64_t> accumulators;
  accumulators.reserve(static_cast<size_t>(steps * units()));
  for (int64_t t = 0; t < steps; ++t) {
    const std::vector<int32_t> x = detail::centred_codes(*inputs[0], (image * steps + t) * size,
                                                         size, params_.input_zero_point);
    for (int64_t f = 0; f < filters(); ++f) {
      int32_t* own = states.data() + f * memory();
      std::copy(own + 1, own + memory(), own);
      const int64_t sum = add_up(x.data(), feature_weights_.data() + f * size, size, 0);
      own[memory() - 1] =
          static_cast<int32_t>(params_.state.apply(sum, 0, events) - params_.state_zero_point);
    }
    for (int64_t u = 0; u < units(); ++u) {
      const int64_t bias = params_.bias.empty() ? 0 : params_.bias.int_at(u);
      accumulators.push_back(
          add_up(states.data() + u * taps, time_weights_.data() + u * taps, taps, bias));
    }
  }
  return accumulators;
}

Events Svdf::run(std::span<const Tensor* const> inputs, Tensor& output,
                 const RunContext& context) const {
  detail::check_output(*this, inputs, output);
  check_inputs(inputs);
  const int64_t per_image = output.shape()[1] * units();
  const Events events =
      detail::for_blocks(context.pool, output.shape()[0], 1, [&](int64_t begin, int64_t end) {
        Events counted;
        for (int64_t image = begin; image < end; ++image) {
          const std::vector<int64_t> sums = run_image(inputs, image, context.count_events, counted);
          for (int64_t i = 0; i < per_image; ++i) {
            output.set_int(image * per_image + i,
                           params_.output.apply(sums[static_cast<size_t>(i)], 0, counted));
          }
        }
        return counted;
      });
  return context.count_events ? events : Events{};
}

Explanation Svdf::explain(std::span<const Tensor* const> inputs, int64_t flat_index) const {
  const Shape shape = output_shape(detail::shapes_of(inputs));
  detail::check_flat_index(kind(), flat_index, shape.numel());
  check_inputs(inputs);
  const int64_t per_image = shape[1] * shape[2];
  Events ignored;
  const std::vector<int64_t> sums = run_image(inputs, flat_index / per_image, false, ignored);
  const int64_t sum = sums[static_cast<size_t>(flat_index % per_image)];
  Explanation explanation;
  explanation.accumulator = sum;
  explanation.result = detail::apply_traced(params_.output, sum, ignored, &explanation.steps);
  return explanation;
}

}  // namespace facsim::sim
