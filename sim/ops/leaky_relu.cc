// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/leaky_relu.h"

#include <fmt/format.h>

#include "sim/ops/op_support-internal.h"
#include "sim/ops/scale_program-internal.h"

namespace facsim::sim {

LeakyRelu::LeakyRelu(LeakyReluParams params)
    : UnaryCodes("leaky_relu", params.input_type, params.positive.output_type()),
      params_(std::move(params)) {
  detail::check_scale_program(kind(), "positive", params_.positive, output_type());
  detail::check_scale_program(kind(), "negative", params_.negative, output_type());
  detail::check_zero_point(kind(), "zero_point", params_.zero_point, params_.input_type);
  make_table();
}

int64_t LeakyRelu::evaluate(int64_t code, Events& events, std::vector<TracedStep>* steps) const {
  const int64_t value = code - params_.zero_point;
  if (steps != nullptr) {
    steps->push_back(detail::integer_step(fmt::format("code - {}", params_.zero_point), value));
  }
  return detail::apply_traced(value >= 0 ? params_.positive : params_.negative, value, events,
                              steps);
}

}  // namespace facsim::sim
