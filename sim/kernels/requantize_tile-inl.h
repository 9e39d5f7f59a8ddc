// SPDX-License-Identifier: Apache-2.0
// What the fused requantizations share: how rows are cut into vectors, and the end of every form,
// which adds the zero point, clamps, narrows and stores. Four vectors of accumulators are narrowed
// at once: those of one row, or of two or four rows where a row has fewer channels.
#if defined(FACSIM_SIM_KERNELS_REQUANTIZE_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FACSIM_SIM_KERNELS_REQUANTIZE_TILE_INL_H_
#undef FACSIM_SIM_KERNELS_REQUANTIZE_TILE_INL_H_
#else
#define FACSIM_SIM_KERNELS_REQUANTIZE_TILE_INL_H_
#endif

#include <algorithm>

#include "sim/kernels/lanes-inl.h"
#include "sim/kernels/requantize_fused-internal.h"

HWY_BEFORE_NAMESPACE();
namespace facsim::sim {
namespace HWY_NAMESPACE {

/// A stage is a form without its end, made from the program: `load(i)` gives the operands of the
/// vector whose first channel is element i of the expanded operands, `apply(acc, operands)` the
/// values before the zero point.
///
/// Zero point and clamp bounds per vector, added and compared in 32 bits.
struct GeneralEnd {
  struct Operands {
    VecI32 zero_point, low, high;
  };
  explicit GeneralEnd(const FusedProgram& program)
      : zero_point(program.zero_point.data()),
        low(program.clamp_min.data()),
        high(program.clamp_max.data()) {}

  HWY_INLINE Operands load(int64_t i) const {
    const TagI32 d;
    return {hn::LoadU(d, zero_point + i), hn::LoadU(d, low + i), hn::LoadU(d, high + i)};
  }
  static HWY_INLINE VecI32 apply(VecI32 y, const Operands& o) {
    return hn::Min(hn::Max(hn::Add(y, o.zero_point), o.low), o.high);
  }

