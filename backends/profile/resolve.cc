// SPDX-License-Identifier: Apache-2.0
#include "backends/profile/resolve-internal.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <system_error>

#include "backends/profile/profile_fields-internal.h"

namespace facsim::backends::detail {

namespace fs = std::filesystem;

namespace {

/// The keys that belong to one file and are not inherited: a child has its own evidence or none.
constexpr std::string_view kOwnKeys[] = {"$schema", "schema_version", "name",
                                         "title",   "evidence",       "extends"};

class Merger {
 public:
  explicit Merger(ResolvedProfile& resolved, std::vector<ErrorInfo>& errors)
      : resolved_(resolved), errors_(errors) {}

  /// RFC 7396: objects merge, null deletes, everything else replaces.
  void merge(Json& target, const Json& patch, const std::string& pointer, size_t source) {
    if (!patch.is_object()) {
      forget(pointer);
      target = patch;
      remember(patch, pointer, source);
      return;
    }
    if (!target.is_object()) {
      forget(pointer);
      target = Json::object();
    }
    resolved_.origin[pointer] = source;
    for (const auto& [key, value] : patch.items()) {
      const std::string member = json::child(pointer, key);
      if (!value.is_null() || keeps_null(member)) {
        merge(target[key], value, member, source);
      } else if (target.erase(key) > 0) {
        forget(member);
      } else {
        errors_.push_back({ErrorCode::unknown_key,
                           resolved_.sources[source].document.key_place(member),
                           "null deletes \"" + key + "\", which is not set", "", ""});
      }
    }
  }

  void forget(const std::string& pointer) {
    resolved_.origin.erase(pointer);
    const std::string prefix = pointer + "/";
    auto it = resolved_.origin.lower_bound(prefix);
    while (it != resolved_.origin.end() && it->first.starts_with(prefix)) {
      it = resolved_.origin.erase(it);
    }
  }

  void remember(const Json& value, const std::string& pointer, size_t source) {
    resolved_.origin[pointer] = source;
    if (!value.is_array() && !value.is_object()) return;
    size_t index = 0;
    for (const auto& [key, element] : value.items()) {
      remember(element, value.is_array() ? json::child(pointer, index) : json::child(pointer, key),
               source);
      ++index;
    }
  }

 private:
  /// A field for which null is a value of its own.
  static bool keeps_null(std::string_view pointer) {
    const Field* field = find_field(profile_fields(), pointer);
    if (field == nullptr || field->kind != FieldKind::one_of) return false;
    return std::any_of(field->members.begin(), field->members.end(),
                       [](const Field& f) { return f.kind == FieldKind::null; });
  }

