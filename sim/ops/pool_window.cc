// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/pool_window-internal.h"

#include <algorithm>

#include <fmt/format.h>

#include "sim/ops/op_support-internal.h"

namespace facsim::sim::detail {

namespace {

constexpr int64_t kMaxExtent = int64_t{1} << 20;

Taps taps(int64_t origin, int64_t kernel, int64_t dilation, int64_t extent) {
  Taps t{origin, dilation, 0, kernel};
  if (origin < 0) t.begin = std::min(kernel, (-origin + dilation - 1) / dilation);
  t.end =
      origin >= extent ? t.begin : std::min(kernel, (extent - origin + dilation - 1) / dilation);
  t.end = std::max(t.begin, t.end);
  return t;
}

void check_field(std::string_view kind, std::string_view field, int64_t value, int64_t least) {
  if (value >= least && value <= kMaxExtent) return;
  throw Error({ErrorCode::bad_value, fmt::format("{} {}", kind, field), fmt::format("{}", value),
               fmt::format("{}..{}", least, kMaxExtent), ""});
}

}  // namespace

Taps row_taps(const Window2d& window, int64_t oh, int64_t extent) {
  return taps(oh * window.stride[0] - window.padding.top, window.kernel[0], window.dilation[0],
              extent);
}

Taps column_taps(const Window2d& window, int64_t ow, int64_t extent) {
  return taps(ow * window.stride[1] - window.padding.left, window.kernel[1], window.dilation[1],
              extent);
}

Window2d effective_window(const AvgPool2dParams& params, const Shape& input) {
  if (!params.global) return params.window;
  Window2d whole;
  whole.kernel = {input[1], input[2]};
  return whole;
}

std::vector<SourceElement> window_sources(const Window2d& window, const Shape& input,
                                          const Shape& output, int64_t flat_index) {
  const int64_t c = flat_index % output[3], pixel = flat_index / output[3];
  const int64_t n = pixel / output[2] / output[1];
  const Taps rows = row_taps(window, pixel / output[2] % output[1], input[1]);
  const Taps columns = column_taps(window, pixel % output[2], input[2]);
  std::vector<SourceElement> sources;
  for (int64_t kh = rows.begin; kh < rows.end; ++kh) {
    for (int64_t kw = columns.begin; kw < columns.end; ++kw) {
      const int64_t row = n * input[1] + rows.index(kh);
      sources.push_back({0, (row * input[2] + columns.index(kw)) * input[3] + c});
    }
  }
  return sources;
}

void check_window(std::string_view kind, const Window2d& window) {
  for (const int64_t v : window.kernel) check_field(kind, "kernel", v, 1);
  for (const int64_t v : window.stride) check_field(kind, "stride", v, 1);
  for (const int64_t v : window.dilation) check_field(kind, "dilation", v, 1);
  const Padding2d& padding = window.padding;
  for (const int64_t v : {padding.top, padding.left, padding.bottom, padding.right}) {
    check_field(kind, "padding", v, 0);
  }
}

Shape pool_output_shape(std::string_view kind, const Window2d& window, const Shape& input) {
  check_nhwc(kind, input);
  const auto [oh, ow] = window.output_extent(input[1], input[2]);
  bool all_see_the_image = true;
  for (int64_t i = 0; i < oh; ++i) all_see_the_image &= row_taps(window, i, input[1]).count() > 0;
  for (int64_t i = 0; i < ow; ++i) {
    all_see_the_image &= column_taps(window, i, input[2]).count() > 0;
  }
  if (!all_see_the_image) {
    throw Error({ErrorCode::shape_mismatch, std::string(kind),
                 "a window lies in the padding only, for input " + to_string(input),
                 "at least one element of the image under each window", "use less padding"});
  }
  return Shape{input[0], oh, ow, input[3]};
}

}  // namespace facsim::sim::detail
