// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_backward.h"

#include <algorithm>
#include <optional>

#include "fused/kernels/direct_pass.h"
#include "fused/kernels/padded_images.h"
#include "fused/kernels/passes-internal.h"
#include "fused/kernels/tiles.h"
#include "sim/core/tensor.h"

namespace facsim::fused::kernels {

namespace {

constexpr int64_t kMaxChunks = 16;
constexpr int64_t kPixelsInCache = 512;
/// Partial sums of more floats than this are not kept per chunk of images: every task owns some
/// outputs and walks over all images instead.
constexpr int64_t kMaxPartialSums = int64_t{1} << 17;
/// Items (kernel column, input channel) of such a task.
constexpr int64_t kItemsPerTask = 96;

PaddedImages unpadded(int64_t rows, int64_t columns, int64_t channels, int64_t pixel) {
  return {Axis{.input = rows}, Axis{.input = columns}, channels, pixel};
}

/// Everything that follows from the shape.
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
        x(h, w, s.ic, depthwise ? round_up(s.ic, vector_width()) : s.ic),
        runs(contiguous_runs(h.phases[0], w.phases[0], x.top, x.left, x.row, x.pixel, icg,
                             s.groups == 1)),
        sums_step(depthwise ? x.pixel : round_up(ocg, block_width())),
        sums_size((depthwise ? taps : s.groups * taps * icg) * sums_step),
        by_output(s.groups == 1 && taps * icg * ocg > kMaxPartialSums),
        chunks(std::clamp<int64_t>(s.n, 1, kMaxChunks)),
        images_in_cache(std::max<int64_t>(1, kPixelsInCache / std::max<int64_t>(1, oh * ow))) {}

