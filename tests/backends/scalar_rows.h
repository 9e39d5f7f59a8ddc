// SPDX-License-Identifier: Apache-2.0
// Recorded tables whose rows are one integer operation each: reading their columns, and counting
// the rows that an operation of ours reproduces.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/core/error.h"
#include "sim/requantize/requantizer.h"
#include "tests/backends/scalar_tables.h"

namespace facsim::test {

/// The columns of one table as lists, float64 ones included.
class ScalarColumns {
 public:
  /// `table` is named without its ".npz". The tables must be present.
  explicit ScalarColumns(const std::string& table)
      : file_(ScalarTables::recorded().path(table + ".npz")) {}

  std::vector<int64_t> integers(const std::string& column) const {
    const Tensor t = file_.read(column);
    std::vector<int64_t> out(static_cast<size_t>(t.numel()));
    for (size_t i = 0; i < out.size(); ++i) out[i] = t.int_at(static_cast<int64_t>(i));
    return out;
  }
  std::vector<float> reals(const std::string& column) const {
    const Tensor t = file_.read(column);
    return {t.values<float>().begin(), t.values<float>().end()};
  }
  std::vector<double> doubles(const std::string& column) const {
    return file_.read_float64(column);
  }

 private:
  backends::NpzFile file_;
};

/// Counts the rows that `got` reproduces; reports the first that it does not.
inline void check_rows(const char* what, const std::vector<int64_t>& expected,
                       const std::function<int64_t(size_t)>& got, size_t at_least = 1000) {
  size_t different = 0;
  for (size_t row = 0; row < expected.size(); ++row) {
    const int64_t value = got(row);
    if (value == expected[row]) continue;
    if (different++ == 0) {
      MESSAGE(what << " row " << row << ": expected " << expected[row] << ", got " << value);
    }
  }
  CAPTURE(what);
  CHECK(expected.size() >= at_least);
  CHECK(different == 0);
}

/// As check_rows for an operation that the platform refuses exactly where `ok` is 0.
inline void check_rows_and_refusals(const char* what, const std::vector<int64_t>& expected,
                                    const std::vector<int64_t>& ok,
                                    const std::function<int64_t(size_t)>& got) {
  size_t different = 0, refused = 0;
  for (size_t row = 0; row < expected.size(); ++row) {
    std::optional<int64_t> value;
    try {
      value = got(row);
    } catch (const Error&) {
      ++refused;
    }
    const bool equal = ok[row] != 0 ? value == expected[row] : !value.has_value();
    if (!equal && different++ == 0) {
      MESSAGE(what << " row " << row << " ok " << ok[row] << ": expected " << expected[row]
                   << ", got " << (value ? *value : 0));
    }
  }
  CAPTURE(what);
  CHECK(expected.size() - refused >= 1000);
  CHECK(refused > 0);
  CHECK(different == 0);
}

inline int64_t apply_once(const sim::StepProgram& program, const sim::Arguments& arguments,
                          sim::IntType output, int64_t v) {
  sim::Events events;
  return sim::Requantizer(program, arguments, output).apply(v, 0, events);
}

inline sim::Arguments integer_arguments(
    std::initializer_list<std::pair<const char*, int64_t>> values) {
  sim::Arguments a;
  for (const auto& [name, value] : values) a.integers[name] = {value};
  return a;
}

}  // namespace facsim::test
