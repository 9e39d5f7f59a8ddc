// SPDX-License-Identifier: Apache-2.0
// The text of profiles, as `profile fmt` and `migrate` read it: what comes out means the same and
// formats to itself.
#include <cstdlib>
#include <string_view>

#include "backends/profile/migrate-internal.h"
#include "backends/profile/profile_file.h"
#include "sim/core/error.h"
#include "tests/fuzz/fuzz.h"

namespace facsim::fuzz {

std::vector<std::string> seeds() {
  return {R"(// a profile
{
  "$schema": "s.json", // for editors
  "schema_version": 1, "name" /* a */ : /* b */ "y" /* c */,

  /* two
     lines */
  "requantize": {"rounding": [{"shift": 31, "mode": "half_up"}, {"shift": "rest", // r
    "mode": "floor"}], "domain": "fixed_point"},
  "ops": {"add": {}, "conv2d": {"variants": {"int16x8": {"when": {"activation": "int16"}}}} }
  // the end
}
)",
          R"({"schema_version": 1, "name": "x", "title": "\"\\ // é", "tolerance_lsb": -1.5e+3,
"fusion": ["A", "B", [], {}], "evidence": {"level": "assumed", "sources": ["a long source that fills a line", "another"]}})",
          "{\"schema_version\": 1, \"name\": \"x\" /* a */ // b\n, \"ops\": {\n/* c */}}"};
}

}  // namespace facsim::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace facsim;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    const std::string once = backends::format_profile_text(text, "input");
    const auto value_of = [](std::string_view of) {
      return backends::json::parse_json(of, "input",
                                        {.comments = backends::json::Comments::allowed})
          .value;
    };
    if (value_of(once) != value_of(text)) std::abort();
    if (backends::format_profile_text(once, "output") != once) std::abort();
    backends::detail::migrate_text(text, "input", backends::detail::migrations(), 1);
  } catch (const Error& error) {
    // What was formatted can be read: only the input and its version are refused.
    if (error.infos().front().place.starts_with("output")) std::abort();
  }
  return 0;
}
