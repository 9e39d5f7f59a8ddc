// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx512vnni on its own; the CPU is asked before.
#include "tools/bench/peak.h"

#include <chrono>

#if defined(__AVX512VNNI__)
#include <immintrin.h>
#endif

namespace facsim::bench {

#if defined(__AVX512VNNI__)

namespace {

using PeakClock = std::chrono::steady_clock;

/// Sixteen independent chains hide the latency of vpdpbusd on every CPU that has it.
double vnni_macs_per_second() {
  constexpr int kChains = 16;
  constexpr int kTurns = 200000;
  __m512i acc[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_epi32(i);
  const __m512i x = _mm512_set1_epi32(0x01020301);
  const __m512i w = _mm512_set1_epi32(0x01FF0102);
  const PeakClock::time_point start = PeakClock::now();
  for (int turn = 0; turn < kTurns; ++turn) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) {
      // Volatile, so that equal operands of every turn do not become one multiplication.
      asm volatile("vpdpbusd %2, %1, %0" : "+v"(acc[i]) : "v"(x), "v"(w));
    }
  }
  const double seconds = std::chrono::duration<double>(PeakClock::now() - start).count();
  return 64.0 * kChains * kTurns / seconds;
}

}  // namespace

CorePeak measure_core_peak() {
  CorePeak peak;
  if (!__builtin_cpu_supports("avx512vnni")) return peak;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double macs = vnni_macs_per_second();
    if (macs > peak.int8_macs) peak.int8_macs = macs;
  }
  return peak;
}

#else

CorePeak measure_core_peak() { return {}; }

#endif

}  // namespace facsim::bench
