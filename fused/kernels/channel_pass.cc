// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/channel_pass.h"

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "sim/core/check.h"

// Sizeless vectors cannot be kept in arrays.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
// One multiply and one add at a time (contraction is off), and a channel's rows in order: every
// target gives the same bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fused/kernels/channel_pass.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace facsim::fused::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Lanes = hn::ScalableTag<float>;
using OneLane = hn::CappedTag<float, 1>;
template <class D>
using V = hn::Vec<D>;

#define FACSIM_UNROLL _Pragma("GCC unroll 8")

constexpr int64_t kBlock = 32;  // rows summed in float32 before they go to float64

/// The type that says: no such operand.
struct None {};

/// A vector of float32 from elements of any of the operands' types.
template <class D, class T>
HWY_INLINE V<D> LoadReal(D d, const T* from) {
  const hn::RebindToSigned<D> i32;
  if constexpr (std::is_same_v<T, float>) {
    return hn::LoadU(d, from);
  } else if constexpr (std::is_same_v<T, int32_t>) {
    return hn::ConvertTo(d, hn::LoadU(i32, from));
  } else if constexpr (sizeof(T) <= 2) {
    return hn::ConvertTo(d, hn::PromoteTo(i32, hn::LoadU(hn::Rebind<T, D>(), from)));
  } else {  // int64
    HWY_ALIGN float lanes[hn::MaxLanes(D())];
    for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = static_cast<float>(from[i]);
    return hn::Load(d, lanes);
  }
}

/// Calls body(d, i) for whole vectors of [0, n), then lane by lane.
template <class Body>
HWY_INLINE void ForVectors(int64_t n, Body body) {
  const Lanes d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) body(d, i);
  for (; i < n; ++i) body(OneLane(), i);
}

/// Adds to sum0 and sum1, per channel, the two terms of each row: float32 within a block, float64
/// across. Term::Columns holds the operands of kVectors vectors of channels; its
/// add(r, s0, s1) adds row r.
template <class Columns>
HWY_INLINE void SumColumns(int64_t begin, int64_t end, const Columns& columns, double* sum0,
                           double* sum1) {
  using D = typename Columns::D;
  constexpr int kVectors = Columns::kVectors;
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  HWY_ALIGN float block0[kVectors * hn::MaxLanes(D())], block1[kVectors * hn::MaxLanes(D())];
  for (int64_t r0 = begin; r0 < end; r0 += kBlock) {
    const int64_t r1 = std::min(r0 + kBlock, end);
    V<D> s0[kVectors], s1[kVectors];
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) s0[v] = s1[v] = hn::Zero(d);
    for (int64_t r = r0; r < r1; ++r) columns.add(r, s0, s1);
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      hn::Store(s0[v], d, block0 + v * lanes);
      hn::Store(s1[v], d, block1 + v * lanes);
    }
    for (int64_t i = 0; i < kVectors * lanes; ++i) {
      sum0[i] += static_cast<double>(block0[i]);
      sum1[i] += static_cast<double>(block1[i]);
    }
  }
}

/// Cuts the channels into columns of 4, 2 and 1 vectors and of 1 lane.
template <template <class, int> class Columns, class Operands>
HWY_INLINE void SumRows(int64_t begin, int64_t end, int64_t channels, const Operands& operands,
                        double* sum0, double* sum1) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(Lanes()));
  int64_t c = 0;
  for (; c + 4 * lanes <= channels; c += 4 * lanes) {
    SumColumns(begin, end, Columns<Lanes, 4>(operands, c), sum0 + c, sum1 + c);
  }
  if (c + 2 * lanes <= channels) {
    SumColumns(begin, end, Columns<Lanes, 2>(operands, c), sum0 + c, sum1 + c);
    c += 2 * lanes;
  }
  if (c + lanes <= channels) {
    SumColumns(begin, end, Columns<Lanes, 1>(operands, c), sum0 + c, sum1 + c);
    c += lanes;
  }
  for (; c < channels; ++c) {
    SumColumns(begin, end, Columns<OneLane, 1>(operands, c), sum0 + c, sum1 + c);
  }
}

