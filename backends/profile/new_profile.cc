// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <optional>
#include <regex>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "backends/profile/profile_fields-internal.h"
#include "backends/profile/profile_file.h"
#include "backends/profile/resolve-internal.h"

namespace facsim::backends {

namespace {

namespace fs = std::filesystem;
using detail::Field;
using detail::FieldKind;
using detail::Json;

/// What a vendor knows first: a group of rules under one heading.
struct Group {
  std::string_view heading;
  std::string_view pointer;
  std::vector<std::string_view> keys;
};

const std::vector<Group>& groups() {
  static const std::vector<Group> all = {
      {"Tensors: how real numbers become codes, real = scale * (code - zero_point).",
       "/tensors/activation",
       {"bits", "signed", "zero_point"}},
      {"", "/tensors/weight", {"bits", "signed", "narrow_range", "zero_point", "granularity"}},
      {"", "/tensors/bias", {"kind", "bits", "scale"}},
      {"The sum of products, and what happens at its ends.",
       "/accumulator",
       {"bits", "overflow", "order", "init"}},
      {"From the accumulator to the output's codes.",
       "/requantize",
       {"domain", "granularity", "rounding"}},
      {"", "/requantize/multiplier", {"bits", "derivation"}},
      {"What is left of a result outside the output's type.", "/output", {"overflow"}},
  };
  return all;
}

const Json* base_value(const Json& root, const std::string& pointer) {
  const Json::json_pointer at(pointer);
  return root.contains(at) ? &root.at(at) : nullptr;
}

/// The description and, for words, all of them: one comment line.
std::string meaning(const Field& field) {
  const std::string allowed =
      field.kind == FieldKind::boolean ? "" : "; " + detail::allowed_values(field);
  return field.description + allowed;
}

/// Comment lines of at most 96 characters behind the indent.
std::string comment(const std::string& text, size_t indent) {
  const std::string start = std::string(indent, ' ') + "//";
  std::string out, line = start;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    if (line.size() + 1 + word.size() > 98 && line != start) {
      out += line + "\n";
      line = start;
    }
    line += " " + word;
    at = end + 1;
  }
  return out + line + "\n";
}

/// The object at `pointer` with the base's own values of `keys`, each behind its meaning; empty if
/// it states none.
std::string members(const Json& base, const Group& group, size_t indent) {
  std::string out;
  for (const std::string_view key : group.keys) {
    const std::string pointer = fmt::format("{}/{}", group.pointer, key);
    const Json* value = base_value(base, pointer);
    const Field* field = detail::find_field(detail::profile_fields(), pointer);
    if (value == nullptr || field == nullptr || value->is_null()) continue;
    if (!out.empty()) out += ",\n";
    out += comment(meaning(*field), indent);
    out += fmt::format("{}\"{}\": {}", std::string(indent, ' '), key, value->dump());
  }
  return out;
}

/// The members of one top-level key.
struct TopLevel {
  std::string key, heading;
  std::vector<std::string> parts;
};

std::string rules_text(const Json& base) {
  const Json* steps = base_value(base, "/requantize/steps");
  const bool has_steps = steps != nullptr && !steps->is_null();
  std::vector<TopLevel> keys;
  for (const Group& group : groups()) {
    const std::string pointer(group.pointer);
    const size_t second = pointer.find('/', 1);
    const std::string key = pointer.substr(1, second - 1);
    if (keys.empty() || keys.back().key != key)
      keys.push_back({key, std::string(group.heading), {}});
    if (key == "requantize" && has_steps) continue;
    const bool nested = second != std::string::npos;
    const std::string body = members(base, group, nested ? 6 : 4);
    if (body.empty()) continue;
    keys.back().parts.push_back(
        nested ? fmt::format("    \"{}\": {{\n{}\n    }}", pointer.substr(second + 1), body)
               : body);
  }
  std::string out;
  for (const TopLevel& top : keys) {
    out += "\n" + comment(top.heading, 2);
    if (top.parts.empty()) {
      out += comment("The base writes its own steps: facsim profile explain shows them.", 2);
    } else {
      out += fmt::format("  \"{}\": {{\n{}\n  }},\n", top.key, fmt::join(top.parts, ",\n"));
    }
  }
  return out;
}

/// What the file's `extends` says for the base; Error bad_value if it cannot reach it.
std::string extends_value(const NewProfile& request, const ProfileSearch& search) {
  const bool is_path =
      request.base.find('/') != std::string::npos || request.base.ends_with(".json");
  std::string value = request.base;
  if (is_path) {
    std::error_code error;
    const fs::path folder =
        request.file.has_parent_path() ? request.file.parent_path() : fs::path(".");
    const fs::path relative = fs::weakly_canonical(request.base, error)
                                  .lexically_relative(fs::weakly_canonical(folder, error));
    value = relative.generic_string();
    if (value.empty() || value.starts_with("..")) {
      throw Error({ErrorCode::bad_value, "base", request.base + " is outside " + folder.string(),
                   "a shipped name, or a profile in the folder of the new one",
                   "copy it there, or add its folder by --profile-path and name it"});
    }
  }
  detail::find_base(value, request.file, search, "base");
  return value;
}

/// The schema for editors: relative where that is short, so that the folder can be moved.
std::string schema_path(const fs::path& file) {
  for (const char* configs : {FACSIM_SOURCE_CONFIGS, FACSIM_INSTALL_CONFIGS}) {
    std::error_code error;
    const fs::path schema = fs::path(configs) / "schema" / "backend-profile.schema.json";
    if (!fs::exists(schema, error)) continue;
    const fs::path folder = fs::weakly_canonical(fs::absolute(file).parent_path(), error);
    if (folder.parent_path() == fs::weakly_canonical(configs, error)) {
      return "../schema/backend-profile.schema.json";
    }
    return schema.string();
  }
  return "";
}

}  // namespace

