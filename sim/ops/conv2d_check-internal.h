// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "sim/ops/conv2d.h"

namespace facsim::sim {

enum class RequantizeUse { used, unused };

/// Everything about the parameters that does not depend on the input or on the range of the
/// accumulators. Errors as Conv2d's constructor documents.
void check_conv2d_params(const Conv2dParams& params, RequantizeUse requantize);

/// For ops whose taps are not a window's in its order (transpose_conv2d, lstm, svdf): Error
/// unsupported for what would depend on the layout of the taps, which is operands other than
/// centred ones and blocks of less than all taps.
void check_accumulator_of_all_taps(std::string_view kind, const Accumulator& accumulator);

}  // namespace facsim::sim
