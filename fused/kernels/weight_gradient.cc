// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/weight_gradient.h"

#include <algorithm>

#include "fused/kernels/direct_pass.h"
#include "fused/kernels/padded_images.h"
#include "fused/kernels/tiles.h"
#include "sim/core/tensor.h"

namespace facsim::fused::kernels {

namespace {

constexpr int64_t kMaxChunks = 16;
constexpr int64_t kMaxPartialSums = int64_t{1} << 22;
constexpr int64_t kPixelsInCache = 512;

/// Everything that does not depend on the chunk.
struct Plan {
  Plan(const Conv2dShape& s, int64_t oh_, int64_t ow_)
      : oh(oh_),
        ow(ow_),
        icg(s.ic / s.groups),
        ocg(s.oc / s.groups),
        depthwise(icg == 1 && ocg == 1 && s.groups > 1),
        taps(s.window.kernel[0] * s.window.kernel[1]),
        h(forward_axis(s.ih, oh, s.window.kernel[0], s.window.stride[0], s.window.dilation[0],
                       s.window.padding.top)),
        w(forward_axis(s.iw, ow, s.window.kernel[1], s.window.stride[1], s.window.dilation[1],
                       s.window.padding.left)),
        images(h, w, s.ic, depthwise ? round_up(s.ic, vector_width()) : s.ic),
        runs(contiguous_runs(h.phases[0], w.phases[0], images.top, images.left, images.row,
                             images.pixel, icg, s.groups == 1)),
        sums_step(depthwise ? images.pixel : round_up(ocg, block_width())),
        sums_size((depthwise ? taps : s.groups * taps * icg) * sums_step),
        // Loads of whole vectors pass the end of a group's channels: copy dy where memory might
        // end.
        dy_pixel(s.oc - loaded_channels(s) + round_up(loaded_channels(s), vector_width())),
        copy_dy(dy_pixel != s.oc),
        chunks(std::clamp<int64_t>(kMaxPartialSums / std::max<int64_t>(1, sums_size), 1,
                                   std::clamp<int64_t>(s.n, 1, kMaxChunks))),
        images_in_cache(std::max<int64_t>(1, kPixelsInCache / std::max<int64_t>(1, oh * ow))) {}

  /// Channels that one tile walks over.
  int64_t loaded_channels(const Conv2dShape& s) const { return depthwise ? s.oc : ocg; }

  int64_t oh, ow, icg, ocg;
  bool depthwise;
  int64_t taps;
  Axis h, w;
  PaddedImages images;
  Runs runs;
  int64_t sums_step, sums_size;
  int64_t dy_pixel;
  bool copy_dy;
  int64_t chunks;
  int64_t images_in_cache;
};

/// Adds the images [first, first + count), already in cache, to `sums`.
void accumulate(const Conv2dShape& s, const Plan& plan, const float* x, const float* dy,
                int64_t count, float* sums) {
  const int64_t dy_row = plan.ow * plan.dy_pixel;
  if (plan.depthwise) {
    accumulate_depthwise_gradient({.x = x,
                                   .x_image = plan.images.image,
                                   .x_row = plan.h.input_step * plan.images.row,
                                   .x_column = plan.w.input_step * plan.images.pixel,
                                   .dy = dy,
                                   .dy_image = plan.oh * dy_row,
                                   .dy_row = dy_row,
                                   .dy_column = plan.dy_pixel,
                                   .images = count,
                                   .rows = plan.oh,
                                   .columns = plan.ow,
                                   .taps = plan.runs.segments,
                                   .sums = sums,
                                   .sums_step = plan.sums_step});
    return;
  }
  for (int64_t g = 0; g < s.groups; ++g) {
    for (const int64_t segment : plan.runs.segments) {
      accumulate_gradient({.x = x + segment + g * plan.icg,
                           .x_image = plan.images.image,
                           .x_row = plan.h.input_step * plan.images.row,
                           .x_column = plan.w.input_step * plan.images.pixel,
                           .dy = dy + g * plan.ocg,
                           .dy_image = plan.oh * dy_row,
                           .dy_row = dy_row,
                           .dy_column = plan.dy_pixel,
                           .images = count,
                           .rows = plan.oh,
                           .columns = plan.ow,
                           .items = plan.runs.run,
                           .channels = plan.ocg,
                           .sums = sums,
                           .sums_step = plan.sums_step});
      sums += plan.runs.run * plan.sums_step;
    }
  }
}

/// dw[oc][tap][ic] from sums[chunk][group][tap][ic][oc of the group] (depthwise: [chunk][tap][oc]).
void add_chunks(const Conv2dShape& s, const Plan& plan, const float* sums, float* dw,
                sim::ThreadPool* pool) {
  constexpr int64_t kChannels = 16;  // a cache line of sums
  const int64_t size = plan.taps * plan.icg;
  const int64_t per_group = plan.depthwise ? s.oc : plan.ocg;
  const int64_t blocks = (per_group + kChannels - 1) / kChannels;
  sim::parallel_for(pool, s.oc / per_group * blocks, [&](int64_t index) {
    const int64_t group = index / blocks;
    const int64_t first = index % blocks * kChannels;
    const int64_t count = std::min(kChannels, per_group - first);
    const float* from = sums + group * size * plan.sums_step + first;
    float* to = dw + (group * per_group + first) * size;
    for (int64_t k = 0; k < size; ++k, from += plan.sums_step) {
      for (int64_t c = 0; c < count; ++c) {
        float sum = from[c];
        for (int64_t chunk = 1; chunk < plan.chunks; ++chunk)
          sum += from[chunk * plan.sums_size + c];
        to[c * size + k] = sum;
      }
    }
  });
}

}  // namespace

void weight_gradient(const Conv2dShape& s, const float* x, const float* dy, float* dw,
                     sim::ThreadPool* pool) {
  const auto [oh, ow] = s.window.output_extent(s.ih, s.iw);
  const Plan plan(s, oh, ow);
  Tensor sums(DType::float32, Shape{plan.chunks, plan.sums_size});
  const int64_t x_image = s.ih * s.iw * s.ic, dy_image = plan.oh * plan.ow * s.oc;
  const Axis dy_rows{.input = plan.oh}, dy_columns{.input = plan.ow};
  const PaddedImages dy_images(dy_rows, dy_columns, s.oc, plan.dy_pixel);
  float* all_sums = sums.data<float>();

  sim::parallel_for(pool, plan.chunks, [&](int64_t chunk) {
    const int64_t end = s.n * (chunk + 1) / plan.chunks;
    const int64_t x_size = round_up(plan.images.size(plan.images_in_cache, 1), 16);
    const int64_t dy_size = plan.copy_dy ? dy_images.size(plan.images_in_cache, 1) : 0;
    float* x_scratch = thread_scratch(x_size + dy_size);
    float* dy_scratch = x_scratch + x_size;
    for (int64_t n = s.n * chunk / plan.chunks; n < end; n += plan.images_in_cache) {
      const int64_t count = std::min(plan.images_in_cache, end - n);
      for (int64_t i = 0; i < count; ++i) {
        plan.images.copy(x + (n + i) * x_image, x_scratch + i * plan.images.image);
        if (plan.copy_dy) {
          dy_images.copy(dy + (n + i) * dy_image, dy_scratch + i * dy_images.image);
        }
      }
      accumulate(s, plan, x_scratch, plan.copy_dy ? dy_scratch : dy + n * dy_image, count,
                 all_sums + chunk * plan.sums_size);
    }
  });
  add_chunks(s, plan, all_sums, dw, pool);
}

}  // namespace facsim::fused::kernels
