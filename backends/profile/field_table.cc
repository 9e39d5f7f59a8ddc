// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/field_table.h"

#include <fmt/format.h>

#include "backends/profile/profile_fields-internal.h"

namespace facsim::backends {

namespace {

using detail::Field;
using detail::FieldKind;

/// Text inside a Markdown table cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|' || c == '*' || c == '<' || c == '_') out += '\\';
    out += c;
  }
  return out;
}

std::string code_cell(std::string_view text) {
  std::string out = "`";
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out + "`";
}

bool is_enumeration(const Field& field) {
  return field.noun == "a rounding mode" || field.noun == "an overflow policy";
}

/// The words with their meanings, or the range.
std::string allowed_cell(const Field& field) {
  if (field.kind == FieldKind::one_of) {
    std::string text;
    for (const Field& alternative : field.members) {
      const bool is_null = alternative.kind == FieldKind::null;
      text += text.empty() ? "" : " or ";
      text += is_null ? "null: " + cell(alternative.description) : allowed_cell(alternative);
    }
    return text;
  }
  if (is_enumeration(field)) return cell(field.noun);
  if (field.noun == "an integer type") return "an integer type: int2, uint2, ... int32, uint32";
  if (field.kind == FieldKind::list) return "a list of " + allowed_cell(field.members.front());
  if (field.kind != FieldKind::word) return cell(detail::allowed_values(field));
  std::string text;
  for (const detail::Word& word : field.words) {
    text += (text.empty() ? "" : "; ") + code_cell(word.word);
    if (!word.description.empty()) text += ": " + cell(word.description);
  }
  return text;
}

void append_row(const Field& field, const std::string& pointer, std::string& page) {
  std::string meaning = cell(field.description);
  if (!field.example.empty()) meaning += ". *Example:* " + cell(field.example);
  std::string standard = field.default_value ? code_cell(field.default_value->dump()) : "";
  if (field.required) standard = "required";
  page += fmt::format("| {} | {} | {} | {} |\n", code_cell(pointer), allowed_cell(field), standard,
                      meaning);
}

void append_rows(const Field& field, const std::string& pointer, std::string& page) {
  if (field.kind == FieldKind::object) {
    for (const Field& member : field.members) {
      append_rows(member, pointer + "/" + member.key, page);
    }
    return;
  }
  append_row(field, pointer, page);
  const auto descend = [&](const Field& inner) {
    if (inner.kind == FieldKind::object) append_rows(inner, pointer, page);
    if (inner.kind == FieldKind::list && inner.members.front().kind == FieldKind::object) {
      append_rows(inner.members.front(), pointer + "/N", page);
    }
  };
  if (field.kind != FieldKind::one_of) return descend(field);
  for (const Field& alternative : field.members) descend(alternative);
}

void append_table(const std::string& title, std::string& page) {
  page += "\n## " + title + "\n| pointer | allowed | default | meaning |\n|---|---|---|---|\n";
}

void append_words(const Field& field, const char* title, std::string& page) {
  page += fmt::format("\n## {}\n| word | meaning |\n|---|---|\n", title);
  for (const detail::Word& word : field.words) {
    page += fmt::format("| {} | {} |\n", code_cell(word.word), cell(word.description));
  }
  page += "\n" + cell(field.example) + "\n";
}

}  // namespace

std::string profile_field_table() {
  const Field& root = detail::profile_fields();
  std::string page =
      "# Every field of a profile\n"
      "Written by `facsim profile fields`; a test keeps the two equal. `null` deletes an inherited "
      "value. `/ops/<op>` and its\nvariants may repeat every rule (the tables from tensors to "
      "domain) for themselves.\n";
  append_table("The file", page);
  for (const Field& field : root.members) {
    if (field.kind != FieldKind::object || field.key == "evidence") {
      append_rows(field, "/" + field.key, page);
    }
  }
  for (const Field& field : root.members) {
    if (field.kind != FieldKind::object || field.key == "evidence" || field.key == "ops") continue;
    append_table(field.key + ": " + field.description, page);
    append_rows(field, "/" + field.key, page);
  }
  const Field& op = root.member("ops")->members.front();
  const Field& variant = op.member("variants")->members.front();
  append_table("ops/<op>: what an op has besides the rules", page);
  for (const char* key : {"algorithm", "params", "aliases"}) {
    append_rows(*op.member(key), std::string("/ops/<op>/") + key, page);
  }
  append_row(*op.member("variants"), "/ops/<op>/variants/<name>", page);
  append_rows(*variant.member("when"), "/ops/<op>/variants/<name>/when", page);
  append_words(*root.member("activation_bound_rounding"), "Rounding modes", page);
  append_words(*root.member("output")->member("overflow"), "Overflow policies", page);
  page += "\n## Arguments of steps\n| name | value |\n|---|---|\n";
  for (const detail::ArgumentName& argument : detail::argument_names()) {
    page += fmt::format("| {} | {} |\n", code_cell(argument.name), cell(argument.description));
  }
  return page;
}

}  // namespace facsim::backends
