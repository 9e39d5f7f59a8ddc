// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/knob_output.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace facsim::cli {

namespace {

std::string quoted(const std::string& text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("/_-.=").find(static_cast<char>(c)) != std::string_view::npos;
  });
  return plain ? text : "'" + text + "'";
}

}  // namespace

std::string set_options(const std::vector<backends::Knob>& knobs) {
  std::string text;
  for (const backends::Knob& knob : knobs) {
    for (const backends::ProfileOverride& setting : knob.overrides) {
      text += (text.empty() ? "--set " : " --set ") + quoted(setting.pointer + "=" + setting.value);
    }
  }
  return text;
}

}  // namespace facsim::cli
