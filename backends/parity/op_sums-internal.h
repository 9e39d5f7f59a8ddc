// SPDX-License-Identifier: Apache-2.0
// What ops that sum products or taps give to their programs.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "backends/parity/same_results-internal.h"
#include "sim/ops/conv2d.h"

namespace facsim::backends::detail {

/// Whether the window reaches outside the image.
inline bool pads(const sim::Window2d& window) { return !(window.padding == sim::Padding2d{}); }

/// A layer with weights, whatever its class.
struct WeightedLayer {
  const sim::Conv2dParams* params = nullptr;  ///< null: it has none
  bool pads = false;                          ///< taps outside the image hold the padding value
  bool leaves_out = false;  ///< an output has not all taps (transposed convolution)
};
WeightedLayer weighted_layer(const sim::Op& op);

/// What a layer's program is applied to: one interval or more for each output channel.
struct LayerSums {
  struct Channel {
    AppliedProgram program;
    int64_t min = 0, max = 0;  ///< of v in AppliedProgram
  };
  /// True if every accumulator is proved to be the exact sum, whatever its width, overflow and
  /// order: v = 0, 1, … counts the possible sums, with the bias, from the least, a common divisor
  /// apart. Else v is the accumulator, anything that its width holds.
  bool exact = false;
  std::vector<Channel> channels;

  /// keeps_order of the program over all channels' values.
  bool keeps_order() const;
};

/// For inputs of some codes, with X = code - input_zero_point in [xl, xh] by input channel, X of
/// the padding outside the image, and w = weight - weight_zero_point, for each place that a window
/// can have at the image's borders:
///   total   = [sum of min(w * xl, w * xh), sum of max(w * xl, w * xh)]
///   partial = [sum of min(0, w * xl, w * xh), sum of max(0, w * xl, w * xh)], bias included
///   step    = the greatest common divisor of the w of taps with xl < xh
/// Taps that may be left out can also be 0. Nothing if a sum leaves 62 bits.
std::optional<LayerSums> layer_sums(const WeightedLayer& layer, const InputKind& input,
                                    const CodeRanges& codes);

/// sum over the taps inside the image of (code - zero_point), and of as many constants as taps are
/// outside where these count: average pools and means.
struct TapSums {
  sim::IntType type;
  int64_t zero_point = 0;
  int64_t fewest = 0, most = 0;                  ///< taps inside the image
  std::optional<int64_t> pads_with;              ///< a code that is summed outside
  const sim::Requantizer* requantize = nullptr;  ///< null: the op sums no taps

  /// To be applied to the sum of the codes of `inside` taps.
  AppliedProgram of_taps(int64_t inside) const {
    if (!pads_with) return {requantize, inside - 1, -inside * zero_point};
    return {requantize, most - 1, (most - inside) * *pads_with - most * zero_point};
  }
};
TapSums tap_sums(const sim::Op& op, const Shape& input);

}  // namespace facsim::backends::detail
