// SPDX-License-Identifier: Apache-2.0
// The settings that are tried beside those of shipped profiles.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "backends/json/positioned_json-internal.h"
#include "backends/parity/identify-internal.h"
#include "sim/core/error.h"
#include "sim/rounding/rounding.h"

namespace facsim::backends::detail {

namespace {

using SpaceJson = json::Json;
using SpaceValues = std::vector<std::string>;

constexpr size_t kMostSettings = 20000;
/// A profile of plain rules that reads fast: everything the space names is set over it.
constexpr const char* kPlainBase = "onednn";

SpaceValues rounding_words() {
  SpaceValues words;
  for (const sim::Rounding mode : sim::all_roundings()) {
    words.push_back(fmt::format("\"{}\"", sim::to_string(mode)));
  }
  return words;
}

/// Two stages: `first` fixed bits (0: the rest first, then one bit), rounded by a and b.
std::string two_stages(int first, std::string_view a, std::string_view b) {
  if (first == 0) {
    return fmt::format(R"([{{"shift":"rest","mode":"{}"}},{{"shift":1,"mode":"{}"}}])", a, b);
  }
  const std::string saturate = first == 31 ? R"(,"saturate_bits":32)" : "";
  return fmt::format(R"([{{"shift":{},"mode":"{}"{}}},{{"shift":"rest","mode":"{}"}}])", first, a,
                     saturate, b);
}

SpaceValues staged_roundings() {
  SpaceValues stages;
  for (const char* a : {"half_up", "half_away_from_zero", "half_even", "floor", "toward_zero"}) {
    for (const std::string& b : rounding_words()) {
      stages.push_back(two_stages(31, a, b.substr(1, b.size() - 2)));
    }
    for (const char* b : {"half_up", "half_away_from_zero", "half_even", "floor"}) {
      stages.push_back(two_stages(15, a, b));
    }
  }
  for (const char* a : {"floor", "toward_zero"}) {
    for (const char* b : {"half_up", "half_away_from_zero"}) stages.push_back(two_stages(0, a, b));
  }
  return stages;
}

SpaceValues left_shifts() {
  return {R"({"position":"before_multiply","bits":32,"overflow":"wrap"})",
          R"({"position":"before_multiply","bits":32,"overflow":"saturate"})",
          R"({"position":"in_total_shift"})"};
}

SpaceValues space_multipliers(IdentifyForm form) {
  if (form == IdentifyForm::multiplier) {
    return {R"({"bits":32})", R"({"bits":32,"reduce_to_bits":24})",
            R"({"bits":32,"reduce_to_bits":16})"};
  }
  return {R"({"bits":32,"derivation":"frexp_round"})",
          R"({"bits":32,"derivation":"truncate"})",
          R"({"bits":32,"derivation":"frexp_round","reduce_to_bits":16})",
          R"({"bits":32,"derivation":"float32_mantissa"})",
          R"({"bits":24,"derivation":"frexp_round"})",
          R"({"bits":16,"derivation":"frexp_round"})",
          R"({"bits":16,"derivation":"truncate"})",
          R"({"bits":16,"derivation":"search_min_error"})",
          R"({"bits":8,"derivation":"frexp_round"})"};
}

/// The precision of input_scale * weight_scale / output_scale, where the data can show it.
void add_products(IdentifyBlock& block, IdentifyForm form) {
  if (form != IdentifyForm::three_scales) return;
  block.axes.push_back({"/requantize/multiplier/scale_product",
                        {"\"float64\"", "\"float32\"", "\"float32_then_float64\""}});
}

IdentifyBlock plain_block(const char* domain) {
  IdentifyBlock block;
  block.bases = {kPlainBase};
  block.fixed = {{"/tensors/bias", R"({"kind":"integer","bits":32})"},
                 {"/requantize/domain", fmt::format("\"{}\"", domain)},
                 {"/requantize/float/bias_add", "\"after_scale\""},
                 {"/zero_point_add", "\"after_rounding\""}};
  return block;
}

std::vector<IdentifyBlock> fixed_blocks(IdentifyForm form) {
  IdentifyBlock single = plain_block("fixed_point");
  single.axes = {{"/requantize/multiplier", space_multipliers(form)},
                 {"/requantize/rounding", rounding_words()},
                 {"/requantize/left_shift", left_shifts()}};
  add_products(single, form);
  IdentifyBlock narrow = plain_block("fixed_point");  // a 32-bit result in front of the zero point
  narrow.fixed.push_back({"/requantize/intermediate_bits", "32"});
  narrow.fixed.push_back({"/requantize/left_shift", R"({"position":"in_total_shift"})"});
  narrow.axes = {{"/requantize/intermediate_overflow", {"\"wrap\"", "\"saturate\""}},
                 {"/requantize/rounding", rounding_words()}};
  IdentifyBlock wrapping = plain_block("fixed_point");
  wrapping.fixed.push_back({"/output/overflow", "\"wrap\""});
  wrapping.axes = {{"/requantize/rounding", rounding_words()},
                   {"/requantize/left_shift", left_shifts()}};
  IdentifyBlock staged = plain_block("fixed_point");
  staged.axes = {{"/requantize/rounding", staged_roundings()},
                 {"/requantize/left_shift", left_shifts()}};
  add_products(staged, form);
  return {single, narrow, wrapping, staged};
}

std::vector<IdentifyBlock> real_blocks(IdentifyForm form) {
  std::vector<IdentifyBlock> blocks;
  for (const char* domain : {"float32", "float64"}) {
    IdentifyBlock combined = plain_block(domain);
    combined.axes = {{"/requantize/rounding", rounding_words()},
                     {"/zero_point_add", {"\"after_rounding\"", "\"before_rounding\""}},
                     {"/requantize/float/round_impl", {"\"exact\"", "\"add_half_truncate\""}}};
    add_products(combined, form);
    if (form == IdentifyForm::three_scales) {
      combined.axes.push_back(
          {"/requantize/multiplier/formula", {"\"division\"", "\"reciprocal\""}});
    }
    blocks.push_back(combined);
    if (form != IdentifyForm::three_scales) continue;
    IdentifyBlock apart = plain_block(domain);
    apart.fixed.push_back({"/requantize/float/scale_factors", "\"input_weight_then_output\""});
    apart.axes = {{"/requantize/rounding", rounding_words()},
                  {"/zero_point_add", {"\"after_rounding\"", "\"before_rounding\""}},
                  {"/requantize/float/reciprocal", {"false", "true"}}};
    blocks.push_back(apart);
  }
  return blocks;
}

/// All of a value that is a list, or the value alone.
std::vector<const SpaceJson*> space_elements_of(const SpaceJson& value) {
  std::vector<const SpaceJson*> list;
  if (!value.is_array()) return {&value};
  for (const SpaceJson& element : value) list.push_back(&element);
  return list;
}

/// Reads a space file, collecting findings.
class SpaceReader {
 public:
  explicit SpaceReader(const json::Document& document) : document_(document) {}