struct MomentOperands {
  const float* z;
  int64_t channels;
};

/// z - pivot and its square.
template <class Tag, int kCount>
struct MomentColumns {
  using D = Tag;
  static constexpr int kVectors = kCount;

  MomentColumns(const MomentOperands& o, int64_t c) : z(o.z + c), channels(o.channels) {
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) pivot[v] = hn::LoadU(D(), z + v * hn::Lanes(D()));
  }
  HWY_INLINE void add(int64_t r, V<D>* s0, V<D>* s1) const {
    const float* row = z + r * channels;
    FACSIM_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const V<D> x = hn::Sub(hn::LoadU(D(), row + v * hn::Lanes(D())), pivot[v]);
      s0[v] = hn::Add(s0[v], x);
      s1[v] = hn::Add(s1[v], hn::Mul(x, x));
    }
  }

  const float* z;
  int64_t channels;
  V<D> pivot[kVectors];
};

void MomentsOfRows(int64_t begin, int64_t end, int64_t channels, const float* z, double* sum,
                   double* sum_of_squares) {
  SumRows<MomentColumns>(begin, end, channels, MomentOperands{z, channels}, sum, sum_of_squares);
}

template <bool kScale, bool kOffset, bool kAddend>
void AffineRows(const AffinePass& p, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) {
    const float* z = p.z + r * p.channels;
    const float* addend = kAddend ? p.addend + r * p.channels : nullptr;
    float* y = p.y + r * p.channels;
    ForVectors(p.channels, [&](auto d, int64_t c) {
      auto v = hn::LoadU(d, z + c);
      if constexpr (kScale) v = hn::Mul(v, hn::LoadU(d, p.scale + c));
      if constexpr (kOffset) v = hn::Add(v, hn::LoadU(d, p.offset + c));
      if constexpr (kAddend) v = hn::Add(v, hn::LoadU(d, addend + c));
      const auto low = hn::Set(d, p.low), high = hn::Set(d, p.high);
      v = hn::IfThenElse(hn::Lt(v, low), low, v);
      hn::StoreU(hn::IfThenElse(hn::Gt(v, high), high, v), d, y + c);
    });
  }
}

void AffineOfRows(const AffinePass& p, int64_t begin, int64_t end) {
  const auto with_addend = [&]<bool kScale, bool kOffset>() {
    p.addend != nullptr ? AffineRows<kScale, kOffset, true>(p, begin, end)
                        : AffineRows<kScale, kOffset, false>(p, begin, end);
  };
  if (p.scale != nullptr) {
    p.offset != nullptr ? with_addend.template operator()<true, true>()
                        : with_addend.template operator()<true, false>();
  } else {
    p.offset != nullptr ? with_addend.template operator()<false, true>()
                        : with_addend.template operator()<false, false>();
  }
}

/// dy where the output lies strictly inside (low, high).
template <class Y, class D>
HWY_INLINE V<D> Masked(D d, const MaskedGradient& g, int64_t at) {
  const V<D> dy = hn::LoadU(d, g.dy + at);
  if constexpr (std::is_same_v<Y, None>) {
    return dy;
  } else {
    const V<D> y = LoadReal(d, static_cast<const Y*>(g.y) + at);
    return hn::IfThenElseZero(hn::And(hn::Gt(y, hn::Set(d, g.low)), hn::Lt(y, hn::Set(d, g.high))),
                              dy);
  }
}

/// g and g * x_hat.
template <class Y, class Z>
struct GradientColumnsOf {
  template <class Tag, int kCount>
  struct Columns {
    using D = Tag;
    static constexpr int kVectors = kCount;

