// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/direct_pass.h"

#include <algorithm>

#include "fused/kernels/bf16.h"

namespace facsim::fused::kernels {

namespace {

constexpr int64_t kGroupPixels = 4;
constexpr int64_t kPixelsPerTask = 128;

bool is_depthwise(const DirectPass& pass) {
  return pass.items == 1 && pass.channels == 1 && pass.groups > 1;
}

PaddedImages layout_of(const DirectPass& pass) {
  const int64_t channels = pass.groups * pass.items;
  return {pass.h, pass.w, channels,
          is_depthwise(pass) ? round_up(channels, vector_width()) : channels};
}

}  // namespace

/// weights[group][block][row tap][column tap][item][channel of the block].
void PackedPass::pack_dense(const float* w, Prepared& p, sim::ThreadPool* pool) const {
  const DirectPass& pass = pass_;
  const int64_t block = pass.arithmetic == Arithmetic::bf16 ? kBf16Block : block_width();
  const int64_t blocks = (pass.channels + block - 1) / block;
  const auto taps = static_cast<int64_t>(p.rows->kernel.size() * p.columns->kernel.size());
  const int64_t block_size = taps * pass.items * block;
  p.group_weights = blocks * block_size;
  const Shape size{std::max<int64_t>(1, pass.groups * p.group_weights)};
  p.weights = pass.channels % block == 0 ? Tensor::uninitialized(DType::float32, size)
                                         : Tensor(DType::float32, size);
  float* packed = p.weights.data<float>();
  sim::parallel_for(pool, pass.groups * blocks, [&](int64_t index) {
    const int64_t first = index % blocks * block;
    const int64_t lanes = std::min(block, pass.channels - first);
    const float* base = w + index / blocks * pass.group_step + first * pass.channel_step;
    float* to = packed + index * block_size;
    for (const int64_t row : p.rows->kernel) {
      for (const int64_t column : p.columns->kernel) {
        const float* from = base + (row * pass.kernel_columns + column) * pass.tap_step;
        if (pass.channel_step == 1) {
          for (int64_t k = 0; k < pass.items; ++k) {
            std::copy_n(from + k * pass.item_step, lanes, to + k * block);
          }
        } else {
          for (int64_t lane = 0; lane < lanes; ++lane) {
            for (int64_t k = 0; k < pass.items; ++k) {
              to[k * block + lane] = from[lane * pass.channel_step + k * pass.item_step];
            }
          }
        }
        to += pass.items * block;
      }
    }
  });
}

/// weights[row tap][column tap][channel]; every group has one channel.
void PackedPass::pack_depthwise(const float* w, Prepared& p) const {
  const DirectPass& pass = pass_;
  const int64_t pixel = images_.pixel;
  const auto taps = static_cast<int64_t>(p.rows->kernel.size() * p.columns->kernel.size());
  p.weights = Tensor(DType::float32, Shape{std::max<int64_t>(1, taps * pixel)});
  float* to = p.weights.data<float>();
  for (const int64_t row : p.rows->kernel) {
    for (const int64_t column : p.columns->kernel) {
      const float* from = w + (row * pass.kernel_columns + column) * pass.tap_step;
      for (int64_t g = 0; g < pass.groups; ++g) to[g] = from[g * pass.group_step];
      to += pixel;
    }
  }
}

/// The pixel groups of one phase of the images in `padded`.
void PackedPass::list_groups(const Prepared& p, const float* padded, float* out, int64_t count,
                             std::vector<PixelGroup>& groups) const {
  const DirectPass& pass = pass_;
  const PaddedImages& images = images_;
  const int64_t out_pixel = pass.groups * pass.channels;
  const int64_t out_row = pass.w.output * out_pixel;
  groups.clear();
  for (int64_t n = 0; n < count; ++n) {
    for (int64_t row = 0; row < p.rows->count; ++row) {
      const float* x = padded + n * images.image + row * pass.h.input_step * images.row;
      float* y = out + n * pass.h.output * out_row +
                 (p.rows->first + row * pass.h.output_step) * out_row +
                 p.columns->first * out_pixel;
      for (int64_t column = 0; column < p.columns->count; column += kGroupPixels) {
        groups.push_back({x + column * pass.w.input_step * images.pixel,
                          y + column * pass.w.output_step * out_pixel,
                          static_cast<int>(std::min(kGroupPixels, p.columns->count - column))});
      }
    }
  }
}

Runs contiguous_runs(const Phase& rows, const Phase& columns, int64_t top, int64_t left,
                     int64_t row_step, int64_t pixel_step, int64_t items, bool merge) {
  for (size_t i = 1; i < columns.offset.size(); ++i) {
    merge = merge && columns.offset[i] == columns.offset[i - 1] + 1;
  }
  Runs runs;
  runs.taps_per_run = merge ? static_cast<int64_t>(columns.offset.size()) : 1;
  runs.run = items * runs.taps_per_run;
  for (const int64_t row : rows.offset) {
    for (size_t c = 0; c < columns.offset.size(); c += static_cast<size_t>(runs.taps_per_run)) {
      runs.segments.push_back((row + top) * row_step + (columns.offset[c] + left) * pixel_step);
    }
  }
  return runs;
}

PackedPass::PackedPass(DirectPass pass, const float* weights, sim::ThreadPool* pool)
    : pass_(std::move(pass)), depthwise_(is_depthwise(pass_)), images_(layout_of(pass_)) {
  for (const Phase& rows : pass_.h.phases) {
    for (const Phase& columns : pass_.w.phases) {
      Prepared p{.rows = &rows,
                 .columns = &columns,
                 .runs = contiguous_runs(rows, columns, images_.top, images_.left, images_.row,
                                         images_.pixel, pass_.items, pass_.groups == 1),
                 .weights = {}};
      if (depthwise_) {
        pack_depthwise(weights, p);
      } else {
        pack_dense(weights, p, pool);
      }
      phases_.push_back(std::move(p));
    }
  }
}

int64_t PackedPass::scratch_size(int64_t count) const {
  // A group's unused pixels are read too.
  return images_.size(count, kGroupPixels * pass_.w.input_step + 1);
}

void PackedPass::run(const float* padded, int64_t count, float* out) const {
  const int64_t out_channels = pass_.groups * pass_.channels;
  const int64_t pixel_step = pass_.w.input_step * images_.pixel;
  const int64_t output_step = pass_.w.output_step * out_channels;
  std::vector<PixelGroup> groups;
  for (const Prepared& p : phases_) {
    list_groups(p, padded, out, count, groups);
    if (depthwise_) {
      convolve_depthwise({.groups = groups,
                          .pixel_step = pixel_step,
                          .output_step = output_step,
                          .taps = p.runs.segments,
                          .weights = p.weights.data<float>(),
                          .weights_step = images_.pixel,
                          .channels = out_channels});
      continue;
    }
    for (int64_t g = 0; g < pass_.groups; ++g) {
      const ConvTiles tiles{.groups = groups,
                            .pixel_step = pixel_step,
                            .output_step = output_step,
                            .segments = p.runs.segments,
                            .run = p.runs.run,
                            .weights = p.weights.data<float>() + g * p.group_weights,
                            .channels = pass_.channels};
      if (pass_.arithmetic == Arithmetic::bf16) {
        convolve_bf16(tiles);
      } else {
        convolve(tiles);
      }
      for (PixelGroup& group : groups) {
        group.x += pass_.items;
        group.y += pass_.channels;
      }
    }
  }
}

void run(const DirectPass& pass, const float* in, const float* weights, float* out,
         sim::ThreadPool* pool) {
  const PackedPass packed(pass, weights, pool);
  const PaddedImages& images = packed.images();
  const int64_t out_image = pass.h.output * pass.w.output * pass.groups * pass.channels;
  const int64_t in_image = pass.h.input * pass.w.input * pass.groups * pass.items;
  const int64_t pixels = std::max<int64_t>(1, pass.h.output * pass.w.output);
  const int64_t per_task =
      std::clamp<int64_t>(kPixelsPerTask / pixels, 1, std::max<int64_t>(1, pass.n / 8));
  sim::parallel_for(pool, (pass.n + per_task - 1) / per_task, [&](int64_t task) {
    const int64_t first = task * per_task;
    const int64_t count = std::min(per_task, pass.n - first);
    float* scratch = thread_scratch(packed.scratch_size(count));
    for (int64_t n = 0; n < count; ++n) {
      images.copy(in + (first + n) * in_image, scratch + n * images.image);
    }
    packed.run(scratch, count, out + first * out_image);
  });
}

}  // namespace facsim::fused::kernels
