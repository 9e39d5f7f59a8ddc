// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <span>

#include "sim/core/tensor.h"

namespace facsim::backends {

/// out[i] = in[axes[i]]: the axes of `tensor` in another order, elements moved (numpy.transpose).
/// Error shape_mismatch if `axes` is no permutation of the tensor's.
Tensor permuted(const Tensor& tensor, std::span<const int> axes);

inline constexpr std::array<int, 4> kNchwToNhwc{0, 2, 3, 1};
inline constexpr std::array<int, 4> kNhwcToNchw{0, 3, 1, 2};
inline constexpr std::array<int, 4> kOihwToOhwi{0, 2, 3, 1};
inline constexpr std::array<int, 4> kOneHwcToOhwi{3, 1, 2, 0};  ///< TFLite depthwise weights 1HWC
inline constexpr std::array<int, 2> kSwapped{1, 0};

}  // namespace facsim::backends