    Columns(const MaskedGradient& gradient, int64_t c) : g(gradient), first(c) {
      if constexpr (!std::is_same_v<Z, None>) {
        FACSIM_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          center[v] = hn::LoadU(D(), g.center + c + v * hn::Lanes(D()));
          inverse[v] = hn::LoadU(D(), g.inverse + c + v * hn::Lanes(D()));
        }
      }
    }
    HWY_INLINE void add(int64_t r, V<D>* s0, V<D>* s1) const {
      const int64_t row = r * g.channels + first;
      FACSIM_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const int64_t at = row + v * static_cast<int64_t>(hn::Lanes(D()));
        const V<D> value = Masked<Y>(D(), g, at);
        s0[v] = hn::Add(s0[v], value);
        if constexpr (!std::is_same_v<Z, None>) {
          const V<D> z = LoadReal(D(), static_cast<const Z*>(g.z) + at);
          const V<D> x_hat = hn::Mul(hn::Sub(z, center[v]), inverse[v]);
          s1[v] = hn::Add(s1[v], hn::Mul(value, x_hat));
        }
      }
    }

    const MaskedGradient g;
    int64_t first;
    V<D> center[kVectors], inverse[kVectors];
  };
};

template <class Y, class Z>
void GradientOf(const GradientRows& rows, int64_t begin, int64_t count, float* dz) {
  const MaskedGradient& g = rows.gradient;
  for (int64_t r = 0; r < count; ++r) {
    const int64_t first = (begin + r) * g.channels;
    float* out = dz + r * g.channels;
    if (rows.scale == nullptr) {
      ForVectors(g.channels,
                 [&](auto d, int64_t c) { hn::StoreU(Masked<Y>(d, g, first + c), d, out + c); });
      continue;
    }
    ForVectors(g.channels, [&](auto d, int64_t c) {
      auto v = hn::Mul(hn::LoadU(d, rows.scale + c), Masked<Y>(d, g, first + c));
      if constexpr (!std::is_same_v<Z, None>) {
        const auto z = LoadReal(d, static_cast<const Z*>(g.z) + first + c);
        const auto x_hat =
            hn::Mul(hn::Sub(z, hn::LoadU(d, g.center + c)), hn::LoadU(d, g.inverse + c));
        v = hn::Add(v, hn::Add(hn::LoadU(d, rows.offset + c),
                               hn::Mul(hn::LoadU(d, rows.slope + c), x_hat)));
      }
      hn::StoreU(v, d, out + c);
    });
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
  with_types(g, [&]<class Y, class Z>() {
    SumRows<GradientColumnsOf<Y, Z>::template Columns>(begin, end, g.channels, g, sum_g, sum_gx);
  });
}

void GradientOfRows(const GradientRows& rows, int64_t begin, int64_t count, float* dz) {
  with_types(rows.gradient, [&]<class Y, class Z>() { GradientOf<Y, Z>(rows, begin, count, dz); });
}

template <class T>
void RealOf(const Activations& x, int64_t first, int64_t count, float* out) {
  const T* from = static_cast<const T*>(x.data) + first;
  ForVectors(count, [&](auto d, int64_t i) {
    const hn::RebindToSigned<decltype(d)> i32;
    const auto code = hn::PromoteTo(i32, hn::LoadU(hn::Rebind<T, decltype(d)>(), from + i));
    const auto centred = hn::ConvertTo(d, hn::Sub(code, hn::Set(i32, x.zero_point)));
    hn::StoreU(hn::Mul(centred, hn::Set(d, x.scale)), d, out + i);
  });
}

void RealElements(const Activations& x, int64_t first, int64_t count, float* out) {
  switch (x.type) {
    case DType::int8:
      return RealOf<int8_t>(x, first, count, out);
    case DType::uint8:
      return RealOf<uint8_t>(x, first, count, out);
    case DType::int16:
      return RealOf<int16_t>(x, first, count, out);
    case DType::uint16:
      return RealOf<uint16_t>(x, first, count, out);
    default:
      std::copy_n(static_cast<const float*>(x.data) + first, count, out);
  }
}

/// The ends of the sums in [first, first + count), widened from `range`.
void RangeOfSums(const Activations& a, const Activations& b, int64_t first, int64_t count,
                 SumRange& range) {
  constexpr int64_t kPart = 1024;
  HWY_ALIGN float x[kPart], y[kPart];
  const Lanes d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto low = hn::Set(d, range.min), high = hn::Set(d, range.max);
  for (int64_t at = 0; at < count; at += kPart) {
    const int64_t size = std::min(kPart, count - at);
    RealElements(a, first + at, size, x);
    RealElements(b, first + at, size, y);
    int64_t i = 0;
    for (; i + lanes <= size; i += lanes) {
      const auto sum = hn::Add(hn::Load(d, x + i), hn::Load(d, y + i));
      low = hn::Min(low, sum);
      high = hn::Max(high, sum);
    }
    for (; i < size; ++i) {
      range.min = std::min(range.min, x[i] + y[i]);
      range.max = std::max(range.max, x[i] + y[i]);
    }
  }
  range.min = std::min(range.min, hn::GetLane(hn::MinOfLanes(d, low)));
  range.max = std::max(range.max, hn::GetLane(hn::MaxOfLanes(d, high)));
}

void AddBias(int64_t rows, int64_t channels, const int32_t* acc, const int32_t* keep,
             const int32_t* bias, int32_t* out) {
  for (int64_t r = 0; r < rows; ++r, acc += channels, out += channels) {
    ForVectors(channels, [&](auto d, int64_t c) {
      const hn::RebindToSigned<decltype(d)> i32;
      const auto kept = hn::And(hn::LoadU(i32, acc + c), hn::LoadU(i32, keep + c));
      hn::StoreU(hn::Add(kept, hn::LoadU(i32, bias + c)), i32, out + c);
    });
  }
}

}  // namespace facsim::fused::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::fused::kernels {