  int64_t oh, ow, icg, ocg;
  bool depthwise;
  int64_t taps;
  Axis h, w;
  PaddedImages x;  ///< layout of the inputs
  Runs runs;
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

/// One run of taps: sums[item][channel] += x * dz over the images.
void accumulate_run(const Plan& plan, const LaidOut& images, int64_t x_offset, int64_t dz_offset,
                    int64_t items, int64_t channels, float* sums, int64_t sums_step) {
  accumulate_gradient({.x = images.x + x_offset,
                       .x_image = plan.x.image,
                       .x_row = plan.h.input_step * plan.x.row,
                       .x_column = plan.w.input_step * plan.x.pixel,
                       .dy = images.first_dz() + dz_offset,
                       .dy_image = images.dz_layout.image,
                       .dy_row = images.dz_layout.row,
                       .dy_column = images.dz_layout.pixel,
                       .images = images.count,
                       .rows = plan.oh,
                       .columns = plan.ow,
                       .items = items,
                       .channels = channels,
                       .sums = sums,
                       .sums_step = sums_step});
}

/// All outputs: sums[group][tap][ic][oc of the group], depthwise [tap][oc].
void accumulate_all(const Conv2dShape& s, const Plan& plan, const LaidOut& images, float* sums) {
  if (plan.depthwise) {
    accumulate_depthwise_gradient({.x = images.x,
                                   .x_image = plan.x.image,
                                   .x_row = plan.h.input_step * plan.x.row,
                                   .x_column = plan.w.input_step * plan.x.pixel,
                                   .dy = images.first_dz(),
                                   .dy_image = images.dz_layout.image,
                                   .dy_row = images.dz_layout.row,
                                   .dy_column = images.dz_layout.pixel,
                                   .images = images.count,
                                   .rows = plan.oh,
                                   .columns = plan.ow,
                                   .taps = plan.runs.segments,
                                   .sums = sums,
                                   .sums_step = plan.sums_step});
    return;
  }
  for (int64_t g = 0; g < s.groups; ++g) {
    for (const int64_t segment : plan.runs.segments) {
      accumulate_run(plan, images, segment + g * plan.icg, g * plan.ocg, plan.runs.run, plan.ocg,
                     sums, plan.sums_step);
      sums += plan.runs.run * plan.sums_step;
    }
  }
}

/// to[c * to_step + k] = sum over chunks of from[chunk * chunk_step + k * from_step + c].
struct Transposition {
  const float* from;
  int64_t chunks, chunk_step, from_step;
  int64_t items, channels;
  float* to;
  int64_t to_step;
};
void add_transposed(const Transposition& t) {
  constexpr int64_t kChannels = 16, kItems = 64;
  float block[kItems][kChannels];
  for (int64_t c = 0; c < t.channels; c += kChannels) {
    for (int64_t k = 0; k < t.items; k += kItems) {
      const int64_t items = std::min(kItems, t.items - k);
      const int64_t channels = std::min(kChannels, t.channels - c);
      for (int64_t i = 0; i < items; ++i) {
        const float* from = t.from + (k + i) * t.from_step + c;
        if (channels == kChannels) {  // vectors
          std::copy_n(from, kChannels, block[i]);
          for (int64_t chunk = 1; chunk < t.chunks; ++chunk) {
            from += t.chunk_step;
            for (int64_t j = 0; j < kChannels; ++j) block[i][j] += from[j];
          }
          continue;
        }
        std::copy_n(from, channels, block[i]);
        for (int64_t chunk = 1; chunk < t.chunks; ++chunk) {
          from += t.chunk_step;
          for (int64_t j = 0; j < channels; ++j) block[i][j] += from[j];
        }
      }
      for (int64_t j = 0; j < channels; ++j) {
        float* to = t.to + (c + j) * t.to_step + k;
        for (int64_t i = 0; i < items; ++i) to[i] = block[i][j];
      }
    }
  }
}

/// dw[oc][tap][ic] from sums[chunk][group][tap][ic][oc of the group] (depthwise: [chunk][tap][oc]).
void add_chunks(const Conv2dShape& s, const Plan& plan, const float* sums, float* dw,
                sim::ThreadPool* pool) {
  constexpr int64_t kItems = 64;
  const int64_t size = plan.taps * plan.icg;
  const int64_t per_group = plan.depthwise ? s.oc : plan.ocg;
  const int64_t parts = (size + kItems - 1) / kItems;
  sim::parallel_for(pool, s.oc / per_group * parts, [&](int64_t index) {
    const int64_t group = index / parts;
    const int64_t first = index % parts * kItems;
    add_transposed({.from = sums + (group * size + first) * plan.sums_step,
                    .chunks = plan.chunks,
                    .chunk_step = plan.sums_size,
                    .from_step = plan.sums_step,
                    .items = std::min(kItems, size - first),
                    .channels = per_group,
                    .to = dw + group * per_group * size + first,
                    .to_step = size});
  });
}

/// dw over all images at once, one task per block of outputs.
void accumulate_by_output(const Plan& plan, const LaidOut& all, float* dw, sim::ThreadPool* pool) {
  const int64_t block = block_width();
  const int64_t size = plan.taps * plan.icg;
  const int64_t run = plan.runs.run;
  const int64_t blocks = (plan.ocg + block - 1) / block;
  const int64_t parts = (run + kItemsPerTask - 1) / kItemsPerTask;
  const auto segments = static_cast<int64_t>(plan.runs.segments.size());
  sim::parallel_for(pool, segments * parts * blocks, [&](int64_t task) {
    const int64_t segment = task / (parts * blocks);
    const int64_t part = task / blocks % parts;
    const int64_t channel = task % blocks * block;
    const int64_t item = run * part / parts;
    const int64_t items = run * (part + 1) / parts - item;
    const int64_t channels = std::min(block, plan.ocg - channel);
    float* sums = thread_scratch(items * block);
    std::fill_n(sums, items * block, 0.0f);
    for (int64_t n = 0; n < all.count; n += plan.images_in_cache) {
      const LaidOut images{all.x + n * plan.x.image, all.dz + n * all.dz_layout.image,
                           all.dz_layout, std::min(plan.images_in_cache, all.count - n)};
      accumulate_run(plan, images, plan.runs.segments[static_cast<size_t>(segment)] + item, channel,
                     items, channels, sums, block);
    }
    add_transposed({.from = sums,
                    .chunks = 1,
                    .chunk_step = 0,
                    .from_step = block,
                    .items = items,
                    .channels = channels,
                    .to = dw + channel * size + segment * run + item,
                    .to_step = size});
  });
}

}  // namespace

void conv2d_backward(const BackwardPass& pass, sim::ThreadPool* pool) {
  const Conv2dShape s = with_wide_rows(pass.shape);
  const auto [oh, ow] = s.window.output_extent(s.ih, s.iw);
  const Plan plan(s, oh, ow);
  std::optional<PackedPass> input_gradient;
  if (pass.dx != nullptr) input_gradient.emplace(input_gradient_pass(s), pass.w, pool);
  const PaddedImages dz = input_gradient
                              ? input_gradient->images()
                              : unpadded(oh, ow, s.oc, plan.depthwise ? plan.x.pixel : s.oc);
  const auto dz_size = [&](int64_t count) {
    // Vectors of channels are loaded whole.
    const int64_t size = dz.size(count, 1) + vector_width();
    return input_gradient ? std::max(size, input_gradient->scratch_size(count)) : size;
  };
  const auto x_size = [&](int64_t count) { return round_up(plan.x.size(count, 1), 16); };
  const int64_t x_image = s.ih * s.iw * s.ic, dz_pixels = oh * ow;

  Tensor sums, all_x, all_dz;
  if (plan.by_output) {
    all_x = Tensor::uninitialized(DType::float32, Shape{x_size(s.n)});
    all_dz = Tensor::uninitialized(DType::float32, Shape{dz_size(s.n)});
  } else {
    sums = Tensor(DType::float32, Shape{plan.chunks, plan.sums_size});
  }
  sim::parallel_for(pool, plan.chunks, [&](int64_t chunk) {
    const int64_t end = s.n * (chunk + 1) / plan.chunks;
    float* scratch =
        plan.by_output
            ? nullptr
            : thread_scratch(x_size(plan.images_in_cache) + dz_size(plan.images_in_cache));
    for (int64_t n = s.n * chunk / plan.chunks; n < end; n += plan.images_in_cache) {
      const int64_t count = std::min(plan.images_in_cache, end - n);
      float* x_images = scratch;
      float* dz_images = scratch + x_size(plan.images_in_cache);
      if (plan.by_output) {
        x_images = all_x.data<float>() + n * plan.x.image;
        dz_images = all_dz.data<float>() + n * dz.image;
      }
      for (int64_t i = 0; i < count; ++i) {
        plan.x.lay_out(x_images + i * plan.x.image, [&](int64_t pixel, int64_t pixels, float* to) {
          real_elements(pass.x, (n + i) * x_image + pixel * s.ic, pixels * s.ic, to);
        });
        dz.lay_out(dz_images + i * dz.image, [&](int64_t pixel, int64_t pixels, float* to) {
          gradient_rows(pass.dz, (n + i) * dz_pixels + pixel, pixels, to);
        });
      }
      if (!plan.by_output) {
        accumulate_all(s, plan, {x_images, dz_images, dz, count},
                       sums.data<float>() + chunk * plan.sums_size);
      }
      if (input_gradient) input_gradient->run(dz_images, count, pass.dx + n * x_image);
    }
  });
  if (plan.by_output) {
    accumulate_by_output(plan, {all_x.data<float>(), all_dz.data<float>(), dz, s.n}, pass.dw, pool);
  } else {
    add_chunks(s, plan, sums.data<float>(), pass.dw, pool);
  }
}

}  // namespace facsim::fused::kernels
