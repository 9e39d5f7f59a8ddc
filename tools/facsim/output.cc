// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/output.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace facsim::cli {

namespace {

constexpr size_t kSmallestName = 24;  // cells that a column of names keeps in any table

bool begins_letter(char c) { return (c & 0xc0) != 0x80; }

/// Terminal cells of UTF-8 text (one per code point).
size_t width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_letter));
}

/// Where letter number `count` of UTF-8 text begins.
size_t offset_of_letter(std::string_view text, size_t count) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    if (begins_letter(text[at]) && count-- == 0) break;
  }
  return at;
}

/// Cells of a column of names that leave room for the others.
size_t name_cells(const std::vector<size_t>& widths, size_t column) {
  size_t others = 2 * (widths.size() - 1);
  for (size_t c = 0; c < widths.size(); ++c) others += c == column ? 0 : widths[c];
  const size_t room = others < kTerminalCells ? kTerminalCells - others : 0;
  return std::min(widths[column], std::max(room, kSmallestName));
}

}  // namespace

void TextTable::add_row(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t widest = width(columns_[c].title);
    for (const auto& row : rows_) widest = std::max(widest, width(row[c]));
    widths.push_back(widest);
  }
  std::vector<std::vector<std::string>> rows = rows_;
  for (size_t c = 0; c < columns_.size(); ++c) {
    if (columns_[c].align != Align::name) continue;
    widths[c] = name_cells(widths, c);
    for (auto& row : rows) row[c] = shortened(row[c], widths[c]);
  }
  std::string out;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      const std::string fill(widths[c] - width(cells[c]), ' ');
      if (c > 0) line += "  ";
      line += columns_[c].align == Align::right ? fill + cells[c] : cells[c] + fill;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  add_line(titles);
  for (const auto& row : rows) add_line(row);
  return out;
}

std::string with_commas(int64_t value) {
  std::string digits = fmt::format("{}", value);
  const size_t first = value < 0 ? 1 : 0;
  for (size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

std::string counted(int64_t count, std::string_view one, std::string_view many) {
  if (count == 1) return fmt::format("1 {}", one);
  return fmt::format("{} {}", with_commas(count),
                     many.empty() ? std::string(one) + "s" : std::string(many));
}

std::string shortened(std::string_view text, size_t cells) {
  constexpr std::string_view kGap = "...";
  const size_t letters = width(text);
  if (letters <= cells) return std::string(text);
  const size_t kept = cells - kGap.size(), front = kept / 2;
  const size_t back = offset_of_letter(text, letters - (kept - front));
  return fmt::format("{}{}{}", text.substr(0, offset_of_letter(text, front)), kGap,
                     text.substr(back));
}

std::string labelled_line(std::string_view label, std::string_view text) {
  return fmt::format("  {:<18} {}\n", label, text);
}

std::string colored(std::string_view text, Color color, bool enabled) {
  if (!enabled) return std::string(text);
  const char* code = "1";
  if (color == Color::red) code = "31;1";
  if (color == Color::green) code = "32";
  if (color == Color::yellow) code = "33";
  return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string shell_quoted(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) {
    return std::string(word);
  }
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_json(const nlohmann::ordered_json& json) {
  print(json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void note(std::string_view text) {
  const std::string line = fmt::format("facsim: note: {}\n", text);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace facsim::cli
