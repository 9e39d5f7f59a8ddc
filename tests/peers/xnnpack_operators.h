// SPDX-License-Identifier: Apache-2.0
// Layers by XNNPACK; nothing for one that it refuses.
#pragma once

#include <array>
#include <optional>

#include "tests/peers/layer.h"

namespace facsim::test {

/// qs8 and qu8 for one weight scale, qc8 for one per channel.
std::optional<Tensor> xnnpack_convolution(const Layer& layer);
std::optional<Tensor> xnnpack_deconvolution(const Layer& layer);
/// Height and width of its output.
std::array<int64_t, 2> xnnpack_deconvolution_extent(const Layer& layer);
std::optional<Tensor> xnnpack_linear(const Layer& layer);

std::optional<Tensor> xnnpack_binary(const Layer& layer);  ///< add, sub, mul
std::optional<Tensor> xnnpack_global_pool(const Layer& layer);
std::optional<Tensor> xnnpack_average_pool(const Layer& layer);
std::optional<Tensor> xnnpack_max_pool(const Layer& layer);
/// quantize, dequantize, sigmoid, tanh; leaky_relu of uint8.
std::optional<Tensor> xnnpack_unary(const Layer& layer);

}  // namespace facsim::test
