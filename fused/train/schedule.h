// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace facsim::fused::train {

/// How the learning rate moves over a run, t = step / steps in [0, 1).
enum class Schedule {
  constant,
  cosine,     ///< lr * (1 + cos(pi * t)) / 2
  one_cycle,  ///< cosine from lr / 25 up to lr at t = 0.3, then cosine down to lr / 250000
  step,       ///< lr, lr / 10 from t = 1/2, lr / 100 from t = 3/4
};

std::string_view to_string(Schedule schedule);
std::optional<Schedule> schedule_from_string(std::string_view word);

/// Learning rate of step 0 <= step < steps. one_cycle is PyTorch's OneCycleLR with its defaults,
/// for continuous t.
double learning_rate(Schedule schedule, double lr, int64_t step, int64_t steps);

}  // namespace facsim::fused::train
