// SPDX-License-Identifier: Apache-2.0
#include "sim/core/float_mode.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#else
#include <cfenv>
#endif

namespace facsim::sim {
namespace {

#if defined(__x86_64__)
// MXCSR without its sticky exception flags: exceptions masked, nearest even, no FTZ, no DAZ.
constexpr uint64_t kModeBits = 0xFFC0;
constexpr uint64_t kDefaultMode = 0x1F80;
uint64_t read_mode() { return _mm_getcsr(); }
void write_mode(uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif defined(__aarch64__)
constexpr uint64_t kModeBits = ~uint64_t{0};
constexpr uint64_t kDefaultMode = 0;
uint64_t read_mode() {
  uint64_t mode;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
}
void write_mode(uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }
#else
constexpr uint64_t kModeBits = ~uint64_t{0};
constexpr uint64_t kDefaultMode = FE_TONEAREST;
uint64_t read_mode() { return static_cast<uint64_t>(std::fegetround()); }
void write_mode(uint64_t mode) { std::fesetround(static_cast<int>(mode)); }
#endif

}  // namespace

FloatMode::FloatMode() : saved_(read_mode()) {
  if ((saved_ & kModeBits) != kDefaultMode) write_mode(kDefaultMode);
}

FloatMode::~FloatMode() {
  if ((saved_ & kModeBits) != kDefaultMode) write_mode(saved_);
}

}  // namespace facsim::sim
