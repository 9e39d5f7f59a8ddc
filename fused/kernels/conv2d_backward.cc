// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_backward.h"

#include <algorithm>
#include <optional>

#include "fused/kernels/bf16_operands-internal.h"
#include "fused/kernels/passes-internal.h"
#include "fused/kernels/weight_sums-internal.h"

namespace facsim::fused::kernels {

namespace {

PaddedImages unpadded(int64_t rows, int64_t columns, int64_t channels, int64_t pixel) {
  return {Axis{.input = rows}, Axis{.input = columns}, channels, pixel};
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
  static BackwardPlan make_plan(const BackwardPass& pass, const Conv2dShape& s) {
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
  BackwardPlan plan_;
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
