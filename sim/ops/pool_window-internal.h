// SPDX-License-Identifier: Apache-2.0
// The geometry all pools share.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/ops/avg_pool2d.h"
#include "sim/ops/conv2d.h"
#include "sim/ops/sources.h"

namespace facsim::sim::detail {

/// The taps of one axis that lie inside the image: k in [begin, end), at input index(k).
struct Taps {
  int64_t origin = 0;  ///< input index of tap 0, negative inside the padding
  int64_t dilation = 1;
  int64_t begin = 0, end = 0;
  int64_t index(int64_t k) const { return origin + k * dilation; }
  int64_t count() const { return end - begin; }
};

/// Taps of output row `oh` (or column `ow`) over an input of `extent` rows (columns).
Taps row_taps(const Window2d& window, int64_t oh, int64_t extent);
Taps column_taps(const Window2d& window, int64_t ow, int64_t extent);

/// The window of an average pool: the whole image for a global one.
Window2d effective_window(const AvgPool2dParams& params, const Shape& input);

/// The elements of the image under the window of output element `flat_index`, rows first.
std::vector<SourceElement> window_sources(const Window2d& window, const Shape& input,
                                          const Shape& output, int64_t flat_index);

/// Error bad_value: kernel, stride or dilation < 1, padding < 0, anything above 2^20.
void check_window(std::string_view kind, const Window2d& window);

/// (N, OH, OW, C). Error shape_mismatch: not NHWC, the window does not fit once, or some output
/// would see no element of the image.
Shape pool_output_shape(std::string_view kind, const Window2d& window, const Shape& input);

}  // namespace facsim::sim::detail
