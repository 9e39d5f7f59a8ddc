// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/tflite/tflite_node-internal.h"

namespace facsim::backends::detail {

/// How the file stores a layer's weights.
enum class TfliteWeights {
  output_first,  ///< (O, ...), the scales on axis 0
  one_hwc,       ///< (1, H, W, C) becomes (C, H, W, 1), the scales on axis 3
};

/// The weights of a layer (input `weights`), as the IntGraph has them: output channels first. Error
/// for rank other than `rank`, computed ones, zero points other than 0 in signed types.
int tflite_weights(TfliteNode& node, size_t weights, int rank, TfliteWeights layout);

/// The bias of a layer, input `bias`, for weights that are in the IntGraph already; -1 if it has
/// none. INT32, or INT64 under INT16 inputs; a bias without scales gets input_scale * weight_scale,
/// and its single axis is the channels whatever quantized_dimension says.
int tflite_bias(TfliteNode& node, size_t bias, int input, int weights);

/// Both operands of an elementwise operator or a product, computed ones under the same rank, at
/// least `least_rank` (axes of 1 go in front: the first stays the batch). Error unsupported for two
/// constants, and for one that differs from image to image.
std::vector<int> tflite_operands(TfliteNode& node, int least_rank);

/// A window whose padding is resolved for an input (1, H, W, C). Error bad_value for strides,
/// dilations and kernels outside 1..65536.
struct TfliteWindow {
  tflite::Padding padding = tflite::Padding::SAME;
  std::array<int64_t, 2> kernel{1, 1}, stride{1, 1}, dilation{1, 1};
};
sim::Window2d tflite_window(const TfliteNode& node, const TfliteWindow& window, const Shape& input);

}  // namespace facsim::backends::detail
