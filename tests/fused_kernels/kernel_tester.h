// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <doctest/doctest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "fused/kernels/conv2d_backward.h"
#include "fused/kernels/tiles.h"

namespace facsim::fused::kernels {

/// Runs `body` once for each SIMD target that is compiled in and that this CPU has, then restores
/// the choice. Highway silently runs another target for one that was not compiled: those are left
/// out.
template <class Body>
void for_each_target(const Body& body) {
  int ran = 0;
  for (int64_t left = hwy::SupportedTargets(); left != 0; left &= left - 1) {
    const int64_t target = left & -left;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    if (std::strcmp(target_name(), hwy::TargetName(target)) != 0) continue;
    ++ran;
    body(target_name());
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  CHECK(ran >= 1);
}

inline std::vector<float> random_floats(int64_t count, uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<float> out(static_cast<size_t>(count));
  for (float& v : out) {
    v = static_cast<float>(static_cast<int32_t>(generator())) * 0x1p-31f;
  }
  return out;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// Forward and gradients of a convolution, as the definition says.
struct ConvResult {
  std::vector<float> y, dx, dw;
};

struct ConvCase {
  Conv2dShape shape;
  const char* reason;
};

/// One case: random x, w, dy in [-1, 1).
class ConvTester {
 public:
  explicit ConvTester(const Conv2dShape& shape) : s_(shape) {
    const auto out = s_.window.output_extent(s_.ih, s_.iw);
    oh_ = out[0];
    ow_ = out[1];
    x_ = random_floats(s_.n * s_.ih * s_.iw * s_.ic, 1);
    w_ = random_floats(s_.oc * s_.window.kernel[0] * s_.window.kernel[1] * s_.ic / s_.groups, 2);
    dy_ = random_floats(s_.n * oh_ * ow_ * s_.oc, 3);
  }

  ConvResult run(sim::ThreadPool* pool) const {
    // Not zero: what is not written must be seen.
    ConvResult r{std::vector<float>(dy_.size(), 7), std::vector<float>(x_.size(), 7),
                 std::vector<float>(w_.size(), 7)};
    conv2d_forward(s_, x_.data(), w_.data(), r.y.data(), pool);
    conv2d_backward(backward_pass(r), pool);
    return r;
  }

  /// Float activations, dz = dy.
  BackwardPass backward_pass(ConvResult& r) const {
    BackwardPass pass;
    pass.shape = s_;
    pass.x.data = x_.data();
    pass.dz.gradient.rows = s_.n * oh_ * ow_;
    pass.dz.gradient.channels = s_.oc;
    pass.dz.gradient.dy = dy_.data();
    pass.w = w_.data();
    pass.dw = r.dw.data();
    pass.dx = r.dx.data();
    return pass;
  }

  /// Largest error relative to the sum of the products' magnitudes, against sums in double.
  double error(const ConvResult& r) const {
    std::vector<double> y(dy_.size()), dx(x_.size()), dw(w_.size());
    std::vector<double> y_size(y), dx_size(dx), dw_size(dw);
    const int64_t icg = s_.ic / s_.groups, ocg = s_.oc / s_.groups;
    const auto& [kernel, stride, dilation, padding] = s_.window;
    for (int64_t n = 0; n < s_.n; ++n)
      for (int64_t oh = 0; oh < oh_; ++oh)
        for (int64_t ow = 0; ow < ow_; ++ow)
          for (int64_t oc = 0; oc < s_.oc; ++oc)
            for (int64_t kh = 0; kh < kernel[0]; ++kh)
              for (int64_t kw = 0; kw < kernel[1]; ++kw)
                for (int64_t ic = 0; ic < icg; ++ic) {
                  const int64_t ih = oh * stride[0] - padding.top + kh * dilation[0];
                  const int64_t iw = ow * stride[1] - padding.left + kw * dilation[1];
                  if (ih < 0 || iw < 0 || ih >= s_.ih || iw >= s_.iw) continue;
                  const auto xi = static_cast<size_t>(((n * s_.ih + ih) * s_.iw + iw) * s_.ic +
                                                      oc / ocg * icg + ic);
                  const auto wi =
                      static_cast<size_t>(((oc * kernel[0] + kh) * kernel[1] + kw) * icg + ic);
                  const auto yi = static_cast<size_t>(((n * oh_ + oh) * ow_ + ow) * s_.oc + oc);
                  add(y[yi], y_size[yi], x_[xi], w_[wi]);
                  add(dx[xi], dx_size[xi], dy_[yi], w_[wi]);
                  add(dw[wi], dw_size[wi], x_[xi], dy_[yi]);
                }
    return std::max(
        {largest(r.y, y, y_size), largest(r.dx, dx, dx_size), largest(r.dw, dw, dw_size)});
  }

 private:
  static void add(double& sum, double& size, float a, float b) {
    const double product = static_cast<double>(a) * b;
    sum += product;
    size += std::abs(product);
  }
  static double largest(const std::vector<float>& got, const std::vector<double>& expected,
                        const std::vector<double>& size) {
    double worst = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      worst = std::max(worst, std::abs(got[i] - expected[i]) / std::max(size[i], 1e-30));
    }
    return worst;
  }

  Conv2dShape s_;
  int64_t oh_ = 0, ow_ = 0;
  std::vector<float> x_, w_, dy_;
};

}  // namespace facsim::fused::kernels
