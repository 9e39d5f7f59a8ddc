// SPDX-License-Identifier: Apache-2.0
#include "quant/fake_quantize/learnable.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/rounding/rounding.h"

namespace facsim::quant {

LearnableFakeQuantize::LearnableFakeQuantize(TensorSpec spec, std::unique_ptr<Observer> observer,
                                             Count count)
    : FakeQuantizer(spec, std::move(observer)),
      count_(count),
      scale_grad_(DType::float32, scale_.shape()),
      zero_point_grad_(DType::float32, scale_.shape()) {}

QParams LearnableFakeQuantize::qparams() const {
  QParams out = FakeQuantizer::qparams();
  const auto low = static_cast<float>(out.quant_min);
  const auto high = static_cast<float>(out.quant_max);
  for (size_t c = 0; c < out.scale.size(); ++c) {
    out.scale[c] = std::max(std::fabs(out.scale[c]), std::numeric_limits<float>::epsilon());
    const float z = std::clamp(zero_point_.values<float>()[c], low, high);
    if (spec().zero_point == TensorSpec::ZeroPoint::any) {
      out.zero_point[c] = static_cast<int64_t>(sim::round_real(sim::Rounding::half_even, z));
    }
  }
  return out;
}

double LearnableFakeQuantize::gradient_factor(int64_t numel) const {
  const int64_t count = count_ == Count::per_scale ? numel / scale_.numel() : numel;
  return 1.0 / std::sqrt(static_cast<double>(count) * static_cast<double>(spec().quant_max()));
}

void LearnableFakeQuantize::set_gradient(const RangeGradient& gradient) {
  std::copy(gradient.scale.begin(), gradient.scale.end(), scale_grad_.data<float>());
  std::copy(gradient.zero_point.begin(), gradient.zero_point.end(), zero_point_grad_.data<float>());
}

Tensor LearnableFakeQuantize::backward(const Tensor& dy, const Tensor& x,
                                       const FakeQuantized& forward) {
  set_gradient(range_gradient(dy, x, forward, qparams(), gradient_factor(x.numel())));
  return straight_through(dy, forward.inside);
}

std::vector<FakeQuantizer::Learned> LearnableFakeQuantize::learned() {
  std::vector<Learned> out{{"scale", scale_, scale_grad_}};
  if (spec().zero_point == TensorSpec::ZeroPoint::any) {
    out.push_back({"zero_point", zero_point_, zero_point_grad_});
  }
  return out;
}

}  // namespace facsim::quant