  IdentifySpace read() {
    IdentifySpace space;
    const SpaceJson& all = document_.value;
    if (!all.is_object()) {
      fail("", "not an object", "{\"/pointer\": [values], ...}, or {\"blocks\": [...]}");
    } else if (!all.empty() && all.begin().key().starts_with('/')) {
      IdentifyBlock block;
      block.bases = {kPlainBase};
      read_axes(all, "", block);
      space.blocks.push_back(std::move(block));
    } else {
      read_keys(all, space);
    }
    if (!errors_.empty()) throw Error(std::move(errors_));
    return space;
  }

 private:
  void fail(const std::string& pointer, std::string found, std::string expected) {
    errors_.push_back({ErrorCode::bad_value, document_.place(pointer), std::move(found),
                       std::move(expected), ""});
  }

  void read_keys(const SpaceJson& all, IdentifySpace& space) {
    for (const auto& [key, value] : all.items()) {
      const std::string pointer = json::child("", key);
      if (key == "replace" || key == "profiles") {
        if (!value.is_boolean()) {
          fail(pointer, value.dump().substr(0, 40), "true or false");
          continue;
        }
        (key == "replace" ? space.replaces : space.profiles) = value.get<bool>();
      } else if (key == "blocks" && value.is_array()) {
        for (size_t i = 0; i < value.size(); ++i) {
          space.blocks.push_back(read_block(value[i], json::child(pointer, i)));
        }
      } else {
        fail(pointer, "unknown key", "replace, profiles, blocks (a list), or JSON pointers");
      }
    }
  }

