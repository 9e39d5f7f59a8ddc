// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/lower/lower.h"

namespace facsim::backends {

/// Where the scales of blocked quantization lie: one per `size` neighbours along `axis` of the
/// tensor and per index of every other axis (ONNX block_size).
struct ScaleBlocks {
  Shape scales;      ///< shape of scale and zero point
  int axis = 0;      ///< >= 0
  int64_t size = 1;  ///< >= 1
};

/// QuantizeLinear and DequantizeLinear with a scale per block; the qparams hold the scales flat in
/// row-major order. The rules are those of `quantize` and `dequantize`. Errors: bad_value for a
/// block description that does not fit the scales, unsupported for the type.
std::shared_ptr<const sim::Op> lower_quantize_blocked(const Profile& profile,
                                                      const quant::QParams& output,
                                                      const ScaleBlocks& blocks);
std::shared_ptr<const sim::Op> lower_dequantize_blocked(const Profile& profile,
                                                        const quant::QParams& input,
                                                        const ScaleBlocks& blocks);

}  // namespace facsim::backends