HWY_EXPORT(MomentsOfRows);
HWY_EXPORT(AffineOfRows);
HWY_EXPORT(SumsOfRows);
HWY_EXPORT(GradientOfRows);
HWY_EXPORT(RealElements);
HWY_EXPORT(AddBias);
HWY_EXPORT(RangeOfSums);

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
  const GradientRows rows{gradient, scale, offset, slope};
  const int64_t channels = gradient.channels;
  chunked_rows(gradient.rows, channels, pool, [&](int64_t begin, int64_t end) {
    gradient_rows(rows, begin, end - begin, dz + begin * channels);
  });
}

void gradient_rows(const GradientRows& rows, int64_t begin, int64_t count, float* dz) {
  FACSIM_CHECK(rows.gradient.z == nullptr || rows.scale == nullptr ||
               (rows.offset != nullptr && rows.slope != nullptr));
  HWY_DYNAMIC_DISPATCH(GradientOfRows)(rows, begin, count, dz);
}

void real_elements(const Activations& x, int64_t first, int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(RealElements)(x, first, count, out);
}

SumRange range_of_sum(const Activations& a, const Activations& b, int64_t count,
                      sim::ThreadPool* pool) {
  constexpr int64_t kChunk = 32768;
  const float infinity = std::numeric_limits<float>::infinity();
  const int64_t chunks = (count + kChunk - 1) / kChunk;
  std::vector<SumRange> ranges(static_cast<size_t>(chunks), {infinity, -infinity});
  sim::parallel_for(pool, chunks, [&](int64_t chunk) {
    const int64_t first = chunk * kChunk;
    HWY_DYNAMIC_DISPATCH(RangeOfSums)
    (a, b, first, std::min(kChunk, count - first), ranges[static_cast<size_t>(chunk)]);
  });
  SumRange out{infinity, -infinity};
  for (const SumRange& range : ranges) {
    out = {std::min(out.min, range.min), std::max(out.max, range.max)};
  }
  return out;
}

void add_bias(int64_t rows, int64_t channels, const int32_t* acc, const int32_t* keep,
              const int32_t* bias, int32_t* out) {
  HWY_DYNAMIC_DISPATCH(AddBias)(rows, channels, acc, keep, bias, out);
}

}  // namespace facsim::fused::kernels
#endif  // HWY_ONCE
