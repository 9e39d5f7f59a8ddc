// SPDX-License-Identifier: Apache-2.0
// Every "run" entry of the scalar tables, executed as it is written: profile, op phrase, inputs,
// expected column, valid rows.
#include <doctest/doctest.h>

#include "backends/lower/given_arguments.h"
#include "backends/lower/lower.h"
#include "tests/backends/scalar_tables.h"

namespace facsim::backends {
namespace {

using Json = nlohmann::json;
using test::ScalarTable;
using test::ScalarTables;

/// Rows that a run entry calls valid.
std::vector<int64_t> valid_rows(const ScalarTable& table, const Json& run) {
  std::vector<int64_t> rows;
  for (int64_t row = 0; row < table.rows(); ++row) {
    if (!run.contains("valid") || table.integer(run["valid"], row) != 0) rows.push_back(row);
  }
  return rows;
}

/// True if the table's column counts shifts to the left (TFLite's exponent).
bool counts_left(const Json& description, const Json& expression) {
  const Json& column = description["columns"][expression.get<std::string>()];
  return column["meaning"].get<std::string>().find("positive=left") != std::string::npos;
}

/// One run entry with its table and rules.
struct ScalarRun {
  const Json& description;
  const Json& run;
  const ScalarTable& table;
  const OpRules& rules;
  std::vector<int64_t> rows;

  std::vector<int64_t> integers(const char* name) const {
    std::vector<int64_t> values;
    for (const int64_t row : rows) {
      const test::ColumnValue value = table.evaluate(run["inputs"][name], row);
      REQUIRE_FALSE(value.is_real);
      values.push_back(value.integer);
    }
    return values;
  }
  std::vector<float> reals(const char* name) const {
    std::vector<float> values;
    for (const int64_t row : rows) {
      values.push_back(table.evaluate(run["inputs"][name], row).as_real());
    }
    return values;
  }
  std::vector<int64_t> right_shifts() const {
    std::vector<int64_t> shifts = integers("shift");
    if (counts_left(description, run["inputs"]["shift"])) {
      for (int64_t& shift : shifts) shift = rules.multiplier.bits - 1 - shift;
    }
    return shifts;
  }
};

/// The type of the results: unsigned where the phrase says so, else that of the expected column
/// (some tables stop before the last cast).
sim::IntType output_type(const Profile::Choice& choice, const Tensor& expected) {
  return choice.output.is_signed ? sim::full_range(expected.dtype()) : choice.output;
}

/// Sets what the entry gives; what is no requantizer's own input is an argument of the program, or
/// a bias of the accumulator.
GivenArguments read_inputs(const ScalarRun& run, std::vector<int64_t>& acc) {
  GivenArguments given;
  for (const auto& [name, expression] : run.run["inputs"].items()) {
    if (name == "acc") {
      acc = run.integers("acc");
    } else if (name == "multiplier") {
      given.multiplier = run.integers("multiplier");
    } else if (name == "shift") {
      given.shift = run.right_shifts();
    } else if (name == "scale") {
      given.scale = run.reals("scale");
    } else if (name == "zero_point") {
      given.zero_point = run.integers("zero_point");
    } else if (name == "clamp_min") {
      given.clamp_min = run.integers("clamp_min");
    } else if (name == "clamp_max") {
      given.clamp_max = run.integers("clamp_max");
    } else {
      given.integers[name] = run.integers(name.c_str());
    }
  }
  return given;
}

struct RunCount {
  int64_t rows = 0, mismatches = 0;
  std::string op;
};

RunCount execute(const std::string& table_name, const Json& description, const Json& entry) {
  const Profile profile =
      load_profile(entry["profile"].get<std::string>(), ProfileSearch::standard());
  const Profile::Choice choice = profile.choose(entry["op"].get<std::string>());
  const ScalarTable table(table_name);
  const ScalarRun run{description, entry, table, *choice.rules, valid_rows(table, entry)};

  std::vector<int64_t> acc;
  GivenArguments given = read_inputs(run, acc);
  given.output = output_type(choice, table.column(entry["expected"]));
  const sim::Requantizer requantizer = make_requantizer(run.rules, given);

  RunCount count{0, 0, choice.name};
  for (size_t i = 0; i < run.rows.size(); ++i) {
    sim::Events events;
    const auto channel = static_cast<int64_t>(i);
    const int64_t expected = table.integer(entry["expected"], run.rows[i]);
    const int64_t got =
        requantizer.apply(acc[i], requantizer.channels() == 1 ? 0 : channel, events);
    ++count.rows;
    if (got == expected) continue;
    if (count.mismatches == 0) {
      MESSAGE(table_name, " row ", run.rows[i], ": acc ", acc[i], " expected ", expected, " got ",
              got);
    }
    ++count.mismatches;
  }
  return count;
}

TEST_CASE("scalar tables: every run entry gives its recorded results") {
  REQUIRE_SCALAR_TABLES();
  int entries = 0;
  for (const auto& [name, description] : ScalarTables::recorded().files().items()) {
    if (!description.contains("run")) continue;
    for (const Json& entry : description["run"]) {
      CAPTURE(name);
      CAPTURE(entry.dump());
      RunCount count;
      try {
        count = execute(name, description, entry);
      } catch (const Error& error) {
        FAIL_CHECK(std::string(error.what()));
        continue;
      }
      std::cout << name << " " << entry["profile"].get<std::string>() << " "
                << entry["op"].get<std::string>() << ": " << count.rows << " rows, "
                << count.mismatches << " mismatches\n";
      test::report_parity({{"profile", entry["profile"]},
                           {"op", count.op},
                           {"recording", "requantization rows " + name.substr(0, name.find('.'))},
                           {"code", test::recorded_code(name)},
                           {"cases", 1},
                           {"compared", count.rows},
                           {"mismatches", count.mismatches}});
      CHECK(count.rows > 1000);
      CHECK(count.mismatches == 0);
      ++entries;
    }
  }
  CHECK(entries >= 23);
}

}  // namespace
}  // namespace facsim::backends
