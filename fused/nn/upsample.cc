// SPDX-License-Identifier: Apache-2.0
#include "fused/nn/upsample.h"

#include <algorithm>
#include <cmath>

#include "fused/integer_forward.h"
#include "sim/core/error.h"

namespace facsim::fused::nn {

Upsample::Upsample(std::array<int64_t, 2> scale_factor, Mode mode, Corners corners)
    : scale_factor_(scale_factor), mode_(mode), corners_(corners) {
  for (const int64_t factor : scale_factor) {
    if (factor >= 1 && factor <= 65536) continue;
    throw Error({ErrorCode::bad_value, "Upsample scale_factor", std::to_string(factor),
                 "a whole number 1..65536", ""});
  }
}

std::vector<Upsample::Source> Upsample::sources(int64_t in, size_t axis) const {
  const int64_t out = in * scale_factor_[axis];
  std::vector<Source> result;
  for (int64_t i = 0; i < out; ++i) {
    if (mode_ == Mode::nearest) {
      const float scale = static_cast<float>(in) / static_cast<float>(out);
      const auto source = static_cast<int64_t>(std::floor(static_cast<float>(i) * scale));
      result.push_back({std::min(source, in - 1), std::min(source, in - 1), 0.0f});
      continue;
    }
    double position = 0;
    if (corners_ == Corners::free) {
      const double centre =
          (static_cast<double>(i) + 0.5) / static_cast<double>(scale_factor_[axis]);
      position = std::max(centre - 0.5, 0.0);
    } else if (out > 1) {
      position = static_cast<double>(i * (in - 1)) / static_cast<double>(out - 1);
    }
    const auto lower = static_cast<int64_t>(position);
    result.push_back({lower, std::min(lower + 1, in - 1),
                      static_cast<float>(position - static_cast<double>(lower))});
  }
  return result;
}

Shape Upsample::output_shape(const Shape& x) const {
  if (x.rank() != 4) {
    throw Error({ErrorCode::shape_mismatch, "Upsample input", to_string(x), "(N, H, W, C)", ""});
  }
  return {x[0], x[1] * scale_factor_[0], x[2] * scale_factor_[1], x[3]};
}

void Upsample::remember(const Shape& x) {
  if (x_shape_.rank() != 4 || x_shape_[1] != x[1] || x_shape_[2] != x[2]) {
    rows_ = sources(x[1], 0);
    columns_ = sources(x[2], 1);
  }
  x_shape_ = x;
}

Value Upsample::forward(std::span<const Value> inputs, const Context& context) {
  FACSIM_CHECK_EQ(inputs.size(), size_t{1});
  const Shape shape = output_shape(inputs[0].shape());
  remember(inputs[0].shape());
  if (inputs[0].quantized()) {
    FACSIM_CHECK(context.profile != nullptr);
    return integer_forward(*this, inputs, *context.profile, context);
  }
  const Tensor& x = inputs[0].real();
  Tensor y = Tensor::uninitialized(DType::float32, shape);
  const int64_t channels = shape[3], in_row = x_shape_[2] * channels;
  sim::parallel_for(context.pool, shape[0] * shape[1], [&](int64_t line) {
    const Source& row = rows_[static_cast<size_t>(line % shape[1])];
    const float* image = x.data<float>() + line / shape[1] * x_shape_[1] * in_row;
    float* to = y.data<float>() + line * shape[2] * channels;
    for (const Source& column : columns_) {
      const float* top = image + row.lower * in_row;
      const float* bottom = image + row.upper * in_row;
      const int64_t left = column.lower * channels, right = column.upper * channels;
      for (int64_t c = 0; c < channels; ++c, ++to) {
        if (mode_ == Mode::nearest) {
          *to = top[left + c];
          continue;
        }
        const float upper = (1 - column.weight) * top[left + c] + column.weight * top[right + c];
        const float lower =
            (1 - column.weight) * bottom[left + c] + column.weight * bottom[right + c];
        *to = (1 - row.weight) * upper + row.weight * lower;
      }
    }
  });
  return Value(y);
}

std::vector<Tensor> Upsample::backward(const Tensor& dy, const Context& context,
                                       bool needs_input_gradient) {
  if (!needs_input_gradient) return {Tensor()};
  Tensor dx(DType::float32, x_shape_);
  const int64_t channels = x_shape_[3], in_row = x_shape_[2] * channels;
  sim::parallel_for(context.pool, x_shape_[0], [&](int64_t n) {
    const float* g = dy.data<float>() + n * (dy.numel() / x_shape_[0]);
    float* image = dx.data<float>() + n * x_shape_[1] * in_row;
    for (const Source& row : rows_) {
      float* top = image + row.lower * in_row;
      float* bottom = image + row.upper * in_row;
      for (const Source& column : columns_) {
        const int64_t left = column.lower * channels, right = column.upper * channels;
        for (int64_t c = 0; c < channels; ++c, ++g) {
          const float upper = (1 - row.weight) * *g, lower = row.weight * *g;
          top[left + c] += (1 - column.weight) * upper;
          top[right + c] += column.weight * upper;
          bottom[left + c] += (1 - column.weight) * lower;
          bottom[right + c] += column.weight * lower;
        }
      }
    }
  });
  return {dx};
}

int Upsample::emit(IntGraphBuilder& builder, std::span<const int> inputs) const {
  const backends::IntTensor& x = builder.tensor(inputs[0]);
  const Shape shape = output_shape(x.shape);
  backends::IntNode node;
  node.op = "resize";
  backends::ResizeAttributes& resize = node.attributes.resize;
  resize.size = {shape[1], shape[2]};
  resize.mode = mode_;
  if (mode_ == Mode::bilinear) {
    resize.align_corners = corners_ == Corners::aligned;
    resize.half_pixel_centers = corners_ == Corners::free;
  }
  return builder.add_node(std::move(node), builder.name(), {inputs[0]}, *x.qparams, shape);
}

}  // namespace facsim::fused::nn
