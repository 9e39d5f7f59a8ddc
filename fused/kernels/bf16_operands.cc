// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/bf16_operands-internal.h"

#include <algorithm>
#include <cstring>

#include "fused/kernels/bf16_rows.h"
#include "fused/kernels/passes-internal.h"

namespace facsim::fused::kernels {

Bf16Operands::Bf16Operands(const BackwardPass& pass, const Conv2dShape& s)
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

DirectPass Bf16Operands::input_gradient(const Conv2dShape& s) const {
  DirectPass direct = input_gradient_pass(s);
  direct.items = pairs;
  direct.arithmetic = Arithmetic::bf16;
  return direct;
}

void lay_out_pairs(const BackwardPlan& plan, const Activations& x, int64_t first, float* to) {
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

void lay_out_gradient(const BackwardPlan& plan, const Bf16Operands& operands, int64_t first_pixel,
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

}  // namespace facsim::fused::kernels
