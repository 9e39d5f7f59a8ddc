// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/bf16.h"

#include "fused/kernels/tiles_bf16-internal.h"
#include "sim/core/check.h"

namespace facsim::fused::kernels {

static_assert(kBf16Block == kBf16Lanes);

bool bf16_supported() { return bf16_tiles().convolve != nullptr; }

void convolve_bf16(const ConvTiles& tiles) {
  const Bf16Tiles kernels = bf16_tiles();
  FACSIM_CHECK(kernels.convolve != nullptr);
  kernels.convolve({tiles.groups.data(), static_cast<int64_t>(tiles.groups.size()),
                    tiles.pixel_step, tiles.output_step, tiles.segments.data(),
                    static_cast<int64_t>(tiles.segments.size()), tiles.run, tiles.weights,
                    tiles.channels});
}

void accumulate_gradient_bf16(const GradientTiles& tiles) {
  const Bf16Tiles kernels = bf16_tiles();
  FACSIM_CHECK(kernels.accumulate != nullptr);
  kernels.accumulate(tiles);
}

}  // namespace facsim::fused::kernels
