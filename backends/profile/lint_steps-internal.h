// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "backends/profile/profile.h"

namespace facsim::backends::detail {

/// A step of an op's program that some accumulator of the profile's width cannot take.
struct StepProblem {
  enum class Kind {
    inexact,  ///< the value passes 126 bits, which no implementation computes: layers are refused
    refused,  ///< a resize with overflow "error", or a rounding of more than 63 bits
    outside,  ///< the program's result is no code of the output
  };
  Kind kind = Kind::inexact;
  size_t step = 0;
  std::string message;  ///< with the smallest accumulator, and its multiplier and shift
};

/// Runs the ranges of the program (sim/requantize/range.h) from the accumulator's type through
/// every step, for every whole shift of the profile's domain with the smallest and the largest
/// normalized multiplier and the ends of the zero point's range; of each kind the problem with the
/// smallest accumulator.
std::vector<StepProblem> find_step_problems(const OpRules& rules);

}  // namespace facsim::backends::detail
