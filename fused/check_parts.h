// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "fused/linear_parts.h"

namespace facsim::fused {

/// What a named fused class consists of.
struct ExpectedParts {
  std::string_view linear = "conv2d";  ///< conv2d (depthwise too), transpose_conv2d, linear
  bool normalises = false, adds = false, activates = false;
};

/// Error bad_value, naming the class, if the parts are others.
void check_parts(const LinearParts& parts, std::string_view type_name,
                 const ExpectedParts& expected);

}  // namespace facsim::fused
