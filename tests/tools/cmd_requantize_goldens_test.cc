// SPDX-License-Identifier: Apache-2.0
// The "run" entries of the scalar tables through the command: files in, file out.
#include <doctest/doctest.h>

#include <map>

#include "tests/backends/scalar_tables.h"
#include "tests/tools/command_runner.h"

namespace facsim::test {

namespace {

using Json = nlohmann::json;

/// Values of one input in the valid rows as a file; its path.
std::string write_input(const TempFolder& folder, const ScalarTable& table, const std::string& name,
                        const Json& expression, const std::vector<int64_t>& rows) {
  std::vector<int64_t> integers;
  std::vector<float> reals;
  for (const int64_t row : rows) {
    const ColumnValue value = table.evaluate(expression, row);
    if (value.is_real) {
      reals.push_back(value.real);
    } else {
      integers.push_back(value.integer);
    }
  }
  const Shape shape{static_cast<int64_t>(rows.size())};
  const std::string file = (folder / (name + ".npy")).string();
  backends::write_npy(file, reals.empty() ? Tensor::from<int64_t>(shape, integers)
                                          : Tensor::from<float>(shape, reals));
  return file;
}

std::vector<std::string> command_line(const TempFolder& folder, const ScalarTable& table,
                                      const Json& description, const Json& run,
                                      const std::vector<int64_t>& rows) {
  static const std::map<std::string, std::string> options = {{"acc", "--acc"},
                                                             {"multiplier", "--multiplier"},
                                                             {"shift", "--shift"},
                                                             {"scale", "--scale"},
                                                             {"zero_point", "--zero-point"},
                                                             {"clamp_min", "--clamp-min"},
                                                             {"clamp_max", "--clamp-max"}};
  const std::string op = run["op"];
  std::vector<std::string> words = {
      "requantize", "--profile", run["profile"], "--op", op, "-o", (folder / "out.npy").string()};
  for (const auto& [name, expression] : run["inputs"].items()) {
    const std::string file = write_input(folder, table, name, expression, rows);
    const auto option = options.find(name);
    if (option != options.end()) {
      words.insert(words.end(), {option->second, file});
    } else {
      words.insert(words.end(), {"--arg", name + "=" + file});
    }
    if (name != "shift") continue;
    const std::string meaning = description["columns"][expression.get<std::string>()]["meaning"];
    if (meaning.find("positive=left") != std::string::npos) {
      words.insert(words.end(), {"--shift-sign", "left"});
    }
  }
  // Some tables stop before the last cast: the type is the expected column's.
  if (op.find("uint8") == std::string::npos) {
    const DType type = table.column(run["expected"]).dtype();
    words.insert(words.end(), {"--out-type", std::string(to_string(type))});
  }
  return words;
}

}  // namespace

TEST_CASE("facsim requantize: every run entry of the scalar tables, 0 mismatches") {
  REQUIRE_SCALAR_TABLES();
  int entries = 0;
  for (const auto& [name, description] : ScalarTables::recorded().files().items()) {
    if (!description.contains("run")) continue;
    const ScalarTable table(name);
    for (const Json& run : description["run"]) {
      CAPTURE(name);
      CAPTURE(run.dump());
      std::vector<int64_t> rows;
      for (int64_t row = 0; row < table.rows(); ++row) {
        if (!run.contains("valid") || table.integer(run["valid"], row) != 0) rows.push_back(row);
      }
      const TempFolder folder;
      const CommandResult result = run_command(command_line(folder, table, description, run, rows));
      CAPTURE(result.err);
      ++entries;
      CHECK(result.exit_code == 0);
      if (result.exit_code != 0) continue;
      const Tensor got = backends::read_npy(folder / "out.npy");
      REQUIRE(got.numel() == static_cast<int64_t>(rows.size()));
      int64_t mismatches = 0;
      for (size_t i = 0; i < rows.size(); ++i) {
        mismatches += got.int_at(static_cast<int64_t>(i)) !=
                              table.integer(run["expected"].get<std::string>(), rows[i])
                          ? 1
                          : 0;
      }
      CHECK(mismatches == 0);
    }
  }
  std::cout << entries << " run entries\n";
  CHECK(entries >= 23);
}

}  // namespace facsim::test
