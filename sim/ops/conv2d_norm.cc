// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/conv2d_norm-internal.h"

#include <algorithm>

#include "sim/ops/accumulate.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

bool fits_int16(IntType type, int64_t zero_point) {
  return type.min() - zero_point >= INT16_MIN && type.max() - zero_point <= INT16_MAX;
}

/// The window of output pixel (oh, ow) of group g: [KH, KW, IC/G] codes minus the zero point.
template <class Code, class Tap>
void gather_taps(const Conv2dShape& s, const Conv2dParams& p, const Code* image, int64_t oh,
                 int64_t ow, int64_t g, Tap* taps) {
  const Tap zero_point = static_cast<Tap>(p.input_zero_point);
  const Tap padding = static_cast<Tap>(p.padding_value - p.input_zero_point);
  for (int64_t kh = 0; kh < s.kh; ++kh) {
    const int64_t ih = oh * s.window.stride[0] - s.window.padding.top + kh * s.window.dilation[0];
    for (int64_t kw = 0; kw < s.kw; ++kw, taps += s.group_ic) {
      const int64_t iw =
          ow * s.window.stride[1] - s.window.padding.left + kw * s.window.dilation[1];
      if (ih < 0 || ih >= s.ih || iw < 0 || iw >= s.iw) {
        std::fill_n(taps, s.group_ic, padding);
        continue;
      }
      const Code* pixel = image + (ih * s.iw + iw) * s.ic + g * s.group_ic;
      for (int64_t ic = 0; ic < s.group_ic; ++ic) {
        taps[ic] = static_cast<Tap>(pixel[ic] - zero_point);
      }
    }
  }
}

/// The layout of channel oc's taps for a structured accumulator.
TapLayout tap_layout(const Conv2dParams& p, int64_t oc) {
  TapLayout layout;
  layout.per_position = p.weights.shape()[3];
  layout.x_offset = input_operand_offset(p);
  if (p.accumulator.operands != Accumulator::Operands::centred) {
    layout.w_offset =
        p.weight_zero_point[p.weight_zero_point.size() == 1 ? 0 : static_cast<size_t>(oc)];
  }
  return layout;
}

}  // namespace

Conv2dNorm::Conv2dNorm(const Conv2dParams& params) : params_(params) {
  bias_.resize(static_cast<size_t>(params.weights.shape()[0]));
  if (params.bias.empty()) return;
  for (size_t c = 0; c < bias_.size(); ++c) bias_[c] = params.bias.int_at(static_cast<int64_t>(c));
}

int64_t Conv2dNorm::weight_zero_point(int64_t channel) const {
  const std::vector<int64_t>& zero = params_.weight_zero_point;
  return zero[zero.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

const Conv2dNorm::CentredWeights& Conv2dNorm::centred_weights() const {
  std::call_once(centred_once_, [&] {
    const auto oc = static_cast<int64_t>(bias_.size());
    const int64_t taps = oc == 0 ? 0 : params_.weights.numel() / oc;
    bool small = fits_int16(params_.input_type, params_.input_zero_point);
    for (int64_t c = 0; c < oc; ++c) {
      small = small && fits_int16(params_.weight_type, weight_zero_point(c));
    }
    const auto centre = [&]<class Tap>(std::vector<Tap> centred) {
      centred.resize(static_cast<size_t>(oc * taps));
      detail::with_integer(params_.weights.dtype(), [&]<class Code>() {
        const Code* code = params_.weights.data<Code>();
        Tap* tap = centred.data();
        for (int64_t c = 0; c < oc; ++c) {
          const Tap zero = static_cast<Tap>(weight_zero_point(c));
          for (int64_t t = 0; t < taps; ++t) *tap++ = static_cast<Tap>(*code++ - zero);
        }
      });
      centred_weights_ = std::move(centred);
    };
    if (small) {
      centre(std::vector<int16_t>{});
    } else {
      centre(std::vector<int32_t>{});
    }
  });
  return centred_weights_;
}

template <bool CountEvents>
void Conv2dNorm::row(const Conv2dShape& s, const Tensor& input, int64_t n, int64_t oh,
                     std::span<int64_t> acc, Events& events) const {
  const int64_t taps = s.taps();
  std::visit(
      [&]<class Tap>(const std::vector<Tap>& weights) {
        std::vector<Tap> window(static_cast<size_t>(taps));
        detail::with_integer(input.dtype(), [&]<class Code>() {
          const Code* image = input.data<Code>() + n * s.ih * s.iw * s.ic;
          for (int64_t ow = 0; ow < s.ow; ++ow) {
            for (int64_t g = 0; g < s.groups; ++g) {
              gather_taps(s, params_, image, oh, ow, g, window.data());
              for (int64_t oc = g * s.group_oc; oc < (g + 1) * s.group_oc; ++oc) {
                const Accumulated sum = accumulate<CountEvents>(
                    window.data(), weights.data() + oc * taps, taps, bias_[static_cast<size_t>(oc)],
                    params_.accumulator, tap_layout(params_, oc));
                acc[static_cast<size_t>(ow * s.oc + oc)] = sum.value;
                events.accumulator_overflow += sum.left_width ? 1 : 0;
              }
            }
          }
        });
      },
      centred_weights());
}

template void Conv2dNorm::row<false>(const Conv2dShape&, const Tensor&, int64_t, int64_t,
                                     std::span<int64_t>, Events&) const;
template void Conv2dNorm::row<true>(const Conv2dShape&, const Tensor&, int64_t, int64_t,
                                    std::span<int64_t>, Events&) const;

int64_t Conv2dNorm::at(const Conv2dShape& s, const Tensor& input, int64_t flat_index) const {
  const int64_t oc = flat_index % s.oc;
  const int64_t ow = flat_index / s.oc % s.ow;
  const int64_t oh = flat_index / (s.oc * s.ow) % s.oh;
  const int64_t n = flat_index / (s.oc * s.ow * s.oh);
  int64_t acc = 0;
  std::visit(
      [&]<class Tap>(const std::vector<Tap>& weights) {
        std::vector<Tap> window(static_cast<size_t>(s.taps()));
        detail::with_integer(input.dtype(), [&]<class Code>() {
          const Code* image = input.data<Code>() + n * s.ih * s.iw * s.ic;
          gather_taps(s, params_, image, oh, ow, oc / s.group_oc, window.data());
        });
        acc = accumulate<false>(window.data(), weights.data() + oc * s.taps(), s.taps(),
                                bias_[static_cast<size_t>(oc)], params_.accumulator,
                                tap_layout(params_, oc))
                  .value;
      },
      centred_weights());
  return acc;
}

Events run_conv2d_norm(const Conv2dNorm& norm, const Conv2dShape& s, const Tensor& input,
                       const RunContext& context, const NormRowSink& sink) {
  const Events total = detail::for_blocks(context.pool, s.n * s.oh, 1, [&](int64_t row, int64_t) {
    Events events;
    std::vector<int64_t> acc(static_cast<size_t>(s.ow * s.oc));
    if (context.count_events) {
      norm.row<true>(s, input, row / s.oh, row % s.oh, acc, events);
    } else {
      norm.row<false>(s, input, row / s.oh, row % s.oh, acc, events);
    }
    events += sink(row, acc);
    return events;
  });
  return context.count_events ? total : Events{};
}

}  // namespace facsim::sim
