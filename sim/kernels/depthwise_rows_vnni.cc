// SPDX-License-Identifier: Apache-2.0
// Highway 1.0.3's AVX-512 target does not enable VNNI: here it does, for what follows
// HWY_BEFORE_NAMESPACE.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "sim/kernels/depthwise_rows_vnni.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "sim/kernels/depthwise_rows-internal.h"
#include "sim/kernels/requantize_fixed-inl.h"
#include "sim/kernels/requantize_float-inl.h"
#include "sim/kernels/requantize_shift-inl.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET == HWY_AVX3 && HWY_COMPILER_GCC_ACTUAL
#pragma GCC target("avx512vnni")
#define FACSIM_VNNI_INLINE __attribute__((always_inline, target("avx512vnni")))
#endif
namespace facsim::sim {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_AVX3 && HWY_COMPILER_GCC_ACTUAL

/// The codes of one column and tap row: kRows rows of 64 / kRows channels.
template <int kRows>
HWY_INLINE __m512i load_rows(const uint8_t* const (&x)[kRows], __mmask64 mask, bool partial) {
  if constexpr (kRows == 1) {
    return partial ? _mm512_maskz_loadu_epi8(mask, x[0]) : _mm512_loadu_si512(x[0]);
  } else if constexpr (kRows == 2) {
    const auto half = [](const uint8_t* at) FACSIM_VNNI_INLINE {
      return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
    };
    return _mm512_inserti64x4(_mm512_castsi256_si512(half(x[0])), half(x[1]), 1);
  } else {
    const auto quarter = [](const uint8_t* at) FACSIM_VNNI_INLINE {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    };
    __m512i v = _mm512_castsi128_si512(quarter(x[0]));
    v = _mm512_inserti32x4(v, quarter(x[1]), 1);
    v = _mm512_inserti32x4(v, quarter(x[2]), 2);
    return _mm512_inserti32x4(v, quarter(x[3]), 3);
  }
}

/// What a window's sums are made of while its columns come by.
struct WindowSums {
  __m512i v[4];
};

/// kRows rows at a time; the last row stands for those that are missing.
template <int kStride, int kRows, bool kPartial, class Stage, class End>
void depthwise_rows(const DepthwiseRowJob& job) {
  const Stage stage(*job.program);
  const End end(*job.program);
  const typename Stage::Operands operands[4] = {
      stage.load(job.first_operand), stage.load(job.first_operand + 16),
      stage.load(job.first_operand + 32), stage.load(job.first_operand + 48)};
  const __mmask64 mask = kPartial ? (uint64_t{1} << job.block.channels) - 1 : ~uint64_t{0};
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(job.flip));
  const __m512i padding = _mm512_xor_si512(_mm512_loadu_si512(job.padding), flip);
  __m512i weights[kDepthwiseTaps][4];
#pragma GCC unroll 3
  for (int kw = 0; kw < kDepthwiseTaps; ++kw) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      weights[kw][k] = _mm512_load_si512(job.weights + 64 * (4 * kw + k));
    }
  }
  const uint8_t* x[kDepthwiseTaps][kRows];
  int64_t step[kDepthwiseTaps][kRows];
  uint8_t* out[4];
  int64_t column = 0;

  __m512i quads[4];
  const auto next_column = [&]() FACSIM_VNNI_INLINE {
    __m512i a = padding, b = padding, c = padding;
    if (static_cast<uint64_t>(column) < static_cast<uint64_t>(job.columns)) {
      a = _mm512_xor_si512(load_rows<kRows>(x[0], mask, kPartial), flip);
      b = _mm512_xor_si512(load_rows<kRows>(x[1], mask, kPartial), flip);
      c = _mm512_xor_si512(load_rows<kRows>(x[2], mask, kPartial), flip);
#pragma GCC unroll 3
      for (int kh = 0; kh < kDepthwiseTaps; ++kh) {
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) x[kh][r] += step[kh][r];
      }
    }
    ++column;
    // A fourth tap is the third again, by weights of 0.
    const __m512i ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
    const __m512i c_low = _mm512_unpacklo_epi8(c, c), c_high = _mm512_unpackhi_epi8(c, c);
    quads[0] = _mm512_unpacklo_epi16(ab_low, c_low);
    quads[1] = _mm512_unpackhi_epi16(ab_low, c_low);
    quads[2] = _mm512_unpacklo_epi16(ab_high, c_high);
    quads[3] = _mm512_unpackhi_epi16(ab_high, c_high);
  };
  const auto start = [&](WindowSums& sums) FACSIM_VNNI_INLINE {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      sums.v[k] =
          _mm512_dpbusd_epi32(_mm512_load_si512(job.init + 16 * k), quads[k], weights[0][k]);
    }
  };
  const auto add = [&](WindowSums& sums, int kw) FACSIM_VNNI_INLINE {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      sums.v[k] = _mm512_dpbusd_epi32(sums.v[k], quads[k], weights[kw][k]);
    }
  };
  const auto finish = [&](const WindowSums& sums) FACSIM_VNNI_INLINE {
    const VecI16 low = end.join(stage.apply(VecI32{sums.v[0]}, operands[0]),
                                stage.apply(VecI32{sums.v[1]}, operands[1]));
    const VecI16 high = end.join(stage.apply(VecI32{sums.v[2]}, operands[2]),
                                 stage.apply(VecI32{sums.v[3]}, operands[3]));
    const NarrowVec<uint8_t> codes = end.codes(low, high);
    if constexpr (kPartial) {
      _mm512_mask_storeu_epi8(out[0], mask, codes.raw);
    } else {
      store_rows<4 / kRows, uint8_t>(codes, out);
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) out[r] += job.out_step;
  };

  for (int64_t row = 0; row < job.row_count; row += kRows) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const DepthwiseRow& from = job.rows[std::min<int64_t>(row + r, job.row_count - 1)];
      out[r] = from.out + job.block.first;
