// SPDX-License-Identifier: Apache-2.0
// What tests of lowerings start from: the profiles of this source tree, parameters of tensors.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/profile.h"
#include "quant/qparams.h"

namespace facsim::test {

inline backends::Profile shipped_profile(
    std::string_view name, const std::vector<backends::ProfileOverride>& overrides = {}) {
  return backends::load_profile(name, {{std::string(FACSIM_SOURCE_DIR) + "/configs/profiles"}},
                                overrides);
}

/// Per-tensor parameters of all codes of a type.
inline quant::QParams qparams_of(float scale, int64_t zero_point, sim::IntType type = sim::kInt8) {
  quant::QParams q;
  q.scale = {scale};
  q.zero_point = {zero_point};
  q.type = type;
  q.quant_min = type.min();
  q.quant_max = type.max();
  return q;
}

}  // namespace facsim::test
