// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "fused/kernels/channel_pass.h"

namespace facsim::fused::kernels {

// Makes what bf16.h's kernels read. All in the calling thread, with the same bits on every target.

/// out[i] = to_bf16(values[i]).
void round_to_bf16(const float* values, int64_t count, uint16_t* out);
/// out[i] = code first + i minus the zero point, of x: at most 8 bits, so exact. The scale is left
/// to the caller.
void centred_bf16(const Activations& x, int64_t first, int64_t count, uint16_t* out);
/// Words of low[i] and high[i].
void interleave(const uint16_t* low, const uint16_t* high, int64_t count, float* words);

}  // namespace facsim::fused::kernels