#pragma GCC unroll 3
      for (int kh = 0; kh < kDepthwiseTaps; ++kh) {
        step[kh][r] = from.step[kh];
        x[kh][r] = from.x[kh] + (from.step[kh] > 0 ? job.block.first : 0);
      }
    }
    column = job.first_column;
    int64_t o = 0;
    if constexpr (kStride == 1) {
      WindowSums p, q, r;
      next_column();
      start(p);
      next_column();
      add(p, 1);
      start(q);
      const auto output = [&](WindowSums& last, WindowSums& middle, WindowSums& first)
                              FACSIM_VNNI_INLINE {
                                next_column();
                                add(last, 2);
                                add(middle, 1);
                                start(first);
                                finish(last);
                              };
      for (; o + 3 <= job.outputs; o += 3) {
        output(p, q, r);
        output(q, r, p);
        output(r, p, q);
      }
      if (o < job.outputs) output(p, q, r);
      if (o + 1 < job.outputs) output(q, r, p);
    } else {
      WindowSums p, q;
      next_column();
      start(p);
      const auto output = [&](WindowSums& last, WindowSums& first) FACSIM_VNNI_INLINE {
        next_column();
        add(last, 1);
        next_column();
        add(last, 2);
        start(first);
        finish(last);
      };
      for (; o + 2 <= job.outputs; o += 2) {
        output(p, q);
        output(q, p);
      }
      if (o < job.outputs) output(p, q);
    }
  }
}

template <int kStride, class Stage>
DepthwiseRowKernels kernels_with() {
  using End = UniformEnd<true>;
  return {
      depthwise_rows<kStride, 1, false, Stage, End>, depthwise_rows<kStride, 2, false, Stage, End>,
      depthwise_rows<kStride, 4, false, Stage, End>, depthwise_rows<kStride, 1, true, Stage, End>};
}

/// An addition that a program lacks is one of -0 in its operands, which changes nothing.
template <int kStride, class Mode>
DepthwiseRowKernels real_kernels(FusedProgram::FloatShape shape) {
  using Shape = FusedProgram::FloatShape;
  switch (shape) {
    case Shape::scale:
      return kernels_with<kStride, ScaleStage<Mode>>();
    case Shape::scale_bias:
    case Shape::bias_scale:
    case Shape::bias_scale_bias:
      return kernels_with<kStride, BiasScaleBiasStage<Mode>>();
    case Shape::bias_scale_biases:
      return kernels_with<kStride, BiasScaleBiasesStage<Mode>>();
    case Shape::scale_clamp_scale:
    case Shape::scale_clamp_divide:
      return {};
  }
  return {};
}

template <int kStride>
DepthwiseRowKernels kernels_for(const FusedProgram& program) {
  using Form = FusedProgram::Form;
  switch (program.form) {
    case Form::fixed_double:
      if (!program.high_half) return {};
      return program.shifts_left ? kernels_with<kStride, HighDoubleStage<true>>()
                                 : kernels_with<kStride, HighDoubleStage<false>>();
    case Form::fixed_single:
      return program.high_half ? kernels_with<kStride, HighSingleStage>() : DepthwiseRowKernels{};
    case Form::rounding_shift:
      if (!program.nudged || program.shifts_left) return {};
      return program.rounding == Rounding::half_even
                 ? kernels_with<kStride, NudgedStage<true, false>>()
                 : kernels_with<kStride, NudgedStage<false, false>>();
    case Form::float_half_even:
      return real_kernels<kStride, HalfEven>(program.shape);
    case Form::float_half_away:
      return real_kernels<kStride, HalfAway>(program.shape);
  }
  return {};
}

DepthwiseRowKernels row_kernels(const FusedProgram& program, int64_t stride) {
  if (!program.uniform_end) return {};
  return stride == 1   ? kernels_for<1>(program)
         : stride == 2 ? kernels_for<2>(program)
                       : DepthwiseRowKernels{};
}

#else

DepthwiseRowKernels row_kernels(const FusedProgram& /*program*/, int64_t /*stride*/) { return {}; }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace facsim::sim
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "sim/kernels/dispatch-internal.h"

namespace facsim::sim {
HWY_EXPORT(row_kernels);

DepthwiseRowKernels depthwise_row_kernels(const FusedProgram& program, int64_t stride) {
  return HWY_DISPATCH_TABLE(row_kernels)[highway_dispatch_index(Isa::avx3_dl)](program, stride);
}
}  // namespace facsim::sim
#endif