  ResolvedProfile& resolved_;
  std::vector<ErrorInfo>& errors_;
};

/// Checks that belong to each file of a chain by itself.
void check_file(const json::Document& document, const fs::path& file,
                std::vector<ErrorInfo>& errors) {
  if (!document.value.is_object()) {
    throw Error({ErrorCode::bad_value, document.place(""), shown(document.value),
                 "an object at the top level", ""});
  }
  const auto version = document.value.find("schema_version");
  if (version == document.value.end()) {
    errors.push_back({ErrorCode::missing_key, document.place(""), "missing \"schema_version\"",
                      "\"schema_version\": " + std::to_string(kSchemaVersion), ""});
  } else if (*version != kSchemaVersion || !version->is_number_integer()) {
    errors.push_back({ErrorCode::bad_value, document.place("/schema_version"),
                      "schema version " + shown(*version) + " is not supported",
                      "1.." + std::to_string(kSchemaVersion), ""});
  }
  const auto name = document.value.find("name");
  if (name == document.value.end()) {
    errors.push_back({ErrorCode::missing_key, document.place(""), "missing \"name\"",
                      "\"name\": \"" + file.stem().string() + "\"", ""});
  } else if (name->is_string() && *name != file.stem().string()) {
    errors.push_back({ErrorCode::bad_value, document.place("/name"), "name " + shown(*name),
                      "the file's name, \"" + file.stem().string() + "\"", ""});
  }
}

struct ChainLink {
  fs::path file;
  fs::path real_file;
  json::Document document;
};

std::string names_of(const std::vector<ChainLink>& chain, const fs::path& last) {
  std::string names;
  for (const ChainLink& link : chain) names += link.file.stem().string() + " -> ";
  return names + last.stem().string();
}

/// The file and everything it extends, the file first.
std::vector<ChainLink> read_chain(const fs::path& first, const ProfileSearch& search,
                                  std::vector<ErrorInfo>& errors) {
  std::vector<ChainLink> chain;
  fs::path file = first;
  while (true) {
    std::error_code ignored;
    ChainLink link{file, fs::weakly_canonical(file, ignored), {}};
    link.document = json::read_json(
        file,
        {.max_bytes = uint64_t{1} << 20, .max_depth = 64, .comments = json::Comments::allowed});
    check_file(link.document, file, errors);
    chain.push_back(std::move(link));

    const json::Document& document = chain.back().document;
    const auto extends = document.value.find("extends");
    if (extends == document.value.end()) return chain;
    const std::string place = document.place("/extends");
    if (!extends->is_string()) {
      errors.push_back(
          {ErrorCode::bad_value, place, shown(*extends), "a shipped name or a relative path", ""});
      return chain;
    }
    try {
      file = find_base(extends->get_ref<const std::string&>(), file, search, place);
    } catch (const Error& e) {
      errors.insert(errors.end(), e.infos().begin(), e.infos().end());
      return chain;
    }
    const fs::path real_file = fs::weakly_canonical(file, ignored);
    for (const ChainLink& earlier : chain) {
      if (earlier.real_file == real_file) {
        errors.push_back(
            {ErrorCode::bad_value, place, "extends cycle: " + names_of(chain, file), "", ""});
        return chain;
      }
    }
    if (static_cast<int>(chain.size()) == kMaxChain) {
      errors.push_back({ErrorCode::bad_value, place,
                        fmt::format("extends chain deeper than {}", kMaxChain), "", ""});
      return chain;
    }
  }
}

std::vector<std::string> split_pointer(const std::string& pointer) {
  std::vector<std::string> tokens;
  size_t begin = 1;
  while (begin <= pointer.size()) {
    const size_t end = std::min(pointer.find('/', begin), pointer.size());
    std::string token;
    for (size_t i = begin; i < end; ++i) {
      if (pointer[i] == '~' && i + 1 < end) {
        token += pointer[++i] == '1' ? '/' : '~';
      } else {
        token += pointer[i];
      }
    }
    tokens.push_back(std::move(token));
    begin = end + 1;
  }
  return tokens;
}

Json override_value(const ProfileOverride& setting) {
  try {
    return json::parse_json(setting.value, "--set", {}).value;
  } catch (const Error&) {
    return setting.value;  // a bare word
  }
}

}  // namespace

void apply_override(ResolvedProfile& resolved, const ProfileOverride& setting,
                    std::vector<ErrorInfo>& errors) {
  ResolvedProfile::Source source;
  source.is_override = true;
  source.document.name = "--set " + setting.pointer + "=" + setting.value;
  resolved.sources.push_back(std::move(source));
  const size_t index = resolved.sources.size() - 1;
  const auto refuse = [&](std::string found, std::string expected) {
    errors.push_back({ErrorCode::bad_value, resolved.sources[index].document.name, std::move(found),
                      std::move(expected), ""});
  };
  if (setting.pointer.size() < 2 || setting.pointer[0] != '/') {
    return refuse("\"" + setting.pointer + "\" is not a JSON pointer", "/key/key=value");
  }
  const std::vector<std::string> tokens = split_pointer(setting.pointer);
  for (const std::string_view own : kOwnKeys) {
    if (tokens.front() == own) return refuse("\"" + tokens.front() + "\" cannot be set", "a rule");
  }

  Merger merger(resolved, errors);
  Json* value = &resolved.value;
  std::string pointer;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const std::string& token = tokens[i];
    if (value->is_array()) {
      const bool is_index = !token.empty() && token.size() < 6 &&
                            token.find_first_not_of("0123456789") == std::string::npos;
      if (!is_index || std::stoul(token) >= value->size()) {
        return refuse("\"" + token + "\" is not an index of the list at " + pointer,
                      fmt::format("0..{}", static_cast<int64_t>(value->size()) - 1));
      }
      value = &(*value)[std::stoul(token)];
      pointer = json::child(pointer, token);
      continue;
    }
    if (!value->is_object()) return refuse("\"" + pointer + "\" holds no members", "a key");
    const auto member = value->find(token);
    if (member != value->end() && member->is_structured() && i + 1 < tokens.size()) {
      value = &*member;
      pointer = json::child(pointer, token);
      continue;
    }
    Json patch = override_value(setting);  // becomes {"token": {"next": value}}
    for (size_t k = tokens.size(); k-- > i;) {
      Json outer = Json::object();
      outer[tokens[k]] = std::move(patch);
      patch = std::move(outer);
    }
    return merger.merge(*value, patch, pointer, index);
  }
  merger.merge(*value, override_value(setting), pointer, index);
}

