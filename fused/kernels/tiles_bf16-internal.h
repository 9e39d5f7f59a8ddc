// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fused/kernels/tiles.h"

namespace facsim::fused::kernels {

constexpr int64_t kBf16Lanes = 32;  ///< output channels of one weight block

/// ConvTiles in plain pointers: the file compiled for AVX-512 calls no inline function of a shared
/// header, whose AVX-512 copy the linker could give to other files.
struct Bf16Conv {
  const PixelGroup* groups;
  int64_t group_count;
  int64_t pixel_step, output_step;
  const int64_t* segments;
  int64_t segment_count;
  int64_t run;
  const float* weights;
  int64_t channels;
};

struct Bf16Tiles {
  void (*convolve)(const Bf16Conv&);
  void (*accumulate)(const GradientTiles&);
};
/// Null pointers where this build or CPU lacks AVX-512 BF16.
Bf16Tiles bf16_tiles();

}  // namespace facsim::fused::kernels
