// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace facsim::fuzz {

/// Small networks that together have most operators.
std::vector<std::string> tflite_files();

}  // namespace facsim::fuzz
