// SPDX-License-Identifier: Apache-2.0
#include "fused/train/schedule.h"

#include <doctest/doctest.h>

namespace facsim::fused::train {
namespace {

TEST_CASE("schedule: words") {
  for (const Schedule s :
       {Schedule::constant, Schedule::cosine, Schedule::one_cycle, Schedule::step}) {
    CHECK(schedule_from_string(to_string(s)) == s);
  }
  CHECK(!schedule_from_string("linear"));
}

TEST_CASE("schedule: values at the corners") {
  struct Case {
    Schedule schedule;
    int64_t step;
    double expected;
  };
  const Case cases[] = {
      {Schedule::constant, 999, 0.2},  {Schedule::cosine, 0, 0.2},
      {Schedule::cosine, 500, 0.1},    {Schedule::one_cycle, 0, 0.2 / 25},
      {Schedule::one_cycle, 300, 0.2}, {Schedule::one_cycle, 150, 0.2 * 13 / 25},
      {Schedule::step, 499, 0.2},      {Schedule::step, 500, 0.02},
      {Schedule::step, 750, 0.002},
  };
  for (const Case& c : cases) {
    CAPTURE(to_string(c.schedule));
    CAPTURE(c.step);
    CHECK(learning_rate(c.schedule, 0.2, c.step, 1000) == doctest::Approx(c.expected));
  }
  CHECK(learning_rate(Schedule::one_cycle, 0.2, 999, 1000) < 1e-4);
  CHECK(learning_rate(Schedule::cosine, 0.2, 999, 1000) < 1e-5);
}

}  // namespace
}  // namespace facsim::fused::train
