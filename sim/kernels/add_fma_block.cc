// SPDX-License-Identifier: Apache-2.0
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/add_fma_block.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/add_fma_block-internal.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Without the instruction Highway's MulAdd rounds twice.
#if HWY_TARGET == HWY_AVX2 || HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || \
    HWY_ARCH_ARM_A64

template <class Code>
void add_fma_block(const AddFmaBlock& block, const Code* a, const Code* b, int64_t count,
                   Code* out) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> d32;
  const hn::Rebind<Code, decltype(d)> codes;
  const auto lhs_ratio = hn::Set(d, block.lhs_ratio), rhs_ratio = hn::Set(d, block.rhs_ratio);
  const auto offset = hn::Set(d, block.offset);
  const auto low = hn::Set(d, block.clamp_min), high = hn::Set(d, block.clamp_max);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto vector = [&](const Code* x, const Code* y, Code* to) HWY_ATTR {
    const auto real_x = hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(codes, x)));
    const auto real_y = hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(codes, y)));
    const auto sum = hn::MulAdd(real_x, lhs_ratio, hn::MulAdd(real_y, rhs_ratio, offset));
    // The bounds are integers: clamped before the rounding or after it is the same.
    const auto code = hn::NearestInt(hn::Min(hn::Max(sum, low), high));
    hn::StoreU(hn::DemoteTo(codes, code), codes, to);
  };
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) vector(a + i, b + i, out + i);
  if (i == count) return;
  Code rest[3][hn::MaxLanes(d)] = {};
  for (int64_t k = i; k < count; ++k) rest[0][k - i] = a[k], rest[1][k - i] = b[k];
  vector(rest[0], rest[1], rest[2]);
  for (int64_t k = i; k < count; ++k) out[k] = rest[2][k - i];
}

AddFmaKernel<int8_t> fma_int8() { return add_fma_block<int8_t>; }
AddFmaKernel<uint8_t> fma_uint8() { return add_fma_block<uint8_t>; }

#else

AddFmaKernel<int8_t> fma_int8() { return nullptr; }
AddFmaKernel<uint8_t> fma_uint8() { return nullptr; }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace facsim::sim {
HWY_EXPORT(fma_int8);
HWY_EXPORT(fma_uint8);

AddFmaKernel<int8_t> add_fma_int8(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(fma_int8)[dispatch_index]();
}
AddFmaKernel<uint8_t> add_fma_uint8(size_t dispatch_index) {
  return HWY_DISPATCH_TABLE(fma_uint8)[dispatch_index]();
}
}  // namespace facsim::sim
#endif
