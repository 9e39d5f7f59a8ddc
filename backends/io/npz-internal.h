// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "backends/io/npy.h"

namespace facsim::backends::detail {

/// As read_npz, from an archive already in memory. `place` names it in errors.
NamedTensors read_npz_bytes(std::string_view bytes, const std::string& place);

}  // namespace facsim::backends::detail
