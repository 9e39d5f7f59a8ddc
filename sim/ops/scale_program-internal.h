// SPDX-License-Identifier: Apache-2.0
// A step program inside a named algorithm: how an op brings codes to the unit it computes in.
#pragma once

#include <string_view>
#include <vector>

#include "sim/requantize/requantizer.h"

namespace facsim::sim::detail {

/// Error bad_value unless the program goes from integers to integers of `output`, per tensor.
void check_scale_program(std::string_view kind, std::string_view role, const Requantizer& program,
                         IntType output = kInt32);

/// Error bad_value: a zero point that is no code of the type.
void check_zero_point(std::string_view kind, std::string_view role, int64_t zero_point,
                      IntType type);

/// program.apply(value), its steps appended unless `steps` is null.
int64_t apply_traced(const Requantizer& program, int64_t value, Events& events,
                     std::vector<TracedStep>* steps);

}  // namespace facsim::sim::detail
