// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/weight_sums-internal.h"

namespace facsim::fused::kernels {

namespace {

/// Items (kernel column, input channel) and output channels of a task that owns outputs: what it
/// gathers is read from far memory once, and stays in the second cache, a block of dz in the first.
constexpr int64_t kItemsPerTask = 192, kChannelsPerTask = 256;
constexpr int64_t kGatheredSteps = 128;

void run_tiles(const BackwardPlan& plan, const GradientTiles& tiles) {
  if (plan.arithmetic == Arithmetic::bf16) {
    accumulate_gradient_bf16(tiles);
  } else {
    accumulate_gradient(tiles);
  }
}

/// One run of taps: sums[item][channel] += x * dz over the images.
void accumulate_run(const BackwardPlan& plan, const LaidOut& images, int64_t x_offset,
                    int64_t dz_offset, int64_t items, int64_t channels, float* sums,
                    int64_t sums_step) {
  const int64_t pixels = plan.pixels_per_step();
  const GradientTiles tiles{.x = images.x + x_offset,
                            .x_image = plan.x.image,
                            .x_row = plan.h.input_step * plan.x.row,
                            .x_column = pixels * plan.w.input_step * plan.x.pixel,
                            .dy = images.first_dz() + dz_offset,
                            .dy_image = images.dz_layout.image,
                            .dy_row = images.dz_layout.row,
                            .dy_column = images.dz_layout.pixel,
                            .images = images.count,
                            .rows = plan.oh,
                            .columns = (plan.ow + pixels - 1) / pixels,
                            .items = items,
                            .channels = channels,
                            .sums = sums,
                            .sums_step = sums_step};
  run_tiles(plan, tiles);
}

/// to[c * to_step + k] = factor[c] * sum over chunks of from[chunk * chunk_step + k * from_step +
/// c].
struct Transposition {
  const float* from;
  int64_t chunks, chunk_step, from_step;
  int64_t items, channels;
  const float* factor;  ///< null: 1
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
        if (c + kChannels <= t.from_step) {  // vectors; those of no channel are not written
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
        if (t.factor == nullptr) {
          for (int64_t i = 0; i < items; ++i) to[i] = block[i][j];
        } else {
          const float factor = t.factor[c + j];
          for (int64_t i = 0; i < items; ++i) to[i] = factor * block[i][j];
        }
      }
    }
  }
}

/// The operands of some outputs (items of one run by channels), gathered from many pixels into
/// memory that stays in the cache: the tiles walk over them once per 12 items or 32 channels.
class Gathered {
 public:
  Gathered(const BackwardPlan& plan, int64_t items, int64_t channels)
      : plan_(plan),
        items_(items),
        channels_(channels),
        width_(round_up(channels, plan.block)),
        memory_(thread_scratch(size(plan, items, channels))),
        sums_(memory_),
        x_(sums_ + items * width_),
        dz_(x_ + kSteps * items) {
    std::fill_n(sums_, items * width_, 0.0f);
  }

  /// A row of steps that lie x_step and dz_step apart.
  void add(const float* x, int64_t x_step, const float* dz, int64_t dz_step, int64_t steps) {
    while (steps > 0) {
      const int64_t part = std::min(steps, kSteps - count_);
      copy_rows({x, x_step, part, items_, x_ + count_ * items_, items_});
      for (int64_t c = 0; c < channels_; c += plan_.block) {
        copy_rows({dz + c, dz_step, part, std::min(plan_.block, channels_ - c),
                   dz_ + c * kSteps + count_ * plan_.block, plan_.block});
      }
      count_ += part;
      steps -= part;
      x += part * x_step;
      dz += part * dz_step;
      if (count_ == kSteps) accumulate();
    }
  }

  /// [item][sums_step]
  const float* sums() {
    accumulate();
    return sums_;
  }
  int64_t sums_step() const { return width_; }

 private:
  static constexpr int64_t kSteps = kGatheredSteps;

