// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/progress.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

constexpr int64_t kWidth = 20;

std::string duration(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole < 60) return fmt::format("{} s", whole);
  return fmt::format("{} min {:02} s", whole / 60, whole % 60);
}

void write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

}  // namespace

ProgressBar::ProgressBar(std::string label, int64_t total, bool enabled)
    : label_(std::move(label)),
      total_(std::max<int64_t>(1, total)),
      enabled_(enabled),
      start_(Clock::now()),
      last_(start_ - std::chrono::hours(1)) {}

ProgressBar::~ProgressBar() {
  if (drawn_) write("\r\x1b[K");
}

void ProgressBar::update(int64_t done, std::string_view extra) {
  const Clock::time_point now = Clock::now();
  if (!enabled_ || now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  done = std::clamp<int64_t>(done, 0, total_);
  const int64_t filled = kWidth * done / total_;
  std::string line = fmt::format("\r{}  [{}{}]  {:3} %  {} of {}", label_,
                                 std::string(static_cast<size_t>(filled), '#'),
                                 std::string(static_cast<size_t>(kWidth - filled), '-'),
                                 100 * done / total_, with_commas(done), with_commas(total_));
  if (!extra.empty()) line += fmt::format("  {}", extra);
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  if (done > 0 && elapsed > 1) {
    line += fmt::format("  {} left", duration(elapsed * static_cast<double>(total_ - done) /
                                              static_cast<double>(done)));
  }
  write(line + "\x1b[K");
}

}  // namespace facsim::cli
