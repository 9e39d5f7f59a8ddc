// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "tools/facsim/command.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

/// "/pointer=value", as `option` (--set and those like it) takes it. UsageError.
inline backends::ProfileOverride parse_override(std::string_view option, const std::string& text) {
  const size_t equals = text.find('=');
  if (text.empty() || text[0] != '/' || equals == std::string::npos) {
    throw UsageError(fmt::format("{} \"{}\": expected /pointer=value", option, printable(text)));
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace facsim::cli
