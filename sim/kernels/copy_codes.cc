// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/copy_codes.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/copy_codes-internal.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void bytes_less(const uint8_t* from, int64_t count, int64_t from_step, int64_t pixels, uint8_t zero,
                uint8_t* to, int64_t to_step) {
  const hn::ScalableTag<uint8_t> d;
  const auto zeros = hn::Set(d, zero);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t p = 0; p < pixels; ++p, from += from_step, to += to_step) {
    int64_t i = 0;
    for (; i + lanes <= count; i += lanes) {
      hn::StoreU(hn::Sub(hn::LoadU(d, from + i), zeros), d, to + i);
    }
    if (i == count) continue;
    if (count >= lanes) {  // the last vector once more, as far as it goes
      hn::StoreU(hn::Sub(hn::LoadU(d, from + count - lanes), zeros), d, to + count - lanes);
    } else {
      for (; i < count; ++i) to[i] = static_cast<uint8_t>(from[i] - zero);
    }
  }
}

template <class Code>
HWY_INLINE void widened_less(const Code* from, int64_t count, int16_t zero, int16_t* to) {
  const hn::ScalableTag<int16_t> d;
  const hn::Rebind<Code, decltype(d)> codes;
  const auto zeros = hn::Set(d, zero);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Sub(hn::PromoteTo(d, hn::LoadU(codes, from + i)), zeros), d, to + i);
  }
  for (; i < count; ++i) to[i] = static_cast<int16_t>(from[i] - zero);
}

void int8_less(const int8_t* from, int64_t count, int16_t zero, int16_t* to) {
  widened_less(from, count, zero, to);
}
void uint8_less(const uint8_t* from, int64_t count, int16_t zero, int16_t* to) {
  widened_less(from, count, zero, to);
}

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(bytes_less);
HWY_EXPORT(int8_less);
HWY_EXPORT(uint8_less);

CopyBytes copy_bytes(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(bytes_less)[dispatch_index];
}
CopyWidened<int8_t> copy_widened_int8(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(int8_less)[dispatch_index];
}
CopyWidened<uint8_t> copy_widened_uint8(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(uint8_less)[dispatch_index];
}
}  // namespace facsim::sim
#endif
