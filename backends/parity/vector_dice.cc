// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/vector_dice-internal.h"

#include <cmath>

namespace facsim::backends::detail {

int64_t VectorDice::between(int64_t low, int64_t high) {
  const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low) + 1;
  const uint64_t offset = span == 0 ? random_() : random_() % span;
  return static_cast<int64_t>(static_cast<uint64_t>(low) + offset);
}

float VectorDice::magnitude(float low, float high) {
  const float unit = static_cast<float>(random_() >> 40) * 0x1p-24f;
  return std::exp2(low + (high - low) * unit);
}

}  // namespace facsim::backends::detail
