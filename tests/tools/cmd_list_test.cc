// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/tools/command_runner.h"

namespace facsim::test {

TEST_CASE("facsim list: every list as text and as JSON") {
  const std::pair<const char*, const char*> lists[] = {
      {"rounding", "half_even"},    {"overflow", "saturate"},    {"ops", "conv2d"},
      {"profiles", "tflite-micro"}, {"targets", "scalar"},       {"patterns", "ConvBnReLU2d"},
      {"observers", "min_max"},     {"fake_quantizers", "fixed"}};
  for (const auto& [list, word] : lists) {
    CAPTURE(list);
    const CommandResult text = run_command({"list", list});
    CHECK(text.exit_code == 0);
    CHECK(text.err.empty());
    CHECK(contains(text.out, word));
    const CommandResult json = run_command({"--format", "json", "list", list});
    CHECK(json.exit_code == 0);
    const auto entries = nlohmann::json::parse(json.out).at(list);
    const bool found = std::any_of(entries.begin(), entries.end(),
                                   [&](const auto& entry) { return entry.at("name") == word; });
    CHECK(found);
  }
}

}  // namespace facsim::test