std::string ResolvedProfile::place(std::string_view pointer) const {
  std::string_view at = pointer;
  while (true) {
    if (const auto it = origin.find(at); it != origin.end()) {
      const Source& source = sources[it->second];
      return source.is_override ? source.document.name : source.document.place(pointer);
    }
    const size_t slash = at.rfind('/');
    if (slash == std::string_view::npos) return file.string() + " " + std::string(pointer);
    at = at.substr(0, slash);
  }
}

std::string ResolvedProfile::key_place(std::string_view pointer) const {
  if (const auto it = origin.find(pointer); it != origin.end()) {
    const Source& source = sources[it->second];
    if (!source.is_override) return source.document.key_place(pointer);
  }
  return place(pointer);
}

Placer ResolvedProfile::placer() const {
  return {[this](std::string_view pointer) { return place(pointer); },
          [this](std::string_view pointer) { return key_place(pointer); }};
}

ResolvedProfile resolve_profile(std::string_view name_or_path, const ProfileSearch& search,
                                const std::vector<ProfileOverride>& overrides) {
  ResolvedProfile resolved;
  resolved.file = find_profile(name_or_path, search);
  std::vector<ErrorInfo> errors;
  std::vector<ChainLink> chain = read_chain(resolved.file, search, errors);

  Merger merger(resolved, errors);
  resolved.value = Json::object();
  while (!chain.empty()) {  // from the base to the file itself
    for (const std::string_view key : kOwnKeys) {
      resolved.value.erase(std::string(key));
      merger.forget("/" + std::string(key));
    }
    resolved.sources.push_back({std::move(chain.back().document), false});
    chain.pop_back();
    const size_t source = resolved.sources.size() - 1;
    const Json patch = resolved.sources[source].document.value;
    merger.merge(resolved.value, patch, "", source);
  }
  resolved.value.erase("extends");
  for (const ProfileOverride& setting : overrides) apply_override(resolved, setting, errors);

  // schema_version and name were checked per file, with the better message.
  std::vector<ErrorInfo> field_errors;
  validate(resolved.value, profile_fields(), "", resolved.placer(), field_errors);
  for (ErrorInfo& error : field_errors) {
    const bool known = error.place.ends_with(" /schema_version") ||
                       error.found == "missing \"schema_version\"" ||
                       error.found == "missing \"name\"";
    if (!known) errors.push_back(std::move(error));
  }
  if (!errors.empty()) throw Error(std::move(errors));
  fill_defaults(resolved.value, profile_fields());
  return resolved;
}

std::string fingerprint(const Json& resolved) {
  Json rules = resolved;
  for (const std::string_view key : kOwnKeys) rules.erase(std::string(key));
  const std::string canonical = rules.dump();
  return fmt::format("{:016x}", XXH64(canonical.data(), canonical.size(), 0));
}

}  // namespace facsim::backends::detail