  IdentifyBlock read_block(const SpaceJson& value, const std::string& pointer) {
    IdentifyBlock block;
    block.bases = {kPlainBase};
    if (!value.is_object()) {
      fail(pointer, "not an object", "{\"base\", \"set\", \"cross\"}");
      return block;
    }
    for (const auto& [key, member] : value.items()) {
      const std::string place = json::child(pointer, key);
      if (key == "base") {
        block.bases.clear();
        for (const SpaceJson* name : space_elements_of(member)) {
          if (!name->is_string()) {
            fail(place, "not a text", "a profile's name, or a list of them");
          } else {
            block.bases.push_back(name->get<std::string>());
          }
        }
      } else if (key == "set" && member.is_object()) {
        for (const auto& [at, set] : member.items()) {
          block.fixed.push_back({checked_pointer(at, place), set.dump()});
        }
      } else if (key == "cross" && member.is_object()) {
        read_axes(member, place, block);
      } else {
        fail(place, "unknown key, or not an object", "base, set, cross");
      }
    }
    return block;
  }

  void read_axes(const SpaceJson& axes, const std::string& pointer, IdentifyBlock& block) {
    for (const auto& [at, values] : axes.items()) {
      const std::string place = json::child(pointer, at);
      if (!values.is_array() || values.empty()) {
        fail(place, "no list of values", "a list with at least one value");
        continue;
      }
      SpaceValues texts;
      for (const SpaceJson& value : values) texts.push_back(value.dump());
      block.axes.push_back({checked_pointer(at, pointer), std::move(texts)});
    }
  }

  std::string checked_pointer(const std::string& text, const std::string& place) {
    if (!text.starts_with('/')) {
      fail(json::child(place, text), "not a JSON pointer",
           "a key such as \"/requantize/rounding\"");
    }
    return text;
  }

  const json::Document& document_;
  std::vector<ErrorInfo> errors_;
};

size_t combinations(const IdentifyBlock& block) {
  size_t count = block.bases.size();
  for (const auto& [pointer, values] : block.axes) {
    count = count > kMostSettings ? count : count * values.size();
  }
  return count;
}

}  // namespace

IdentifySpace default_identify_space(IdentifyForm form) {
  IdentifySpace space;
  space.blocks = fixed_blocks(form);
  if (form == IdentifyForm::multiplier) return space;
  for (IdentifyBlock& block : real_blocks(form)) space.blocks.push_back(std::move(block));
  return space;
}

std::vector<IdentifySetting> settings_of(const IdentifySpace& space) {
  std::vector<IdentifySetting> settings;
  for (const IdentifyBlock& block : space.blocks) {
    const size_t count = combinations(block);
    for (size_t number = 0; number < count; ++number) {
      size_t rest = number;
      IdentifySetting setting{block.bases[rest % block.bases.size()], block.fixed};
      rest /= block.bases.size();
      for (const auto& [pointer, values] : block.axes) {
        setting.overrides.push_back({pointer, values[rest % values.size()]});
        rest /= values.size();
      }
      settings.push_back(std::move(setting));
    }
  }
  return settings;
}

}  // namespace facsim::backends::detail

namespace facsim::backends {

IdentifySpace read_identify_space(const std::filesystem::path& file) {
  const json::Document document = json::read_json(file, {});
  IdentifySpace space = detail::SpaceReader(document).read();
  size_t total = 0;
  for (const IdentifyBlock& block : space.blocks) total += detail::combinations(block);
  if (total > detail::kMostSettings) {
    throw Error({ErrorCode::bad_value, document.place(""),
                 fmt::format("{}{} combinations", total > 2 * detail::kMostSettings ? "over " : "",
                             std::min(total, 2 * detail::kMostSettings)),
                 fmt::format("at most {}", detail::kMostSettings), ""});
  }
  return space;
}

}  // namespace facsim::backends
