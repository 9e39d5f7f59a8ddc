// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "backends/onnx/onnx_model.h"

namespace facsim::backends::detail {

constexpr int64_t kMostResizedPixels = 65536;  ///< of a Resize's or Upsample's result, on an axis

/// How a Resize or Upsample of images [N, C, H, W] samples.
struct OnnxResize {
  std::string mode;            ///< "nearest" or "linear"
  std::string coordinates;     ///< half_pixel, pytorch_half_pixel, align_corners, asymmetric,
                               ///< tf_half_pixel_for_nn (with nearest)
  std::string rounding;        ///< floor, ceil, round_prefer_floor, round_prefer_ceil
  bool of_image_axes = false;  ///< scales and sizes are those of H and W alone (`axes` 2, 3)
};

/// Reads the attributes, each of which must be one that is known here with a value that both
/// readers mean exactly: antialias 0, exclude_outside 0, keep_aspect_ratio_policy "stretch", axes
/// 0..3 or 2, 3; extrapolation_value and cubic_coeff_a say nothing about the modes above. Defaults
/// are ONNX's: of Resize from opset 11, half_pixel and round_prefer_floor; before it and of
/// Upsample, which have no attribute for them, asymmetric and floor. Error unsupported with the
/// attribute's name for any other one and for any other value. Source: ONNX Operators.md, Resize-10
/// to -19, Upsample-1 to -9.
OnnxResize onnx_resize_of(const OnnxNode& node, int64_t opset);

}  // namespace facsim::backends::detail
