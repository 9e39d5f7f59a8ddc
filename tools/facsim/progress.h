// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace facsim::cli {

/// One line on stderr that redraws itself at most ten times a second:
/// "run  [#########-----------]  45 %  4,500 of 10,000  loss 0.31  12 s left". Does nothing when
/// disabled (not a terminal); erased when destroyed.
class ProgressBar {
 public:
  ProgressBar(std::string label, int64_t total, bool enabled);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  /// `done` of total; `extra` is shown as it is (loss, accuracy).
  void update(int64_t done, std::string_view extra = {});

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_;
  int64_t total_;
  bool enabled_;
  bool drawn_ = false;
  Clock::time_point start_, last_;
};

}  // namespace facsim::cli
