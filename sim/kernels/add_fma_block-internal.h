// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace facsim::sim {

/// The constants of AddFma (sim/ops/add_fma.h); every result is within +-2^22 before the clamp.
struct AddFmaBlock {
  float lhs_ratio, rhs_ratio, offset;
  float clamp_min, clamp_max;
};

/// out[i] = clamp(half_even(fma(a[i], lhs_ratio, fma(b[i], rhs_ratio, offset)))), inside a
/// FloatMode.
template <class Code>
using AddFmaKernel = void (*)(const AddFmaBlock& block, const Code* a, const Code* b, int64_t count,
                              Code* out);

/// Null where the instruction set has no fused multiply-add.
AddFmaKernel<int8_t> add_fma_int8(size_t dispatch_index);
AddFmaKernel<uint8_t> add_fma_uint8(size_t dispatch_index);

}  // namespace facsim::sim
