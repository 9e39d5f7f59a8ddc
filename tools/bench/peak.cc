// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/peak.h"

#include <algorithm>
#include <chrono>

namespace facsim::bench {

#if defined(FACSIM_HAS_VNNI_PEAK)

void run_vnni_turns(int turns);  // peak_vnni.cc

CorePeak measure_core_peak() {
  using PeakClock = std::chrono::steady_clock;
  constexpr int kTurns = 200000;
  constexpr double kProducts = 16.0 * 64 * kTurns;
  CorePeak peak;
  if (!__builtin_cpu_supports("avx512vnni")) return peak;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const PeakClock::time_point start = PeakClock::now();
    run_vnni_turns(kTurns);
    const double seconds = std::chrono::duration<double>(PeakClock::now() - start).count();
    peak.int8_macs = std::max(peak.int8_macs, kProducts / seconds);
  }
  return peak;
}

#else

CorePeak measure_core_peak() { return {}; }

#endif

}  // namespace facsim::bench
