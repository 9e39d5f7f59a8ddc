// SPDX-License-Identifier: Apache-2.0
#include "sim/kernels/conv2d_strip-internal.h"

#include <algorithm>
#include <type_traits>

#include "sim/kernels/copy_codes-internal.h"
#include "sim/ops/op_support-internal.h"

namespace facsim::sim {
namespace {

constexpr int64_t kStripPixels = 256;  // times 32 accumulators of 4 bytes: 32 KiB
constexpr int64_t kStripBytes = 48 << 10;
constexpr int64_t kDepthwiseBytes = 96 << 10;  // many rows, of which few are copied twice
constexpr int64_t kCachedWeights = 192 << 10;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Elements of a strip pixel. Those of the depthwise kernel for bytes begin a cache line each: it
/// reads them by whole vectors, which would cross into the next line.
int64_t pixel_elements(Conv2dKernelKind kind, int64_t channels) {
  return kind == Conv2dKernelKind::depthwise_quads ? divide_up(channels, 64) * 64 : channels;
}

/// `parts`, or more of them up to twice as many, so that `threads` get about the same number of
/// strips if each part holds `strips`.
int64_t even_parts(int64_t parts, int64_t most, int64_t strips, int64_t threads) {
  const auto largest_share = [&](int64_t p) { return divide_up(p * strips, threads); };
  int64_t best = parts;
  if (16 * largest_share(parts) * threads <= 17 * parts * strips) return best;
  for (int64_t p = parts + 1; p <= std::min(most, 2 * parts); ++p) {
    if (largest_share(p) * best < largest_share(best) * p) best = p;
  }
  return best;
}

/// Weights that do not stay in the second cache level are worth many pixels; a strip of wide pixels
/// is worth its place in the first.
int64_t most_pixels(const Conv2dShape& shape, Conv2dKernelKind kind) {
  if (!reads_bytes(kind)) return kStripPixels;
  if (is_depthwise(kind)) {
    const int64_t bytes = shape.ic * shape.window.stride[0] * shape.window.stride[1];
    return std::max(kStripPixels, kDepthwiseBytes / std::max<int64_t>(1, bytes));
  }
  if (shape.oc * shape.taps() > kCachedWeights) return kStripPixels;
  const int64_t pixel_bytes = std::max<int64_t>(1, shape.ic + shape.oc);
  return std::clamp(kStripBytes / pixel_bytes, 4 * kQuadsPixels, kStripPixels);
}

}  // namespace

StripPlan::StripPlan(const Conv2dShape& shape, Conv2dKernelKind kind, int64_t min_strips,
                     int64_t threads)
    : n_(shape.n), oh_(shape.oh), ow_(shape.ow) {
  const int64_t unit = preferred_pixels(kind);
  const int64_t wanted = n_ == 0 ? 1 : divide_up(min_strips, n_);
  const int64_t limit = std::min(most_pixels(shape, kind), divide_up(oh_ * ow_, wanted));
  const bool whole_rows = limit >= ow_;
  column_unit_ = whole_rows ? ow_ : unit;
  column_units_ = divide_up(ow_, column_unit_);
  if (whole_rows) {
    row_parts_ = even_parts(divide_up(oh_, limit / ow_), oh_, n_, threads);
    column_parts_ = 1;
  } else {
    row_parts_ = oh_;
    column_parts_ = even_parts(divide_up(column_units_, divide_up(limit, unit)), column_units_,
                               n_ * oh_, threads);
  }
}

int64_t StripPlan::first_column(int64_t part) const {
  return std::min(ow_, column_units_ * part / column_parts_ * column_unit_);
}

int64_t StripPlan::max_rows() const { return divide_up(oh_, row_parts_); }

int64_t StripPlan::max_columns() const {
  return std::min(ow_, divide_up(column_units_, column_parts_) * column_unit_);
}

Strip StripPlan::strip(int64_t index) const {
  const int64_t column = index % column_parts_;
  const int64_t row = index / column_parts_ % row_parts_;
  return {index / (column_parts_ * row_parts_), oh_ * row / row_parts_,
          oh_ * (row + 1) / row_parts_, first_column(column), first_column(column + 1)};
}

Conv2dShape flattened(const Conv2dShape& s) {
  const bool pointwise = s.kh == 1 && s.kw == 1 &&
                         s.window.stride == std::array<int64_t, 2>{1, 1} &&
                         s.window.padding == Padding2d{};
  if (!pointwise) return s;
  Conv2dShape flat = s;
  flat.iw = flat.ow = s.n * s.oh * s.ow;
  flat.n = flat.ih = flat.oh = 1;
  return flat;
}

PaddedInput::Axis::Axis(int64_t kernel_extent, int64_t stride, int64_t dilation)
    : input_step(kernel_extent == 1 ? stride : 1),
      output_step(kernel_extent == 1 ? 1 : stride),
      tap_step(dilation),
      kernel(kernel_extent) {}

PaddedInput::PaddedInput(const Conv2dShape& shape, const Conv2dParams& params,
                         Conv2dKernelKind kind, const StripPlan& plan, size_t dispatch_index)
    : shape_(shape),
      params_(params),
      kind_(kind),
      dispatch_index_(dispatch_index),
      vertical_(shape.kh, shape.window.stride[0], shape.window.dilation[0]),
      horizontal_(shape.kw, shape.window.stride[1], shape.window.dilation[1]),
      repeat_(is_depthwise(kind) ? shape.group_oc : 1),
      pixel_elements_(pixel_elements(kind, shape.ic * repeat_)),
      element_bytes_(reads_bytes(kind) ? 1 : 2),
      pixel_bytes_(pixel_elements_ * element_bytes_),
      row_bytes_(horizontal_.extent(plan.max_columns()) * pixel_bytes_),
      max_rows_(vertical_.extent(plan.max_rows())) {}

std::vector<int64_t> PaddedInput::run_offsets(const Conv2dWeights& weights) const {
  std::vector<int64_t> offsets;
  for (int64_t kh = 0; kh < shape_.kh; ++kh) {
    const int64_t row = kh * vertical_.tap_step * row_bytes_;
    const int64_t runs = weights.runs_span_kw ? 1 : shape_.kw;
    for (int64_t kw = 0; kw < runs; ++kw) {
      offsets.push_back(row + kw * horizontal_.tap_step * pixel_bytes_);
    }
  }
  return offsets;
}

namespace {

/// The code that the kernel reads as 0.
int64_t code_of_zero(const Conv2dParams& params, Conv2dKernelKind kind) {
  if (reads_bytes(kind)) return -unsigned_offset(params.input_type);
  if (kind != Conv2dKernelKind::blocks) return params.input_zero_point;
  return params.input_zero_point - input_operand_offset(params);
}

}  // namespace

/// Pixels of the input, `from_step` codes apart, as pixels of the strip.
template <class Code, class Element>
void PaddedInput::copy(const Code* from, int64_t pixels, int64_t from_step, int32_t zero,
                       Element* to) const {
  int64_t count = shape_.ic;
  if (from_step == shape_.ic && pixel_elements_ == shape_.ic) {
    count *= pixels;
    pixels = pixels > 0 ? 1 : 0;
  }
  if (repeat_ > 1) {
    for (int64_t p = 0; p < pixels; ++p, from += from_step, to += pixel_elements_) {
      for (int64_t i = 0; i < count; ++i) {
        std::fill_n(to + i * repeat_, repeat_, static_cast<Element>(from[i] - zero));
      }
    }
  } else if constexpr (sizeof(Element) == 1) {
    copy_bytes(dispatch_index_)(reinterpret_cast<const uint8_t*>(from), count, from_step, pixels,
                                static_cast<uint8_t>(zero), to, pixel_elements_);
  } else {
    for (int64_t p = 0; p < pixels; ++p, from += from_step, to += pixel_elements_) {
      if constexpr (std::is_same_v<Code, int8_t>) {
        copy_widened_int8(dispatch_index_)(from, count, static_cast<int16_t>(zero), to);
      } else if constexpr (std::is_same_v<Code, uint8_t>) {
        copy_widened_uint8(dispatch_index_)(from, count, static_cast<int16_t>(zero), to);
      } else {
        for (int64_t i = 0; i < count; ++i) to[i] = static_cast<Element>(from[i] - zero);
      }
    }
  }
}

int32_t PaddedInput::padding_element() const {
  return static_cast<int32_t>(params_.padding_value - code_of_zero(params_, kind_));
}

template <class Code, class Element>
void PaddedInput::load_pixels(const Tensor& input, const Strip& strip, Element* out) const {
  const auto zero = static_cast<int32_t>(code_of_zero(params_, kind_));
  const Element padding = static_cast<Element>(padding_element());
  const int64_t rows = vertical_.extent(strip.oh_end - strip.oh_begin);
  const int64_t columns = horizontal_.extent(strip.ow_end - strip.ow_begin);
  const int64_t ih_first = strip.oh_begin * shape_.window.stride[0] - shape_.window.padding.top;
  const int64_t iw_first = strip.ow_begin * shape_.window.stride[1] - shape_.window.padding.left;
  const int64_t step = horizontal_.input_step;
  // Strip columns [inside_begin, inside_end) lie in the image.
  const int64_t inside_begin =
      std::clamp<int64_t>(divide_up(std::max<int64_t>(0, -iw_first), step), 0, columns);
  const int64_t inside_end = std::clamp<int64_t>(
      divide_up(std::max<int64_t>(0, shape_.iw - iw_first), step), inside_begin, columns);
  for (int64_t row = 0; row < rows; ++row, out += row_bytes_ / element_bytes_) {
    const int64_t ih = ih_first + row * vertical_.input_step;
    if (ih < 0 || ih >= shape_.ih) {
      std::fill_n(out, columns * pixel_elements_, padding);
      continue;
    }
    const Code* image_row = input.data<Code>() + (strip.n * shape_.ih + ih) * shape_.iw * shape_.ic;
    std::fill_n(out, inside_begin * pixel_elements_, padding);
    Element* to = out + inside_begin * pixel_elements_;
    copy(image_row + (iw_first + inside_begin * step) * shape_.ic, inside_end - inside_begin,
         step * shape_.ic, zero, to);
    std::fill_n(out + inside_end * pixel_elements_, (columns - inside_end) * pixel_elements_,
                padding);
  }
}

/// Each pixel is one run of whole steps, no tap is padding, and codes are the kernel's operands.
bool PaddedInput::reads_input_itself() const {
  return kind_ == Conv2dKernelKind::quads && shape_.kh == 1 && shape_.kw == 1 &&
         shape_.window.stride == std::array<int64_t, 2>{1, 1} &&
         shape_.window.padding == Padding2d{} && params_.weights.shape()[3] % 4 == 0 &&
         code_of_zero(params_, kind_) == 0;
}

/// Rows of four pixels and a rest; where the kernel likes more side by side, in such parts of about
/// equal size.
void PaddedInput::list_groups(const Strip& strip, const uint8_t* bytes,
                              std::vector<PixelGroup>& groups) const {
  groups.clear();
  const int64_t columns = strip.ow_end - strip.ow_begin;
  const int64_t parts = divide_up(columns, preferred_pixels(kind_));
  for (int64_t oh = 0; oh < strip.oh_end - strip.oh_begin; ++oh) {
    const uint8_t* row = bytes + oh * vertical_.output_step * row_bytes_;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t end = columns * (part + 1) / parts;
      for (int64_t ow = columns * part / parts; ow < end; ow += 4) {
        groups.push_back({row + ow * pixel_stride(), nullptr, std::min<int64_t>(4, end - ow)});
      }
    }
  }
}

void PaddedInput::load(const Tensor& input, const Strip& strip, Scratch& memory,
                       std::vector<PixelGroup>& groups) const {
  if (reads_input_itself()) {
    const int64_t first = (strip.n * shape_.oh + strip.oh_begin) * shape_.ow + strip.ow_begin;
    list_groups(strip, static_cast<const uint8_t*>(input.raw()) + first * shape_.ic, groups);
    return;
  }
  uint8_t* bytes = memory.reserve<uint8_t>(memory_bytes());
  detail::with_integer(input.dtype(), [&]<class Code>() {
    if (!reads_bytes(kind_)) {
      load_pixels<Code>(input, strip, reinterpret_cast<int16_t*>(bytes));
    } else if constexpr (sizeof(Code) == 1) {
      load_pixels<Code>(input, strip, bytes);
    }
  });
  list_groups(strip, bytes, groups);
}

}  // namespace facsim::sim