std::string new_profile_text(const NewProfile& request, const ProfileSearch& search) {
  const Field* name_field = detail::profile_fields().member("name");
  if (request.name.size() > 64 ||
      !std::regex_match(request.name, std::regex(name_field->pattern, std::regex::ECMAScript))) {
    throw Error({ErrorCode::bad_value, "name", "\"" + request.name + "\"",
                 "lower-case letters, digits, - and _, at most 64",
                 "without folder and .json; -o says where it goes"});
  }
  if (request.file.filename() != request.name + ".json") {
    throw Error({ErrorCode::bad_value, "file", request.file.string(),
                 "a file named " + request.name + ".json", "the file's name is the profile's"});
  }
  if (request.base == request.name) {
    throw Error({ErrorCode::bad_value, "base", "\"" + request.base + "\" is the new profile's name",
                 "another profile", ""});
  }
  const Profile base = load_profile(request.base, search);
  const std::string extends = extends_value(request, search);
  const Json resolved = Json::parse(resolved_profile_json(request.base, search));
  std::string text = "{\n";
  if (const std::string schema = schema_path(request.file); !schema.empty()) {
    text += fmt::format("  \"$schema\": {},\n", Json(schema).dump());
  }
  text += fmt::format(
      "  \"schema_version\": {},\n"
      "  \"name\": {},\n"
      "  \"title\": {},\n",
      detail::kSchemaVersion, Json(request.name).dump(),
      Json(request.name + ": one line for people").dump());
  text += comment(
      "What this file does not say is the base's, and so is every value below until you "
      "change it.",
      2);
  text += fmt::format("  \"extends\": {},\n", Json(extends).dump());
  text += comment(
      "assumed, until a test compares with the device (executed) or a document says so "
      "(documented).",
      2);
  text += "  \"evidence\": {\"level\": \"assumed\", \"sources\": []},\n";
  text += rules_text(resolved);
  text += "\n" + comment("Ops the device does otherwise, or (null) not at all. The base has:", 2);
  std::vector<std::string> ops;
  for (const auto& [op, rules] : base.ops) {
    if (op.find(' ') == std::string::npos) ops.push_back(op);
  }
  text += comment(fmt::format("{}.", fmt::join(ops, ", ")), 2);
  text += "  \"ops\": {}\n}\n";
  return format_profile_text(text, request.file.string());
}

}  // namespace facsim::backends
