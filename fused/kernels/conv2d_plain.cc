// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/conv2d_plain.h"

#include <algorithm>

namespace facsim::fused::kernels {

namespace {

struct Extents {
  explicit Extents(const Conv2dShape& s)
      : icg(s.ic / s.groups), ocg(s.oc / s.groups), kh(s.window.kernel[0]), kw(s.window.kernel[1]) {
    const auto out = s.window.output_extent(s.ih, s.iw);
    oh = out[0];
    ow = out[1];
  }
  int64_t icg, ocg, kh, kw;  // channels per group, kernel
  int64_t oh = 0, ow = 0;
};

int64_t row_of(const Conv2dShape& s, int64_t oh, int64_t kh) {
  return oh * s.window.stride[0] - s.window.padding.top + kh * s.window.dilation[0];
}
int64_t column_of(const Conv2dShape& s, int64_t ow, int64_t kw) {
  return ow * s.window.stride[1] - s.window.padding.left + kw * s.window.dilation[1];
}

/// Calls f(oh, ow, kh, kw, ih, iw) for every tap that lies inside the image.
template <class F>
void for_each_tap(const Conv2dShape& s, const Extents& e, const F& f) {
  for (int64_t oh = 0; oh < e.oh; ++oh) {
    for (int64_t ow = 0; ow < e.ow; ++ow) {
      for (int64_t kh = 0; kh < e.kh; ++kh) {
        const int64_t ih = row_of(s, oh, kh);
        if (ih < 0 || ih >= s.ih) continue;
        for (int64_t kw = 0; kw < e.kw; ++kw) {
          const int64_t iw = column_of(s, ow, kw);
          if (iw >= 0 && iw < s.iw) f(oh, ow, kh, kw, ih, iw);
        }
      }
    }
  }
}

}  // namespace

void plain_forward(const Conv2dShape& s, const float* x, const float* w, float* y,
                   sim::ThreadPool* pool) {
  const Extents e(s);
  sim::parallel_for(pool, s.n, [&](int64_t n) {
    const float* xn = x + n * s.ih * s.iw * s.ic;
    float* yn = y + n * e.oh * e.ow * s.oc;
    std::fill_n(yn, e.oh * e.ow * s.oc, 0.0f);
    for_each_tap(s, e, [&](int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t ih, int64_t iw) {
      const float* xp = xn + (ih * s.iw + iw) * s.ic;
      float* yp = yn + (oh * e.ow + ow) * s.oc;
      for (int64_t oc = 0; oc < s.oc; ++oc) {
        const float* wp = w + ((oc * e.kh + kh) * e.kw + kw) * e.icg;
        const float* xg = xp + oc / e.ocg * e.icg;
        float sum = yp[oc];
        for (int64_t ic = 0; ic < e.icg; ++ic) sum += xg[ic] * wp[ic];
        yp[oc] = sum;
      }
    });
  });
}

void plain_input_gradient(const Conv2dShape& s, const float* dy, const float* w, float* dx,
                          sim::ThreadPool* pool) {
  const Extents e(s);
  sim::parallel_for(pool, s.n, [&](int64_t n) {
    float* dxn = dx + n * s.ih * s.iw * s.ic;
    const float* dyn = dy + n * e.oh * e.ow * s.oc;
    std::fill_n(dxn, s.ih * s.iw * s.ic, 0.0f);
    for_each_tap(s, e, [&](int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t ih, int64_t iw) {
      float* xp = dxn + (ih * s.iw + iw) * s.ic;
      const float* yp = dyn + (oh * e.ow + ow) * s.oc;
      for (int64_t oc = 0; oc < s.oc; ++oc) {
        const float* wp = w + ((oc * e.kh + kh) * e.kw + kw) * e.icg;
        float* xg = xp + oc / e.ocg * e.icg;
        const float g = yp[oc];
        for (int64_t ic = 0; ic < e.icg; ++ic) xg[ic] += g * wp[ic];
      }
    });
  });
}

void plain_weight_gradient(const Conv2dShape& s, const float* x, const float* dy, float* dw,
                           sim::ThreadPool* pool) {
  const Extents e(s);
  sim::parallel_for(pool, s.oc, [&](int64_t oc) {
    float* dwc = dw + oc * e.kh * e.kw * e.icg;
    std::fill_n(dwc, e.kh * e.kw * e.icg, 0.0f);
    for (int64_t n = 0; n < s.n; ++n) {
      const float* xn = x + n * s.ih * s.iw * s.ic + oc / e.ocg * e.icg;
      const float* dyn = dy + n * e.oh * e.ow * s.oc + oc;
      for_each_tap(s, e,
                   [&](int64_t oh, int64_t ow, int64_t kh, int64_t kw, int64_t ih, int64_t iw) {
                     const float* xp = xn + (ih * s.iw + iw) * s.ic;
                     const float g = dyn[(oh * e.ow + ow) * s.oc];
                     float* wp = dwc + (kh * e.kw + kw) * e.icg;
                     for (int64_t ic = 0; ic < e.icg; ++ic) wp[ic] += g * xp[ic];
                   });
    }
  });
}

}  // namespace facsim::fused::kernels
