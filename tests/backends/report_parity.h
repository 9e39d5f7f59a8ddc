// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <iostream>
#include <nlohmann/json.hpp>

namespace facsim::test {

/// Prints what the generator of configs/PARITY.md collects: one line per profile, op and recording.
inline void report_parity(const nlohmann::json& evidence) {
  std::cout << "PARITY " << evidence.dump() << "\n";
}

}  // namespace facsim::test
