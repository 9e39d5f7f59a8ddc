// SPDX-License-Identifier: Apache-2.0
#include "fused/kernels/bf16_rows.h"

#include "sim/core/check.h"

#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fused/kernels/bf16_rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace facsim::fused::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

/// Calls body(d, i) for whole vectors of 32-bit lanes of [0, n), then lane by lane.
template <class Body>
HWY_INLINE void ForWords(int64_t n, Body body) {
  const hn::ScalableTag<uint32_t> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) body(d, i);
  for (; i < n; ++i) body(hn::CappedTag<uint32_t, 1>(), i);
}

/// The low halves of 32-bit lanes.
template <class D>
HWY_INLINE void StoreHalves(D d, hn::Vec<D> lanes, uint16_t* out) {
  const hn::Rebind<uint16_t, D> d16;
  const hn::RebindToSigned<D> i32;
  // Signed saturation keeps what is sign-extended from 16 bits.
  const auto extended = hn::ShiftRight<16>(hn::BitCast(i32, hn::ShiftLeft<16>(lanes)));
  const auto narrow = hn::DemoteTo(hn::Rebind<int16_t, D>(), extended);
  hn::StoreU(hn::BitCast(d16, narrow), d16, out);
}

void RoundToBf16(const float* values, int64_t count, uint16_t* out) {
  ForWords(count, [&](auto d, int64_t i) {
    const hn::RebindToFloat<decltype(d)> f32;
    const auto value = hn::LoadU(f32, values + i);
    const auto bits = hn::BitCast(d, value);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1));
    const auto rounded = hn::ShiftRight<16>(hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7fff))));
    const auto quiet = hn::Or(hn::ShiftRight<16>(bits), hn::Set(d, 0x40));
    const auto ordered = hn::RebindMask(d, hn::Eq(value, value));
    StoreHalves(d, hn::IfThenElse(ordered, rounded, quiet), out + i);
  });
}

template <class T>
void CentredOf(const Activations& x, int64_t first, int64_t count, uint16_t* out) {
  const T* from = static_cast<const T*>(x.data) + first;
  ForWords(count, [&](auto d, int64_t i) {
    const hn::RebindToSigned<decltype(d)> i32;
    const hn::RebindToFloat<decltype(d)> f32;
    const auto code = hn::PromoteTo(i32, hn::LoadU(hn::Rebind<T, decltype(d)>(), from + i));
    const auto centred = hn::ConvertTo(f32, hn::Sub(code, hn::Set(i32, x.zero_point)));
    StoreHalves(d, hn::ShiftRight<16>(hn::BitCast(d, centred)), out + i);
  });
}

void Centred(const Activations& x, int64_t first, int64_t count, uint16_t* out) {
  if (x.type == DType::int8) {
    CentredOf<int8_t>(x, first, count, out);
  } else {
    CentredOf<uint8_t>(x, first, count, out);
  }
}

void Interleave(const uint16_t* low, const uint16_t* high, int64_t count, float* words) {
  ForWords(count, [&](auto d, int64_t i) {
    const hn::Rebind<uint16_t, decltype(d)> d16;
    const hn::RebindToFloat<decltype(d)> f32;
    const auto a = hn::PromoteTo(d, hn::LoadU(d16, low + i));
    const auto b = hn::PromoteTo(d, hn::LoadU(d16, high + i));
    hn::StoreU(hn::BitCast(f32, hn::Or(a, hn::ShiftLeft<16>(b))), f32, words + i);
  });
}

}  // namespace facsim::fused::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::fused::kernels {

HWY_EXPORT(RoundToBf16);
HWY_EXPORT(Centred);
HWY_EXPORT(Interleave);

void round_to_bf16(const float* values, int64_t count, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(RoundToBf16)(values, count, out);
}

void centred_bf16(const Activations& x, int64_t first, int64_t count, uint16_t* out) {
  FACSIM_CHECK(x.type == DType::int8 || x.type == DType::uint8);
  HWY_DYNAMIC_DISPATCH(Centred)(x, first, count, out);
}

void interleave(const uint16_t* low, const uint16_t* high, int64_t count, float* words) {
  HWY_DYNAMIC_DISPATCH(Interleave)(low, high, count, words);
}

}  // namespace facsim::fused::kernels
#endif  // HWY_ONCE
