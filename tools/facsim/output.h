// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace facsim::cli {

/// What a line of a terminal is sure to hold.
inline constexpr size_t kTerminalCells = 100;

/// Columns as wide as their widest cell, two spaces apart.
class TextTable {
 public:
  /// `name`: left; cells are `shortened` so that the lines of the table fit a terminal.
  enum class Align { left, right, name };
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

/// "1 row", "2,344 rows"; `many` where an s is not enough: "class", "classes".
std::string counted(int64_t count, std::string_view one, std::string_view many = {});

/// Text of at most `cells` letters (3 or more): the middle of a longer one becomes "...", as names
/// of converted networks begin and end alike or differ only at one end.
std::string shortened(std::string_view text, size_t cells);

/// One line of a block: indented label, text.
std::string labelled_line(std::string_view label, std::string_view text);

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
