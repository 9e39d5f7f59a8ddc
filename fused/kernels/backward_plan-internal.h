// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "fused/kernels/bf16.h"
#include "fused/kernels/conv2d_f32.h"
#include "fused/kernels/direct_pass.h"
#include "fused/kernels/padded_images.h"
#include "fused/kernels/tiles.h"

namespace facsim::fused::kernels {

constexpr int64_t kMaxChunks = 16;
constexpr int64_t kPixelsInCache = 512;
/// Layers of more weights than this keep no partial sums per chunk of images: every task owns some
/// outputs and walks over all images instead.
constexpr int64_t kMaxPartialSums = int64_t{1} << 18;
/// Floats of all chunks' partial sums, while there are at least four.
constexpr int64_t kAllPartialSums = int64_t{1} << 19;

/// Chunks of about 128 pixels, at least eight: many weights pass through the cache for each.
inline int64_t chunks_of_few_pixels(int64_t images, int64_t pixels) {
  const int64_t count =
      std::clamp<int64_t>(128 / std::max<int64_t>(1, pixels), 1, std::max<int64_t>(1, images / 8));
  return std::max<int64_t>(1, (images + count - 1) / count);
}

/// Everything that follows from the shape.
struct BackwardPlan {
  BackwardPlan(const Conv2dShape& s, int64_t oh_, int64_t ow_, Arithmetic arithmetic_)
      : arithmetic(arithmetic_),
        oh(oh_),
        ow(ow_),
        icg(s.ic / s.groups),
        ocg(s.oc / s.groups),
        depthwise(icg == 1 && ocg == 1 && s.groups > 1),
        taps(s.window.kernel[0] * s.window.kernel[1]),
        h(forward_axis(s.ih, oh, s.window.kernel[0], s.window.stride[0], s.window.dilation[0],
                       s.window.padding.top)),
        w(forward_axis(s.iw, ow, s.window.kernel[1], s.window.stride[1], s.window.dilation[1],
                       s.window.padding.left)),
        x(h, w, s.ic, depthwise ? round_up(s.ic, vector_width()) : s.ic),
        runs(contiguous_runs(h.phases[0], w.phases[0], x.top, x.left, x.row, x.pixel, icg,
                             s.groups == 1)),
        block(arithmetic == Arithmetic::bf16 ? kBf16Block : block_width()),
        sums_step(depthwise ? x.pixel : round_up(ocg, block)),
        sums_size((depthwise ? taps : s.groups * taps * icg) * sums_step),
        by_output(s.groups == 1 && taps * icg * ocg > kMaxPartialSums),
        chunks(by_output
                   ? chunks_of_few_pixels(s.n, oh * ow)
                   : std::clamp<int64_t>(
                         std::max<int64_t>(4, kAllPartialSums / std::max<int64_t>(1, sums_size)), 1,
                         std::clamp<int64_t>(s.n, 1, kMaxChunks))),
        images_in_cache(std::max<int64_t>(1, kPixelsInCache / std::max<int64_t>(1, oh * ow))) {}

  /// Columns that one step of a weight gradient's sum takes.
  int64_t pixels_per_step() const { return arithmetic == Arithmetic::bf16 ? 2 : 1; }

  Arithmetic arithmetic;
  int64_t oh, ow, icg, ocg;
  bool depthwise;
  int64_t taps;
  Axis h, w;
  PaddedImages x;  ///< layout of the inputs
  Runs runs;
  int64_t block;  ///< output channels of one tile
  int64_t sums_step, sums_size;
  bool by_output;
  int64_t chunks;
  int64_t images_in_cache;
};

/// Neighbouring images laid out for the tiles: dz may be padded as the input gradient wants it.
struct LaidOut {
  const float* x;
  const float* dz;  ///< of the first image, padding included
  const PaddedImages& dz_layout;
  int64_t count;

  /// The first pixel that is no padding.
  const float* first_dz() const {
    return dz + dz_layout.top * dz_layout.row + dz_layout.left * dz_layout.pixel;
  }
};

}  // namespace facsim::fused::kernels
