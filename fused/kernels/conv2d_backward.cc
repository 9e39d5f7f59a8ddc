// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_backward.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "fused/kernels/bf16.h"
#include "fused/kernels/bf16_rows.h"
#include "fused/kernels/direct_pass.h"
#include "fused/kernels/padded_images.h"
#include "fused/kernels/passes-internal.h"
#include "fused/kernels/tiles.h"
#include "sim/core/tensor.h"

namespace facsim::fused::kernels {

namespace {

constexpr int64_t kMaxChunks = 16;
constexpr int64_t kPixelsInCache = 512;
/// Layers of more weights than this keep no partial sums per chunk of images: every task owns some
/// outputs and walks over all images instead.
constexpr int64_t kMaxPartialSums = int64_t{1} << 18;
/// Floats of all chunks' partial sums, while there are at least four.
constexpr int64_t kAllPartialSums = int64_t{1} << 19;
/// Items (kernel column, input channel) and output channels of a task that owns outputs: what it
/// gathers is read from far memory once, and stays in the second cache, a block of dz in the first.
constexpr int64_t kItemsPerTask = 192, kChannelsPerTask = 256;
constexpr int64_t kGatheredSteps = 128;

PaddedImages unpadded(int64_t rows, int64_t columns, int64_t channels, int64_t pixel) {
  return {Axis{.input = rows}, Axis{.input = columns}, channels, pixel};
}

/// Chunks of about 128 pixels, at least eight: many weights pass through the cache for each.
int64_t chunks_of_few_pixels(int64_t images, int64_t pixels) {
  const int64_t count =
      std::clamp<int64_t>(128 / std::max<int64_t>(1, pixels), 1, std::max<int64_t>(1, images / 8));
  return std::max<int64_t>(1, (images + count - 1) / count);
}

/// Everything that follows from the shape.
struct Plan {
  Plan(const Conv2dShape& s, int64_t oh_, int64_t ow_, Arithmetic arithmetic_)
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

void run_tiles(const Plan& plan, const GradientTiles& tiles) {
  if (plan.arithmetic == Arithmetic::bf16) {
    accumulate_gradient_bf16(tiles);
  } else {
    accumulate_gradient(tiles);
  }
}

/// One run of taps: sums[item][channel] += x * dz over the images.
void accumulate_run(const Plan& plan, const LaidOut& images, int64_t x_offset, int64_t dz_offset,
                    int64_t items, int64_t channels, float* sums, int64_t sums_step) {
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

/// dw[oc][tap][ic] from sums[chunk][group][tap][ic][oc of the group] (depthwise: [chunk][tap][oc]).
void add_chunks(const Conv2dShape& s, const Plan& plan, const float* sums, const float* factor,
                float* dw, sim::ThreadPool* pool) {
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

/// The operands of some outputs (items of one run by channels), gathered from many pixels into
/// memory that stays in the cache: the tiles walk over them once per 12 items or 32 channels.
class Gathered {
 public:
  Gathered(const Plan& plan, int64_t items, int64_t channels)
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

  static int64_t size(const Plan& plan, int64_t items, int64_t channels) {
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

  const Plan& plan_;
  int64_t items_, channels_, width_;
  float* memory_;
  float* sums_;
  float* x_;
  float* dz_;
  int64_t count_ = 0;
};

/// dw over all images at once, one task per block of outputs.
void accumulate_by_output(const Plan& plan, const LaidOut& all, const float* factor, float* dw,
                          sim::ThreadPool* pool) {
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

/// What bf16 makes of a pass once: coefficients of dz * weight scale, weights in pairs of output
/// channels [pair][tap][ic], and what the sums of dw are multiplied by.
struct Bf16Operands {
  Bf16Operands(const BackwardPass& pass, const Conv2dShape& s)
      : dz(pass.dz), pairs((s.oc + 1) / 2) {
    const IntegerWeights& w = *pass.weights;
    const auto of = [](const auto& values, int64_t c) {
      return values[values.size() == 1 ? 0 : static_cast<size_t>(c)];
    };
    for (int64_t c = 0; c < s.oc; ++c) {
      const float unit = of(w.scale, c);
      scale.push_back(pass.dz.scale == nullptr ? unit : pass.dz.scale[c] * unit);
      offset.push_back(pass.dz.offset == nullptr ? 0.0f : pass.dz.offset[c] * unit);
      slope.push_back(pass.dz.slope == nullptr ? 0.0f : pass.dz.slope[c] * unit);
      factor.push_back(pass.x.scale / unit);
    }
    dz.scale = scale.data();
    dz.offset = offset.data();
    dz.slope = slope.data();
    if (pass.dz.scale == nullptr) dz.gradient.z = nullptr;
    if (pass.dx == nullptr) return;
    const int64_t size = s.window.kernel[0] * s.window.kernel[1] * s.ic;
    std::vector<uint16_t> codes(static_cast<size_t>(2 * pairs * size));
    for (int64_t c = 0; c < s.oc; ++c) {
      centred_bf16({w.codes, w.type, static_cast<int32_t>(of(w.zero_point, c)), 1}, c * size, size,
                   codes.data() + c * size);
    }
    weights = Tensor::uninitialized(DType::float32, Shape{pairs * size});
    for (int64_t p = 0; p < pairs; ++p) {
      const uint16_t* low = codes.data() + 2 * p * size;
      interleave(low, low + size, size, weights.data<float>() + p * size);
    }
  }

  DirectPass input_gradient(const Conv2dShape& s) const {
    DirectPass direct = input_gradient_pass(s);
    direct.items = pairs;
    direct.arithmetic = Arithmetic::bf16;
    return direct;
  }

  GradientRows dz;
  int64_t pairs;
  std::vector<float> scale, offset, slope, factor;
  Tensor weights;
};

/// Lays an image out in words of neighbouring pixels of an output row: element i of a padded row
/// beside element i + stride.
void lay_out_pairs(const Plan& plan, const Activations& x, int64_t first, float* to) {
  const PaddedImages& images = plan.x;
  const int64_t next = plan.w.input_step * images.pixel;
  static thread_local std::vector<uint16_t> row;
  row.assign(static_cast<size_t>(images.row + next), 0);
  to = std::fill_n(to, images.top * images.row, 0.0f);
  for (int64_t r = 0; r < images.rows; ++r, to += images.row) {
    const int64_t count = images.columns * images.channels;
    centred_bf16(x, first + r * count, count, row.data() + images.left * images.pixel);
    interleave(row.data(), row.data() + next, images.row, to);
  }
  std::fill_n(to, (images.padded_rows - images.top - images.rows) * images.row, 0.0f);
}

/// Rounds an image's dz and lays it out twice: words of output channels for dx (null: not wanted),
/// words of neighbouring pixels for dw.
void lay_out_gradient(const Plan& plan, const Bf16Operands& operands, int64_t first_pixel,
                      const PaddedImages* channel_pairs, float* for_dx,
                      const PaddedImages& pixel_pairs, float* for_dw) {
  const int64_t oc = pixel_pairs.channels, row = plan.ow * oc;
  static thread_local std::vector<float> real;
  static thread_local std::vector<uint16_t> rounded;
  real.resize(std::max(real.size(), static_cast<size_t>(plan.oh * row)));
  // One pixel more: 0 beside the last one of an odd row.
  rounded.assign(static_cast<size_t>(row + oc), 0);
  gradient_rows(operands.dz, first_pixel, plan.oh * plan.ow, real.data());
  if (for_dx != nullptr)
    for_dx = std::fill_n(for_dx, channel_pairs->top * channel_pairs->row, 0.0f);
  for (int64_t r = 0; r < plan.oh; ++r) {
    round_to_bf16(real.data() + r * row, row, rounded.data());
    for (int64_t c = 0; c < plan.ow; c += 2, for_dw += oc) {
      interleave(rounded.data() + c * oc, rounded.data() + (c + 1) * oc, oc, for_dw);
    }
    if (for_dx == nullptr) continue;
    const PaddedImages& images = *channel_pairs;
    float* const next = for_dx + images.row;
    for_dx = std::fill_n(for_dx, images.left * images.pixel, 0.0f);
    if (oc % 2 == 0) {
      std::memcpy(for_dx, rounded.data(), static_cast<size_t>(row) * sizeof(uint16_t));
      for_dx += plan.ow * images.pixel;
    } else {
      for (int64_t c = 0; c < plan.ow; ++c, for_dx += images.pixel) {
        for_dx[images.pixel - 1] = 0;
        std::memcpy(for_dx, rounded.data() + c * oc, static_cast<size_t>(oc) * sizeof(uint16_t));
      }
    }
    for_dx = std::fill_n(for_dx, next - for_dx, 0.0f);
  }
  if (for_dx != nullptr) {
    const int64_t below = channel_pairs->padded_rows - channel_pairs->top - channel_pairs->rows;
    std::fill_n(for_dx, below * channel_pairs->row, 0.0f);
  }
}

/// One call of conv2d_backward.
class Backward {
 public:
  Backward(const BackwardPass& pass, sim::ThreadPool* pool)
      : pass_(pass), s_(with_wide_rows(pass.shape)), plan_(make_plan(pass, s_)), pool_(pool) {
    if (bf16()) operands_.emplace(pass, s_);
    if (pass.dx != nullptr) {
      if (bf16()) {
        input_gradient_.emplace(operands_->input_gradient(s_), operands_->weights.data<float>(),
                                pool);
      } else {
        input_gradient_.emplace(input_gradient_pass(s_), pass.w, pool);
      }
    }
    if (input_gradient_ && !bf16()) {
      dz_.emplace(input_gradient_->images());
    } else {
      const int64_t pixels = plan_.pixels_per_step();
      dz_.emplace(unpadded(plan_.oh, (plan_.ow + pixels - 1) / pixels, s_.oc,
                           plan_.depthwise ? plan_.x.pixel : s_.oc));
    }
  }

  void run() {
    const int64_t images = plan_.by_output ? s_.n : plan_.images_in_cache;
    x_size_ = round_up(plan_.x.size(images, 1), 16);
    // Vectors of channels are loaded whole.
    dz_size_ = dz_->size(images, 1) + std::max(vector_width(), kBf16Block / 2);
    if (input_gradient_) {
      const int64_t size = input_gradient_->scratch_size(images);
      if (bf16()) {
        pairs_size_ = size;
      } else {
        dz_size_ = std::max(dz_size_, size);
      }
    }
    dz_size_ = round_up(dz_size_, 16);
    Tensor all, sums;
    if (plan_.by_output) {
      all = Tensor::uninitialized(DType::float32, Shape{x_size_ + dz_size_ + pairs_size_});
    } else {
      sums = Tensor(DType::float32, Shape{plan_.chunks, plan_.sums_size});
    }
    sim::parallel_for(pool_, plan_.chunks, [&](int64_t chunk) {
      const int64_t end = s_.n * (chunk + 1) / plan_.chunks;
      for (int64_t n = s_.n * chunk / plan_.chunks; n < end; n += plan_.images_in_cache) {
        const int64_t count = std::min(plan_.images_in_cache, end - n);
        float* memory =
            plan_.by_output ? all.data<float>() : thread_scratch(x_size_ + dz_size_ + pairs_size_);
        const int64_t place = plan_.by_output ? n : 0;
        const LaidOut laid_out = lay_out(n, count, place, memory);
        if (!plan_.by_output) {
          accumulate_all(s_, plan_, laid_out, sums.data<float>() + chunk * plan_.sums_size);
        }
        if (input_gradient_) {
          input_gradient_->run(dx_source(place, memory), count,
                               pass_.dx + n * s_.ih * s_.iw * s_.ic);
        }
      }
    });
    const float* factor = bf16() ? operands_->factor.data() : nullptr;
    if (plan_.by_output) {
      accumulate_by_output(plan_, {all.data<float>(), all.data<float>() + x_size_, *dz_, s_.n},
                           factor, pass_.dw, pool_);
    } else {
      add_chunks(s_, plan_, sums.data<float>(), factor, pass_.dw, pool_);
    }
  }

 private:
  static Plan make_plan(const BackwardPass& pass, const Conv2dShape& s) {
    const auto [oh, ow] = s.window.output_extent(s.ih, s.iw);
    return {s, oh, ow, pass.weights ? Arithmetic::bf16 : Arithmetic::float32};
  }
  bool bf16() const { return plan_.arithmetic == Arithmetic::bf16; }

  /// Images [n, n + count) as number `place` and following of `memory`: x, then dz for dw, then, in
  /// bf16, dz for dx.
  LaidOut lay_out(int64_t n, int64_t count, int64_t place, float* memory) const {
    const int64_t x_image = s_.ih * s_.iw * s_.ic, dz_pixels = plan_.oh * plan_.ow;
    float* const x = memory + place * plan_.x.image;
    float* const dz = memory + x_size_ + place * dz_->image;
    for (int64_t i = 0; i < count; ++i) {
      float* to_x = x + i * plan_.x.image;
      float* to_dz = dz + i * dz_->image;
      if (bf16()) {
        lay_out_pairs(plan_, pass_.x, (n + i) * x_image, to_x);
        const PaddedImages* layout = input_gradient_ ? &input_gradient_->images() : nullptr;
        float* for_dx =
            layout ? memory + x_size_ + dz_size_ + (place + i) * layout->image : nullptr;
        lay_out_gradient(plan_, *operands_, (n + i) * dz_pixels, layout, for_dx, *dz_, to_dz);
        continue;
      }
      plan_.x.lay_out(to_x, [&](int64_t pixel, int64_t pixels, float* to) {
        real_elements(pass_.x, (n + i) * x_image + pixel * s_.ic, pixels * s_.ic, to);
      });
      dz_->lay_out(to_dz, [&](int64_t pixel, int64_t pixels, float* to) {
        gradient_rows(pass_.dz, (n + i) * dz_pixels + pixel, pixels, to);
      });
    }
    return {x, dz, *dz_, count};
  }

  /// What the input gradient reads of image number `place` and following.
  const float* dx_source(int64_t place, const float* memory) const {
    const int64_t offset = bf16() ? x_size_ + dz_size_ : x_size_;
    return memory + offset + place * input_gradient_->images().image;
  }

  const BackwardPass& pass_;
  Conv2dShape s_;
  Plan plan_;
  sim::ThreadPool* pool_;
  std::optional<Bf16Operands> operands_;
  std::optional<PackedPass> input_gradient_;
  std::optional<PaddedImages> dz_;  ///< what dw reads
  int64_t x_size_ = 0, dz_size_ = 0, pairs_size_ = 0;
};

}  // namespace

bool can_run_in_bf16(const Conv2dShape& shape, const Activations& x,
                     const IntegerWeights& weights) {
  const auto narrow = [](DType type) { return type == DType::int8 || type == DType::uint8; };
  return bf16_supported() && shape.groups == 1 && narrow(x.type) && narrow(weights.type);
}

void conv2d_backward(const BackwardPass& pass, sim::ThreadPool* pool) {
  if (pass.weights) FACSIM_CHECK(can_run_in_bf16(pass.shape, pass.x, *pass.weights));
  Backward(pass, pool).run();
}

}  // namespace facsim::fused::kernels
