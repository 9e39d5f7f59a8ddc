// SPDX-License-Identifier: Apache-2.0
// Tables of recorded requantizations (format facsim-scalar-1) and the expressions over their
// columns that the "run" entries of the manifest use.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "backends/io/npy.h"
#include "sim/core/error.h"
#include "tests/backends/report_parity.h"

namespace facsim::test {

/// The folder FACSIM_SCALAR_DIR names, or nothing: then the tests say so and pass.
class ScalarTables {
 public:
  static const ScalarTables& recorded() {
    static const ScalarTables tables;
    return tables;
  }
  bool present() const { return !folder_.empty(); }
  /// Table file name to its description (columns, origin, version, run).
  const nlohmann::json& files() const { return manifest_["files"]; }
  const nlohmann::json& manifest() const { return manifest_; }
  std::filesystem::path path(const std::string& table) const { return folder_ / table; }

 private:
  ScalarTables() {
    const char* folder = std::getenv("FACSIM_SCALAR_DIR");
    if (folder == nullptr || *folder == '\0') return;
    folder_ = folder;
    manifest_ = nlohmann::json::parse(backends::read_file(folder_ / "manifest.json"));
  }

  std::filesystem::path folder_;
  nlohmann::json manifest_;
};

#define REQUIRE_SCALAR_TABLES()                             \
  if (!facsim::test::ScalarTables::recorded().present()) {  \
    std::cout << "SKIPPED: FACSIM_SCALAR_DIR is not set\n"; \
    return;                                                 \
  }

/// A value of an expression: an integer, or a float32.
struct ColumnValue {
  bool is_real = false;
  int64_t integer = 0;
  float real = 0;
  float as_real() const { return is_real ? real : static_cast<float>(integer); }
};

/// The columns of one table.
class ScalarTable {
 public:
  explicit ScalarTable(const std::string& name)
      : name_(name), columns_(backends::read_npz(ScalarTables::recorded().path(name))) {}

  int64_t rows() const { return columns_.front().second.numel(); }
  const Tensor& column(const std::string& name) const {
    return backends::member(columns_, name, name_);
  }
  int64_t integer(const std::string& name, int64_t row) const { return column(name).int_at(row); }

  /// `expression` in row `row`: an integer, or text of the grammar
  ///   value := column | integer | value " + " value | "float32(" value (" * " | " / ") value ")"
  /// where float32() is one float32 operation. Anything else fails the test.
  ColumnValue evaluate(const nlohmann::json& expression, int64_t row) const {
    if (expression.is_number_integer()) return {false, expression.get<int64_t>(), 0};
    REQUIRE(expression.is_string());
    const std::string text = expression.get<std::string>();
    size_t at = 0;
    const ColumnValue value = sum(text, at, row);
    REQUIRE_MESSAGE(at == text.size(), name_, ": \"", text, "\" is not an expression");
    return value;
  }

 private:
  ColumnValue sum(const std::string& text, size_t& at, int64_t row) const {
    ColumnValue value = term(text, at, row);
    while (take(text, at, " + ")) {
      const ColumnValue next = term(text, at, row);
      REQUIRE_FALSE(value.is_real);
      REQUIRE_FALSE(next.is_real);
      value.integer += next.integer;
    }
    return value;
  }

  ColumnValue term(const std::string& text, size_t& at, int64_t row) const {
    if (!take(text, at, "float32(")) return word(text, at, row);
    const float a = sum(text, at, row).as_real();
    const bool multiplies = take(text, at, " * ");
    REQUIRE_MESSAGE((multiplies || take(text, at, " / ")), name_, ": \"", text, "\"");
    const float b = sum(text, at, row).as_real();
    REQUIRE(take(text, at, ")"));
    return {true, 0, multiplies ? a * b : a / b};
  }

  ColumnValue word(const std::string& text, size_t& at, int64_t row) const {
    const size_t end = text.find_first_of(" )", at);
    const std::string name = text.substr(at, end - at);
    at = std::min(end, text.size());
    if (!name.empty() && name.find_first_not_of("-0123456789") == std::string::npos) {
      return {false, std::stoll(name), 0};
    }
    const Tensor& values = column(name);
    if (values.dtype() == DType::float32) return {true, 0, values.values<float>()[row]};
    return {false, values.int_at(row), 0};
  }

  static bool take(const std::string& text, size_t& at, std::string_view token) {
    if (text.compare(at, token.size(), token) != 0) return false;
    at += token.size();
    return true;
  }

  std::string name_;
  backends::NamedTensors columns_;
};

/// Whose results a table holds, with the version: "gemmlowp 0.0~git20211220.e844ffd-1".
inline std::string recorded_code(const std::string& table) {
  static const std::pair<const char*, const char*> names[] = {{"cmsisnn", "CMSIS-NN "},
                                                              {"gemmlowp", "gemmlowp "},
                                                              {"nvdla", "nvdla/hw "},
                                                              {"onednn", "oneDNN "},
                                                              {"onnxruntime", "ONNX Runtime "},
                                                              {"pytorch", ""},
                                                              {"qonnx", "qonnx "},
                                                              {"ruy", "ruy "},
                                                              {"tflm", "tflite-micro "},
                                                              {"tosa", "TOSA reference_model "},
                                                              {"vitis", "Vitis-AI "},
                                                              {"vivado", ""},
                                                              {"xnnpack", "XNNPACK "}};
  const std::string version = ScalarTables::recorded().files()[table]["version"];
  for (const auto& [prefix, name] : names) {
    if (table.starts_with(prefix))
      return name +
             version.substr(0, version.find_last_not_of(' ', version.find_first_of("(;") - 1) + 1);
  }
  return table;
}

}  // namespace facsim::test
