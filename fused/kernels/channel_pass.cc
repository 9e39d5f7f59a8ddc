// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/channel_pass.h"

#include <algorithm>
#include <vector>

#include "sim/core/check.h"

// Plain loops: each target's own compiler options vectorise them, one multiply and one add at a
// time (contraction is off), so every target gives the same bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fused/kernels/channel_pass.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace facsim::fused::kernels::HWY_NAMESPACE {

constexpr int64_t kTile = 64;   // channels whose sums live on the stack
constexpr int64_t kBlock = 32;  // rows summed in float32 before they go to float64

struct RowRange {
  int64_t begin, end;
};

/// Sums term0 and term1 (r, c) per channel over rows: float32 within a block, float64 across.
template <class Term>
void sum_rows(RowRange range, int64_t channels, double* sum0, double* sum1, Term term) {
  for (int64_t c0 = 0; c0 < channels; c0 += kTile) {
    const int64_t width = std::min(kTile, channels - c0);
    for (int64_t r0 = range.begin; r0 < range.end; r0 += kBlock) {
      const int64_t r1 = std::min(r0 + kBlock, range.end);
      float s0[kTile] = {}, s1[kTile] = {};
      for (int64_t r = r0; r < r1; ++r) term(r, c0, width, s0, s1);
      for (int64_t i = 0; i < width; ++i) {
        sum0[c0 + i] += s0[i];
        sum1[c0 + i] += s1[i];
      }
    }
  }
}

void MomentsOfRows(int64_t begin, int64_t end, int64_t channels, const float* z, double* sum,
                   double* sum_of_squares) {
  sum_rows(
      {begin, end}, channels, sum, sum_of_squares,
      [=](int64_t r, int64_t c0, int64_t width, float* HWY_RESTRICT s0, float* HWY_RESTRICT s1) {
        const float* HWY_RESTRICT row = z + r * channels + c0;
        const float* HWY_RESTRICT pivot = z + c0;
        for (int64_t i = 0; i < width; ++i) {
          const float d = row[i] - pivot[i];
          s0[i] += d;
          s1[i] += d * d;
        }
      });
}

template <bool kScale, bool kOffset, bool kAddend>
void affine_rows(const AffinePass& p, RowRange range) {
  const float low = p.low, high = p.high;
  for (int64_t r = range.begin; r < range.end; ++r) {
    const float* z = p.z + r * p.channels;
    const float* addend = kAddend ? p.addend + r * p.channels : nullptr;
    float* y = p.y + r * p.channels;
    for (int64_t c = 0; c < p.channels; ++c) {
      float v = z[c];
      if constexpr (kScale) v *= p.scale[c];
      if constexpr (kOffset) v += p.offset[c];
      if constexpr (kAddend) v += addend[c];
      v = v < low ? low : v;
      y[c] = v > high ? high : v;
    }
  }
}

void AffineOfRows(const AffinePass& p, int64_t begin, int64_t end) {
  const RowRange range{begin, end};
  const auto with_addend = [&]<bool kScale, bool kOffset>() {
    p.addend != nullptr ? affine_rows<kScale, kOffset, true>(p, range)
                        : affine_rows<kScale, kOffset, false>(p, range);
  };
  if (p.scale != nullptr) {
    p.offset != nullptr ? with_addend.template operator()<true, true>()
                        : with_addend.template operator()<true, false>();
  } else {
    p.offset != nullptr ? with_addend.template operator()<false, true>()
                        : with_addend.template operator()<false, false>();
  }
}

/// The type that says: no such operand.
struct None {};

template <class Y>
inline float masked(const MaskedGradient& g, int64_t at) {
  if constexpr (std::is_same_v<Y, None>) {
    return g.dy[at];
  } else {
    const auto y = static_cast<float>(static_cast<const Y*>(g.y)[at]);
    const float dy = g.dy[at];  // loaded in any case, or the loop would branch
    return y > g.low && y < g.high ? dy : 0.0f;
  }
}

template <class Y, class Z>
void sums_of_rows(const MaskedGradient& g, RowRange range, double* sum_g, double* sum_gx) {
  sum_rows(
      range, g.channels, sum_g, sum_gx,
      [g](int64_t r, int64_t c0, int64_t width, float* HWY_RESTRICT s0, float* HWY_RESTRICT s1) {
        const int64_t first = r * g.channels + c0;
        for (int64_t i = 0; i < width; ++i) {
          const float v = masked<Y>(g, first + i);
          s0[i] += v;
          if constexpr (!std::is_same_v<Z, None>) {
            const auto z = static_cast<float>(static_cast<const Z*>(g.z)[first + i]);
            s1[i] += v * ((z - g.center[c0 + i]) * g.inverse[c0 + i]);
          }
        }
      });
}

struct Coefficients {
  const float* scale;
  const float* offset;
  const float* slope;
};

/// Operands by value: through a reference they might alias dz, and nothing would be vectorised.
template <class Y, class Z>
void gradient_of_rows(const MaskedGradient g, const Coefficients k, RowRange range, float* dz) {
  for (int64_t r = range.begin; r < range.end; ++r) {
    const int64_t first = r * g.channels;
    float* HWY_RESTRICT out = dz + first;
    if (k.scale == nullptr) {
      for (int64_t c = 0; c < g.channels; ++c) out[c] = masked<Y>(g, first + c);
      continue;
    }
    for (int64_t c = 0; c < g.channels; ++c) {
      float v = k.scale[c] * masked<Y>(g, first + c);
      if constexpr (!std::is_same_v<Z, None>) {
        const auto z = static_cast<float>(static_cast<const Z*>(g.z)[first + c]);
        v += k.offset[c] + k.slope[c] * ((z - g.center[c]) * g.inverse[c]);
      }
      out[c] = v;
    }
  }
}

