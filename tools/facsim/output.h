// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace facsim::cli {

/// Columns as wide as their widest cell, two spaces apart.
class TextTable {
 public:
  enum class Align { left, right };
  struct Column {
    std::string title;
    Align align = Align::left;
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void add_row(std::vector<std::string> cells);
  std::string text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

/// Thousands separated: 33,423,360.
std::string with_commas(int64_t value);

enum class Color { red, green, yellow, bold };
/// `text` in a terminal colour, or as it is.
std::string colored(std::string_view text, Color color, bool enabled);

/// Control characters of names from files, made visible.
std::string printable(std::string_view text);

/// A word as a POSIX shell takes it: quoted where it must be.
std::string shell_quoted(std::string_view word);

void print(std::string_view text);  ///< to stdout
/// Two-space indent, invalid UTF-8 replaced, to stdout.
void print_json(const nlohmann::ordered_json& json);
/// "facsim: note: TEXT" on stderr.
void note(std::string_view text);

}  // namespace facsim::cli