  const int32_t* zero_point;
  const int32_t* low;
  const int32_t* high;
};

#if HWY_TARGET == HWY_SCALAR

template <class Element, class Stage>
int64_t requantize_elements(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  const Stage stage(program);
  const GeneralEnd end(program);
  for (int64_t row = 0; row < job.rows; ++row) {
    Element* out = static_cast<Element*>(job.out) + row * job.out_stride;
    for (int64_t c = 0; c < job.channels; ++c) {
      const int64_t i = (job.first_channel + c) & program.operand_mask;
      const VecI32 acc = hn::LoadU(TagI32(), job.acc + row * job.acc_stride + c);
      out[c] = static_cast<Element>(
          hn::GetLane(GeneralEnd::apply(stage.apply(acc, stage.load(i)), end.load(i))));
    }
  }
  return HWY_TARGET;
}

/// The stage with the end of the program.
template <class Stage>
FusedKernel kernel_of(const FusedProgram& program) {
  return program.output == DType::int8    ? requantize_elements<int8_t, Stage>
         : program.output == DType::uint8 ? requantize_elements<uint8_t, Stage>
                                          : requantize_elements<int16_t, Stage>;
}

#else

inline constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(TagI32()));
using TagI16 = hn::Repartition<int16_t, TagI32>;
using VecI16 = hn::Vec<TagI16>;
template <class Element>
using NarrowTag = hn::Repartition<Element, TagI32>;
template <class Element>
using NarrowVec = hn::Vec<NarrowTag<Element>>;
using LaneOrder = decltype(hn::SetTableIndices(TagI32(), static_cast<int32_t*>(nullptr)));

/// Both vectors narrowed, saturating, 128-bit block by block: 8 bytes of a's block, 8 of b's.
template <class Element>
HWY_INLINE NarrowVec<Element> narrow_blocks(VecI16 a, VecI16 b) {
  constexpr bool kSigned = std::is_same_v<Element, int8_t>;
#if HWY_TARGET == HWY_AVX3
  if constexpr (kSigned) return NarrowVec<Element>{_mm512_packs_epi16(a.raw, b.raw)};
  return NarrowVec<Element>{_mm512_packus_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_AVX2
  if constexpr (kSigned) return NarrowVec<Element>{_mm256_packs_epi16(a.raw, b.raw)};
  return NarrowVec<Element>{_mm256_packus_epi16(a.raw, b.raw)};
#elif HWY_TARGET == HWY_SSE4 || HWY_TARGET == HWY_SSSE3
  if constexpr (kSigned) return NarrowVec<Element>{_mm_packs_epi16(a.raw, b.raw)};
  return NarrowVec<Element>{_mm_packus_epi16(a.raw, b.raw)};
#else
  static_assert(kLanes == 4, "one block");
  (void)kSigned;
  const hn::Half<NarrowTag<Element>> half;
  return hn::Combine(NarrowTag<Element>(), hn::DemoteTo(half, b), hn::DemoteTo(half, a));
#endif
}

/// Where each 32-bit lane of vectors that were narrowed block by block comes from. kVectors vectors
/// of int32 became one vector; every block of it holds 4 / kVectors lanes of each.
template <int kVectors>
struct BlockOrder {
  constexpr BlockOrder() {
    constexpr int64_t kRun = 4 / kVectors;
    for (int64_t i = 0; i < kLanes; ++i) {
      const int64_t vector = i / (kLanes / kVectors);
      const int64_t lane = i % (kLanes / kVectors);
      from[i] = static_cast<int32_t>(lane / kRun * 4 + vector * kRun + lane % kRun);
    }
  }
  alignas(64) int32_t from[kLanes] = {};
};
template <int kVectors>
HWY_INLINE LaneOrder block_order() {
  static constexpr BlockOrder<kVectors> kOrder;
  return hn::SetTableIndices(TagI32(), kOrder.from);
}

template <class Vec>
HWY_INLINE Vec reorder(Vec v, LaneOrder order) {
  if constexpr (kLanes == 4) {
    (void)order;
    return v;
  } else {
    return hn::BitCast(hn::DFromV<Vec>(), hn::TableLookupLanes(hn::BitCast(TagI32(), v), order));
  }
}

/// Stores the kVectors * kLanes elements of each of the 4 / kVectors rows that `bytes` holds.
template <int kVectors, class Element>
HWY_INLINE void store_rows(NarrowVec<Element> v, Element* const (&out)[4]) {
  const NarrowTag<Element> d;
  const hn::Half<NarrowTag<Element>> half;
  const hn::Half<hn::Half<NarrowTag<Element>>> quarter;
  if constexpr (kVectors == 4) {
    hn::StoreU(v, d, out[0]);
  } else if constexpr (kVectors == 2) {
    hn::StoreU(hn::LowerHalf(half, v), half, out[0]);
    hn::StoreU(hn::UpperHalf(half, v), half, out[1]);
  } else {
    const auto low = hn::LowerHalf(half, v), high = hn::UpperHalf(half, v);
    hn::StoreU(hn::LowerHalf(quarter, low), quarter, out[0]);
    hn::StoreU(hn::UpperHalf(quarter, low), quarter, out[1]);
    hn::StoreU(hn::LowerHalf(quarter, high), quarter, out[2]);
    hn::StoreU(hn::UpperHalf(quarter, high), quarter, out[3]);
  }
}

/// The end for 8 bits where FusedProgram::uniform_end holds: the code is low + u, where u counts
/// from the lowest code, so that narrowing to uint8 clamps below:
///   u = min(sat_uint8(sat_int16(y) + (zero_point - low)), high - low)
/// Saturation to 16 bits changes only what the clamp changes anyhow. Without kShift, zero_point is
/// low, as where a ReLU follows.
template <bool kShift>
struct UniformEnd {
  using Element = uint8_t;
  struct Operands {};
  explicit UniformEnd(const FusedProgram& program)
      : shift(
            hn::Set(TagI16(), static_cast<int16_t>(program.zero_point[0] - program.clamp_min[0]))),
        low(hn::Set(NarrowTag<uint8_t>(), static_cast<uint8_t>(program.clamp_min[0]))),
        span(hn::Set(NarrowTag<uint8_t>(),
                     static_cast<uint8_t>(program.clamp_max[0] - program.clamp_min[0]))),
        order(block_order<4>()) {}

  HWY_INLINE Operands load(int64_t /*i*/) const { return {}; }
  static HWY_INLINE VecI32 apply(VecI32 y, const Operands& /*o*/) { return y; }
  HWY_INLINE VecI16 join(VecI32 y0, VecI32 y1) const {
    const VecI16 joined = hn::ReorderDemote2To(TagI16(), y0, y1);
    return kShift ? hn::SaturatedAdd(joined, shift) : joined;
  }
  /// Each 128-bit block of the codes comes from that block of the four vectors.
  HWY_INLINE NarrowVec<uint8_t> codes(VecI16 a, VecI16 b) const {
    return hn::Add(hn::Min(narrow_blocks<uint8_t>(a, b), span), low);
  }
  template <int kVectors>
  HWY_INLINE void store(VecI16 a, VecI16 b, uint8_t* const (&out)[4]) const {
    store_rows<kVectors, uint8_t>(reorder(codes(a, b), order), out);
  }

  VecI16 shift;
  NarrowVec<uint8_t> low, span;
  LaneOrder order;
};

/// The general end for 8 bits.
template <class T>
struct NarrowEnd : GeneralEnd {
  using Element = T;
  explicit NarrowEnd(const FusedProgram& program) : GeneralEnd(program), order(block_order<4>()) {}

  static HWY_INLINE VecI16 join(VecI32 y0, VecI32 y1) {
    return hn::ReorderDemote2To(TagI16(), y0, y1);
  }
  template <int kVectors>
  HWY_INLINE void store(VecI16 a, VecI16 b, T* const (&out)[4]) const {
    store_rows<kVectors, T>(reorder(narrow_blocks<T>(a, b), order), out);
  }

  LaneOrder order;
};

/// The general end for 16 bits.
struct WideEnd : GeneralEnd {
  using Element = int16_t;
  explicit WideEnd(const FusedProgram& program) : GeneralEnd(program), order(block_order<2>()) {}

  HWY_INLINE VecI16 join(VecI32 y0, VecI32 y1) const {
    return reorder(hn::ReorderDemote2To(TagI16(), y0, y1), order);
  }
  template <int kVectors>
  HWY_INLINE void store(VecI16 a, VecI16 b, int16_t* const (&out)[4]) const {
    const TagI16 d;
    if constexpr (kVectors == 4) {
      hn::StoreU(a, d, out[0]);
      hn::StoreU(b, d, out[0] + 2 * kLanes);
    } else if constexpr (kVectors == 2) {
      hn::StoreU(a, d, out[0]);
      hn::StoreU(b, d, out[1]);
    } else {
      const hn::Half<TagI16> half;
      hn::StoreU(hn::LowerHalf(half, a), half, out[0]);
      hn::StoreU(hn::UpperHalf(half, a), half, out[1]);
      hn::StoreU(hn::LowerHalf(half, b), half, out[2]);
      hn::StoreU(hn::UpperHalf(half, b), half, out[3]);
    }
  }

  LaneOrder order;
};

/// A part of the job: the accumulators and codes of its rows from one channel on.
template <class Element>
struct Columns {
  const int32_t* acc;
  int64_t acc_stride;
  Element* out;
  int64_t out_stride;
  int64_t rows;
};

/// 4 / kVectors rows of kVectors vectors, with the operands of each of the four vectors.
template <int kVectors, class Stage, class End, class S, class E>
HWY_INLINE void requantize_rows(const int32_t* acc, int64_t acc_stride, typename End::Element* out,
                                int64_t out_stride, const End& end, const S& s0, const S& s1,
                                const S& s2, const S& s3, const E& e0, const E& e1, const E& e2,
                                const E& e3) {
  const TagI32 d;
  const int32_t* const row1 = kVectors == 4 ? acc : acc + acc_stride;
  const int32_t* const a1 = kVectors == 1 ? row1 : acc + kLanes;
  const int32_t* const a2 = kVectors == 1   ? acc + 2 * acc_stride
                            : kVectors == 2 ? row1
                                            : acc + 2 * kLanes;
  const int32_t* const a3 = kVectors == 1   ? a2 + acc_stride
                            : kVectors == 2 ? row1 + kLanes
                                            : acc + 3 * kLanes;
  // Two vectors are joined before the next two are begun: few registers are needed.
  const VecI32 y0 = End::apply(Stage::apply(hn::LoadU(d, acc), s0), e0);
  const VecI32 y1 = End::apply(Stage::apply(hn::LoadU(d, a1), s1), e1);
  const VecI16 a = end.join(y0, y1);
  const VecI32 y2 = End::apply(Stage::apply(hn::LoadU(d, a2), s2), e2);
  const VecI32 y3 = End::apply(Stage::apply(hn::LoadU(d, a3), s3), e3);
  const VecI16 b = end.join(y2, y3);
  typename End::Element* const rows[4] = {out, out + out_stride, out + 2 * out_stride,
                                          out + 3 * out_stride};
  end.template store<kVectors>(a, b, rows);
}

/// kVectors vectors of each row. `operand(v)` is the element of the expanded operands for vector v.
/// Operands stay in registers from row to row.
template <int kVectors, class Stage, class End, class Operand>
HWY_INLINE void requantize_columns(const Columns<typename End::Element> part, const Stage& stage,
                                   const End& end, Operand&& operand) {
  constexpr int64_t kRows = 4 / kVectors;
  const auto s0 = stage.load(operand(0));
  const auto s1 = kVectors == 1 ? s0 : stage.load(operand(1));
  const auto s2 = kVectors < 4 ? s0 : stage.load(operand(2));
  const auto s3 = kVectors < 4 ? s1 : stage.load(operand(3));
  const auto e0 = end.load(operand(0));
  const auto e1 = kVectors == 1 ? e0 : end.load(operand(1));
  const auto e2 = kVectors < 4 ? e0 : end.load(operand(2));
  const auto e3 = kVectors < 4 ? e1 : end.load(operand(3));
  // Strides of 0 make the rows past the last repeat it.
  const auto requantize = [&](const int32_t* acc, int64_t acc_stride, typename End::Element* out,
                              int64_t out_stride) HWY_ATTR {
    requantize_rows<kVectors, Stage>(acc, acc_stride, out, out_stride, end, s0, s1, s2, s3, e0, e1,
                                     e2, e3);
  };
  const int32_t* acc = part.acc;
  typename End::Element* out = part.out;
  int64_t row = 0;
  for (; row + kRows <= part.rows; row += kRows) {
    requantize(acc, part.acc_stride, out, part.out_stride);
    acc += kRows * part.acc_stride;
    out += kRows * part.out_stride;
  }
  for (; row < part.rows; ++row) {
    requantize(acc, 0, out, 0);
    acc += part.acc_stride;
    out += part.out_stride;
  }
}

/// Rows shorter than a vector, through a buffer.
template <class Stage, class End>
HWY_NOINLINE void requantize_short_rows(const RequantizeJob<int32_t>& job, int64_t first_operand,
                                        const Stage& stage, const End& end) {
  using Element = typename End::Element;
  HWY_ALIGN int32_t acc[4 * kLanes] = {};
  HWY_ALIGN Element out[4 * kLanes];
  for (int64_t first = 0; first < job.rows; first += 4) {
    const int64_t rows = std::min<int64_t>(4, job.rows - first);
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(job.acc + (first + r) * job.acc_stride, job.channels, acc + r * kLanes);
    }
    requantize_columns<1>(Columns<Element>{acc, kLanes, out, kLanes, rows}, stage, end,
                          [=](int64_t) HWY_ATTR { return first_operand; });
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(out + r * kLanes, job.channels,
                  static_cast<Element*>(job.out) + (first + r) * job.out_stride);
    }
  }
}

