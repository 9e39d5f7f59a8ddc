// SPDX-License-Identifier: Apache-2.0
#include "fused/train/schedule.h"

#include <cmath>
#include <numbers>

namespace facsim::fused::train {

namespace {

constexpr Schedule kSchedules[] = {Schedule::constant, Schedule::cosine, Schedule::one_cycle,
                                   Schedule::step};

/// Moves from `a` (t = 0) to `b` (t = 1) along half a cosine.
double anneal(double a, double b, double t) {
  return b + (a - b) * (1 + std::cos(std::numbers::pi * t)) / 2;
}

}  // namespace

std::string_view to_string(Schedule schedule) {
  switch (schedule) {
    case Schedule::constant:
      return "constant";
    case Schedule::cosine:
      return "cosine";
    case Schedule::one_cycle:
      return "one_cycle";
    case Schedule::step:
      return "step";
  }
  return "?";
}

std::optional<Schedule> schedule_from_string(std::string_view word) {
  for (const Schedule schedule : kSchedules) {
    if (word == to_string(schedule)) return schedule;
  }
  return std::nullopt;
}

double learning_rate(Schedule schedule, double lr, int64_t step, int64_t steps) {
  constexpr double kWarmUp = 0.3, kStartDivisor = 25, kFinalDivisor = 1e4;
  const double t = static_cast<double>(step) / static_cast<double>(steps);
  switch (schedule) {
    case Schedule::constant:
      return lr;
    case Schedule::cosine:
      return anneal(lr, 0, t);
    case Schedule::one_cycle:
      if (t < kWarmUp) return anneal(lr / kStartDivisor, lr, t / kWarmUp);
      return anneal(lr, lr / kStartDivisor / kFinalDivisor, (t - kWarmUp) / (1 - kWarmUp));
    case Schedule::step:
      return t < 0.5 ? lr : t < 0.75 ? lr / 10 : lr / 100;
  }
  return lr;
}

}  // namespace facsim::fused::train
