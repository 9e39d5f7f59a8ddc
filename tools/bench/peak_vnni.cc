// SPDX-License-Identifier: Apache-2.0
// Compiled with -mavx512vnni on its own: nothing here is shared with other files.
#if defined(__AVX512VNNI__)
#include <immintrin.h>

namespace facsim::bench {

/// Sixteen independent chains of vpdpbusd, which hide its latency on every CPU that has it: 16 * 64
/// products a turn.
void run_vnni_turns(int turns) {
  constexpr int kChains = 16;
  __m512i acc[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) acc[i] = _mm512_set1_epi32(i);
  const __m512i x = _mm512_set1_epi32(0x01020301);
  const __m512i w = _mm512_set1_epi32(0x01FF0102);
  for (int turn = 0; turn < turns; ++turn) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) {
      // Volatile, so that equal operands of every turn do not become one multiplication.
      asm volatile("vpdpbusd %2, %1, %0" : "+v"(acc[i]) : "v"(x), "v"(w));
    }
  }
}

}  // namespace facsim::bench
#endif