/// Rows of kVectors vectors, as tile kernels make them: nothing is cut, so that a call for a tile
/// costs little beside its work. Returns the Highway target.
template <int kVectors, class End, class Stage>
HWY_NOINLINE int64_t requantize_whole_rows(const FusedProgram& program,
                                           const RequantizeJob<int32_t>& job) {
  using Element = typename End::Element;
  const int64_t first = job.first_channel, mask = program.operand_mask;
  requantize_columns<kVectors>(
      Columns<Element>{job.acc, job.acc_stride, static_cast<Element*>(job.out), job.out_stride,
                       job.rows},
      Stage(program), End(program),
      [=](int64_t v) HWY_ATTR { return (first + v * kLanes) & mask; });
  return HWY_TARGET;
}

/// Cuts the rows into columns of four, two or one vectors; the last ends where the row does, so it
/// may repeat channels of the one before. Some rows at a time, so that wide rows are not walked
/// from end to end once per column. Returns the Highway target.
template <class End, class Stage>
int64_t requantize_job(const FusedProgram& program, const RequantizeJob<int32_t>& job) {
  if (job.channels == 2 * kLanes) return requantize_whole_rows<2, End, Stage>(program, job);
  using Element = typename End::Element;
  const Stage stage(program);
  const End end(program);
  const int64_t mask = program.operand_mask;
  const int64_t channels = job.channels, first_channel = job.first_channel;
  if (channels < kLanes) {
    requantize_short_rows(job, first_channel & mask, stage, end);
    return HWY_TARGET;
  }
  const int64_t rows_at_once = channels <= 4 * kLanes ? job.rows : 32;
  for (int64_t row = 0; row < job.rows; row += rows_at_once) {
    const int64_t rows = std::min(rows_at_once, job.rows - row);
    const int32_t* acc = job.acc + row * job.acc_stride;
    Element* out = static_cast<Element*>(job.out) + row * job.out_stride;
    const auto run = [&]<int kVectors>(int64_t c) HWY_ATTR {
      requantize_columns<kVectors>(
          Columns<Element>{acc + c, job.acc_stride, out + c, job.out_stride, rows}, stage, end,
          [=](int64_t v) HWY_ATTR { return (first_channel + c + v * kLanes) & mask; });
    };
    for (int64_t c = 0; c < channels;) {
      const int64_t rest = channels - c;
      if (rest > 2 * kLanes && channels >= 4 * kLanes) {
        run.template operator()<4>(std::min(c, channels - 4 * kLanes));
        c += 4 * kLanes;
      } else if (rest > kLanes && channels >= 2 * kLanes) {
        run.template operator()<2>(std::min(c, channels - 2 * kLanes));
        c += 2 * kLanes;
      } else {
        run.template operator()<1>(std::min(c, channels - kLanes));
        c += kLanes;
      }
    }
  }
  return HWY_TARGET;
}

/// The stage with the end of the program.
template <class Stage>
FusedKernel kernel_of(const FusedProgram& program) {
  if (program.output == DType::int16) return requantize_job<WideEnd, Stage>;
  if (program.uniform_end) {
    return program.zero_point[0] == program.clamp_min[0] ? requantize_job<UniformEnd<false>, Stage>
                                                         : requantize_job<UniformEnd<true>, Stage>;
  }
  return program.output == DType::int8 ? requantize_job<NarrowEnd<int8_t>, Stage>
                                       : requantize_job<NarrowEnd<uint8_t>, Stage>;
}

#endif  // HWY_TARGET == HWY_SCALAR

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();
#endif  // include guard
