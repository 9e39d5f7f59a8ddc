// SPDX-License-Identifier: Apache-2.0
// Work in parts, so that it can be watched and stopped.
#include <fmt/format.h>

#include <algorithm>

#include "backends/parity/identify-internal.h"

namespace facsim::backends::detail {

IdentifyPhase IdentifyPhase::part(size_t number, size_t of) const {
  const double step = (end - begin) / static_cast<double>(of);
  return {begin + step * static_cast<double>(number),
          begin + step * static_cast<double>(number + 1)};
}

void run_in_parts(sim::ThreadPool& pool, size_t count,
                  const std::function<void(int64_t done, int64_t total)>& progress,
                  IdentifyPhase phase, const std::function<void(size_t)>& body) {
  const size_t size = std::max<size_t>(4 * static_cast<size_t>(pool.threads()), count / 64);
  for (size_t begin = 0; begin < count; begin += size) {
    if (progress) {
      const double share = static_cast<double>(begin) / static_cast<double>(count);
      progress(static_cast<int64_t>(phase.begin + share * (phase.end - phase.begin)), 1000);
    }
    const size_t some = std::min(size, count - begin);
    pool.parallel_for(static_cast<int64_t>(some),
                      [&](int64_t i) { body(begin + static_cast<size_t>(i)); });
  }
}

void SpaceErrors::add(const IdentifySetting& setting, const Error& error) {
  const std::lock_guard lock(mutex_);
  ++count_;
  if (!first_.empty()) return;
  first_ = error.infos();
  for (ErrorInfo& info : first_) {
    info.place = fmt::format("--space, over {}{}{}", setting.base, info.place.empty() ? "" : ": ",
                             info.place);
  }
}

void SpaceErrors::raise_if_all(size_t settings) const {
  if (count_ > 0 && count_ == settings) throw Error(first_);
}

std::string evidence_level_word(Profile::Evidence::Level level) {
  constexpr const char* kWords[] = {"executed", "documented", "assumed"};
  return kWords[static_cast<size_t>(level)];
}

}  // namespace facsim::backends::detail
