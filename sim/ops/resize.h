// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include "sim/ops/op.h"
#include "sim/ops/sources.h"

namespace facsim::sim {

/// NHWC to another height and width. Codes keep their scale and zero point.
///
/// nearest: source index of output index i, in float32 with one rounding an operation:
///   (i + offset) * scale, offset 0.5 with half_pixel_centers, else 0;
///   scale = (in - 1) / (out - 1) with align_corners (out > 1), else in / out;
///   rounded half away from zero with align_corners, else down; cut to 0..in-1.
/// bilinear: positions in 1/1024 pixel:
///   scale = (1024 * in + out / 2) / out, or with align_corners (out > 1)
///           (1024 * (in - 1) + (out - 1) / 2) / (out - 1);
///   p = i * scale, with half_pixel_centers + scale / 2 - 512;
///   lower = max(p / 1024, 0), upper = (p + 1023) / 1024, both at most in - 1; divisions cut;
///   t = p - 1024 * lower is the weight of `upper`, 1024 - t that of `lower`;
///   out = (sum of the four codes times both their weights) / 2^20, half away from zero.
/// TFLite does not limit `lower` to in - 1, which matters (reads outside the image) only where an
/// image is enlarged more than about a thousand times.
/// Source: TFLite reference/resize_nearest_neighbor.h, resize_bilinear.h ResizeBilinearInteger.
struct ResizeParams {
  enum class Mode { nearest, bilinear };
  Mode mode = Mode::nearest;
  std::array<int64_t, 2> size{1, 1};  ///< OH, OW
  bool align_corners = false, half_pixel_centers = false;
  IntType type = kInt8;  ///< up to 32 bits
};
class Resize final : public Op, public SourcesOp {
 public:
  /// Errors: bad_value for a size outside 1..2^24 and for bilinear with both align_corners and
  /// half_pixel_centers; unsupported for types above 32 bits.
  explicit Resize(ResizeParams params);
  std::string_view kind() const override { return "resize"; }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return params_.type.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override { return params_.type.storage(); }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  std::vector<SourceElement> sources(std::span<const Shape> inputs,
                                     int64_t flat_index) const override;
  const ResizeParams& params() const { return params_; }

 private:
  ResizeParams params_;
};

}  // namespace facsim::sim
