// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/requantize/bound_step.h"
#include "sim/requantize/step.h"

namespace facsim::sim {

struct Arguments;

/// A program whose operands were found, typed and checked.
struct BoundProgram {
  std::vector<BoundStep> steps;
  int64_t channels = 1;
  bool output_is_real = false;
};

/// Puts `arguments` into `program`. The checks and the Error are those of Requantizer's
/// constructor.
BoundProgram bind(const StepProgram& program, const Arguments& arguments);

}  // namespace facsim::sim
