// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/knob_output.h"

#include "tools/facsim/output.h"

namespace facsim::cli {

std::string set_options(const std::vector<backends::Knob>& knobs) {
  std::string text;
  for (const backends::Knob& knob : knobs) {
    for (const backends::ProfileOverride& setting : knob.overrides) {
      text += (text.empty() ? "--set " : " --set ") +
              shell_quoted(setting.pointer + "=" + setting.value);
    }
  }
  return text;
}

}  // namespace facsim::cli
