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
  if (text.starts_with('/') && equals != std::string::npos) {
    return {text.substr(0, equals), text.substr(equals + 1)};
  }
  const bool lacks_slash = equals != std::string::npos && equals > 0;
  const std::string hint =
      lacks_slash ? fmt::format("; did you mean \"/{}\"?", printable(text.substr(0, equals))) : "";
  throw UsageError(
      fmt::format("{} \"{}\": expected /pointer=value{}", option, printable(text), hint));
}

}  // namespace facsim::cli