/// Calls body.operator()<Y, Z>() for the types of a gradient's operands.
template <class Body>
void with_types(const MaskedGradient& g, Body body) {
  const auto with_z = [&]<class Y>() {
    if (g.z == nullptr) return body.template operator()<Y, None>();
    if (g.z_type == DType::float32) return body.template operator()<Y, float>();
    if (g.z_type == DType::int32) return body.template operator()<Y, int32_t>();
    return body.template operator()<Y, int64_t>();
  };
  if (g.y == nullptr) return with_z.template operator()<None>();
  switch (g.y_type) {
    case DType::int8:
      return with_z.template operator()<int8_t>();
    case DType::uint8:
      return with_z.template operator()<uint8_t>();
    case DType::int16:
      return with_z.template operator()<int16_t>();
    case DType::uint16:
      return with_z.template operator()<uint16_t>();
    default:
      return with_z.template operator()<float>();
  }
}

void SumsOfRows(const MaskedGradient& g, int64_t begin, int64_t end, double* sum_g,
                double* sum_gx) {
  with_types(g, [&]<class Y, class Z>() { sums_of_rows<Y, Z>(g, {begin, end}, sum_g, sum_gx); });
}

void GradientOfRows(const MaskedGradient& g, const float* scale, const float* offset,
                    const float* slope, int64_t begin, int64_t end, float* dz) {
  with_types(g, [&]<class Y, class Z>() {
    gradient_of_rows<Y, Z>(g, {scale, offset, slope}, {begin, end}, dz);
  });
}

}  // namespace facsim::fused::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::fused::kernels {

HWY_EXPORT(MomentsOfRows);
HWY_EXPORT(AffineOfRows);
HWY_EXPORT(SumsOfRows);
HWY_EXPORT(GradientOfRows);

namespace {

/// Rows per chunk: about 64 KiB of float32, from the shape alone.
int64_t chunk_rows(int64_t channels) {
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, channels));
}

int64_t chunks_of(int64_t rows, int64_t channels) {
  const int64_t size = chunk_rows(channels);
  return (rows + size - 1) / size;
}

/// Two sums per channel, one partial result per chunk, added in the order of the chunks.
template <class Body>
void chunked_sums(int64_t rows, int64_t channels, double* sum0, double* sum1, sim::ThreadPool* pool,
                  Body body) {
  const int64_t chunks = chunks_of(rows, channels);
  const int64_t size = chunk_rows(channels);
  std::vector<double> partial(static_cast<size_t>(chunks * 2 * channels));
  sim::parallel_for(pool, chunks, [&](int64_t chunk) {
    double* p = partial.data() + chunk * 2 * channels;
    body(chunk * size, std::min((chunk + 1) * size, rows), p, p + channels);
  });
  std::fill_n(sum0, channels, 0.0);
  std::fill_n(sum1, channels, 0.0);
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const double* p = partial.data() + chunk * 2 * channels;
    for (int64_t c = 0; c < channels; ++c) {
      sum0[c] += p[c];
      sum1[c] += p[channels + c];
    }
  }
}

template <class Body>
void chunked_rows(int64_t rows, int64_t channels, sim::ThreadPool* pool, Body body) {
  const int64_t size = chunk_rows(channels);
  sim::parallel_for(pool, chunks_of(rows, channels),
                    [&](int64_t chunk) { body(chunk * size, std::min((chunk + 1) * size, rows)); });
}

}  // namespace

void channel_moments(int64_t rows, int64_t channels, const float* z, double* sum,
                     double* sum_of_squares, sim::ThreadPool* pool) {
  chunked_sums(rows, channels, sum, sum_of_squares, pool,
               [&](int64_t begin, int64_t end, double* s0, double* s1) {
                 HWY_DYNAMIC_DISPATCH(MomentsOfRows)(begin, end, channels, z, s0, s1);
               });
}

void affine_clamp(const AffinePass& pass, sim::ThreadPool* pool) {
  chunked_rows(pass.rows, pass.channels, pool, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(AffineOfRows)(pass, begin, end);
  });
}

void masked_sums(const MaskedGradient& gradient, double* sum_g, double* sum_gx,
                 sim::ThreadPool* pool) {
  chunked_sums(gradient.rows, gradient.channels, sum_g, sum_gx, pool,
               [&](int64_t begin, int64_t end, double* s0, double* s1) {
                 HWY_DYNAMIC_DISPATCH(SumsOfRows)(gradient, begin, end, s0, s1);
               });
}

void masked_affine(const MaskedGradient& gradient, const float* scale, const float* offset,
                   const float* slope, float* dz, sim::ThreadPool* pool) {
  FACSIM_CHECK(gradient.z == nullptr || scale == nullptr ||
               (offset != nullptr && slope != nullptr));
  chunked_rows(gradient.rows, gradient.channels, pool, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(GradientOfRows)(gradient, scale, offset, slope, begin, end, dz);
  });
}

}  // namespace facsim::fused::kernels
#endif  // HWY_ONCE
