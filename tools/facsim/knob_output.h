// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "backends/parity/knobs.h"

namespace facsim::cli {

/// "--set /requantize/rounding=half_even" for a shell, quoted where it needs it.
std::string set_options(const std::vector<backends::Knob>& knobs);

}  // namespace facsim::cli
