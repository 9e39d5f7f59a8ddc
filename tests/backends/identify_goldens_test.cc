// SPDX-License-Identifier: Apache-2.0
// Recorded rows of real runtimes: the profile they were recorded under is found, and what is left
// open is decided by a dialogue with it.
#include <doctest/doctest.h>

#include <chrono>

#include "backends/parity/identify-internal.h"
#include "tests/backends/scalar_tables.h"

namespace facsim::backends {
namespace {

using test::ColumnValue;
using test::ScalarTable;
using test::ScalarTables;
using Json = nlohmann::json;

/// The valid rows of a "run" entry of the manifest.
IdentifyRows rows_of(const ScalarTable& table, const Json& description, const Json& run) {
  IdentifyRows rows;
  const std::string op = run["op"];
  rows.output = op.find("uint8") != std::string::npos
                    ? sim::IntType{8, false}
                    : sim::full_range(table.column(run["expected"]).dtype());
  for (int64_t row = 0; row < table.rows(); ++row) {
    if (run.contains("valid") && table.integer(run["valid"], row) == 0) continue;
    for (const auto& [name, expression] : run["inputs"].items()) {
      const ColumnValue value = table.evaluate(expression, row);
      if (name == "acc") rows.acc.push_back(value.integer);
      if (name == "multiplier") rows.multiplier.push_back(value.integer);
      if (name == "shift") rows.shift.push_back(value.integer);
      if (name == "scale") rows.scale.push_back(value.as_real());
      if (name == "zero_point") rows.zero_point.push_back(value.integer);
      if (name == "clamp_min") rows.clamp_min.push_back(value.integer);
      if (name == "clamp_max") rows.clamp_max.push_back(value.integer);
      if (name != "bias" && name != "offset") continue;
      if (value.is_real) {
        rows.reals[name].push_back(value.real);
      } else {
        rows.integers[name].push_back(value.integer);
      }
    }
    rows.out.push_back(table.integer(run["expected"], row));
  }
  if (run["inputs"].contains("shift")) {
    const Json& column = description["columns"][run["inputs"]["shift"].get<std::string>()];
    rows.shift_is_left =
        column["meaning"].get<std::string>().find("positive=left") != std::string::npos;
  }
  return rows;
}

bool names(const std::vector<IdentifyCandidate>& candidates, const std::string& profile,
           const std::string& op) {
  return std::any_of(candidates.begin(), candidates.end(), [&](const IdentifyCandidate& c) {
    return c.profile == profile && c.settings.empty() &&
           std::find(c.ops.begin(), c.ops.end(), op) != c.ops.end();
  });
}

TEST_CASE(
    "identify: every run entry of the scalar tables names its profile, and a dialogue decides") {
  REQUIRE_SCALAR_TABLES();
  IdentifyOptions options;
  options.search = ProfileSearch::standard();
  options.suggest = 4;
  options.threads = 0;
  int entries = 0;
  for (const auto& [name, description] : ScalarTables::recorded().files().items()) {
    if (!description.contains("run")) continue;
    const ScalarTable table(name);
    for (const Json& run : description["run"]) {
      CAPTURE(name);
      CAPTURE(run.dump());
      const auto start = std::chrono::steady_clock::now();
      const Profile profile = load_profile(run["profile"].get<std::string>(), options.search);
      const Profile::Choice truth = profile.choose(run["op"].get<std::string>());
      IdentifyState state;
      state.rows = rows_of(table, description, run);
      size_t suggested = 0, classes = 0, first_classes = 0;
      while (true) {
        IdentifyRows next;
        const IdentifyResult result = identify_rows(state.rows, options, &next);
        CHECK(names(result.candidates, profile.name, truth.name));
        classes = result.classes.size();
        if (suggested == 0) first_classes = classes;
        if (classes <= 1 || next.size() == 0 || suggested > 16) break;
        suggested += next.size();
        state.pending = next;
        std::vector<int64_t> answers;
        std::set<size_t> refused;
        const detail::IdentifyOutcomes device =
            detail::run_identify_rows(*truth.rules, next, nullptr);
        for (size_t i = 0; i < device.size(); ++i) {
          answers.push_back(device[i].value_or(0));
          if (!device[i]) refused.insert(i);
        }
        answer(state, answers, refused);
      }
      const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
      ++entries;
      std::cout << name << ' ' << profile.name << ' ' << truth.name << ": " << state.rows.size()
                << " rows, " << first_classes << " classes, " << suggested
                << " suggested rows, then " << classes << ", " << time.count() << " s" << std::endl;
      CHECK(classes == 1);
      CHECK(suggested <= 16);
      CHECK(time.count() < 30);
    }
  }
  CHECK(entries >= 23);
}

}  // namespace
}  // namespace facsim::backends
