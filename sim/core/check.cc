// SPDX-License-Identifier: Apache-2.0
#include "sim/core/check.h"

#include <stdexcept>

namespace facsim::detail {

void check_failed(const char* file, int line, const char* expression, const std::string& values) {
  throw std::logic_error(std::string("facsim internal error: ") + file + ":" +
                         std::to_string(line) + ": " + expression +
                         (values.empty() ? "" : " (" + values + ")"));
}

}  // namespace facsim::detail
