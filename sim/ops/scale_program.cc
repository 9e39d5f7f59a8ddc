// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/scale_program-internal.h"

#include <fmt/format.h>

#include "sim/core/error.h"

namespace facsim::sim::detail {

void check_scale_program(std::string_view kind, std::string_view role, const Requantizer& program,
                         IntType output) {
  const auto refuse = [&](std::string found, std::string expected) {
    throw Error({ErrorCode::bad_value, fmt::format("{} {}", kind, role), std::move(found),
                 std::move(expected), ""});
  };
  if (program.program().input_is_real || program.output_is_real()) {
    refuse("a program with float32 at an end", "integers to integers");
  }
  if (program.channels() != 1) {
    refuse(fmt::format("{} channels", program.channels()), "one multiplier for the tensor");
  }
  if (program.output_type() != output) {
    refuse("a program to " + to_string(program.output_type()), to_string(output));
  }
}

void check_zero_point(std::string_view kind, std::string_view role, int64_t zero_point,
                      IntType type) {
  if (zero_point >= type.min() && zero_point <= type.max()) return;
  throw Error({ErrorCode::bad_value, fmt::format("{} {}", kind, role),
               fmt::format("{}", zero_point), fmt::format("{}..{}", type.min(), type.max()), ""});
}

int64_t apply_traced(const Requantizer& program, int64_t value, Events& events,
                     std::vector<TracedStep>* steps) {
  if (steps != nullptr) {
    for (TracedStep& step : program.trace(value, 0)) steps->push_back(std::move(step));
  }
  return program.apply(value, 0, events);
}

}  // namespace facsim::sim::detail