  static int64_t size(const BackwardPlan& plan, int64_t items, int64_t channels) {
    const int64_t width = round_up(channels, plan.block);
    return items * width + kSteps * (items + width);
  }

  void accumulate() {
    for (int64_t c = 0; c < channels_; c += plan_.block) {
      const GradientTiles tiles{.x = x_,
                                .x_image = 0,
                                .x_row = 0,
                                .x_column = items_,
                                .dy = dz_ + c * kSteps,
                                .dy_image = 0,
                                .dy_row = 0,
                                .dy_column = plan_.block,
                                .images = 1,
                                .rows = 1,
                                .columns = count_,
                                .items = items_,
                                .channels = std::min(plan_.block, channels_ - c),
                                .sums = sums_ + c,
                                .sums_step = width_};
      run_tiles(plan_, tiles);
    }
    count_ = 0;
  }

  const BackwardPlan& plan_;
  int64_t items_, channels_, width_;
  float* memory_;
  float* sums_;
  float* x_;
  float* dz_;
  int64_t count_ = 0;
};

}  // namespace

void accumulate_all(const Conv2dShape& s, const BackwardPlan& plan, const LaidOut& images,
                    float* sums) {
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

/// dw[oc][tap][ic] from sums[chunk][group][tap][ic][oc of the group] (depthwise: [chunk][tap][oc]).
void add_chunks(const Conv2dShape& s, const BackwardPlan& plan, const float* sums,
                const float* factor, float* dw, sim::ThreadPool* pool) {
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
                    .factor = factor,
                    .to = dw + group * per_group * size + first,
                    .to_step = size});
  });
}

void accumulate_by_output(const BackwardPlan& plan, const LaidOut& all, const float* factor,
                          float* dw, sim::ThreadPool* pool) {
  const int64_t size = plan.taps * plan.icg;
  const int64_t run = plan.runs.run;
  const auto segments = static_cast<int64_t>(plan.runs.segments.size());
  const int64_t pixels = plan.pixels_per_step();
  // Smaller tasks where there would be too few for the threads; no bit depends on it.
  const int64_t wanted = pool == nullptr ? 1 : 4 * pool->threads();
  int64_t items_per_task = kItemsPerTask, channels_per_task = kChannelsPerTask;
  int64_t parts = 0, blocks = 0;
  for (;; items_per_task /= 2, channels_per_task /= 2) {
    parts = (run + items_per_task - 1) / items_per_task;
    blocks = (plan.ocg + channels_per_task - 1) / channels_per_task;
    if (segments * parts * blocks >= wanted || items_per_task <= kItemsPerTask / 4) break;
  }
  sim::parallel_for(pool, segments * parts * blocks, [&](int64_t task) {
    const int64_t segment = task / (parts * blocks);
    const int64_t part = task / blocks % parts;
    const int64_t channel = task % blocks * channels_per_task;
    const int64_t item = run * part / parts;
    const int64_t items = run * (part + 1) / parts - item;
    const int64_t channels = std::min(channels_per_task, plan.ocg - channel);
    const int64_t offset = plan.runs.segments[static_cast<size_t>(segment)] + item;
    Gathered gathered(plan, items, channels);
    for (int64_t n = 0; n < all.count; ++n) {
      for (int64_t row = 0; row < plan.oh; ++row) {
        gathered.add(all.x + n * plan.x.image + row * plan.h.input_step * plan.x.row + offset,
                     pixels * plan.w.input_step * plan.x.pixel,
                     all.first_dz() + n * all.dz_layout.image + row * all.dz_layout.row + channel,
                     all.dz_layout.pixel, (plan.ow + pixels - 1) / pixels);
      }
    }
    add_transposed({.from = gathered.sums(),
                    .chunks = 1,
                    .chunk_step = 0,
                    .from_step = gathered.sums_step(),
                    .items = items,
                    .channels = channels,
                    .factor = factor == nullptr ? nullptr : factor + channel,
                    .to = dw + channel * size + segment * run + item,
                    .to_step = size});
  });
}

}  // namespace facsim::fused::kernels
