// SPDX-License-Identifier: Apache-2.0
// Which other values a field may hold.
#include "backends/parity/knob_values-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "backends/profile/algorithms-internal.h"
#include "backends/profile/profile_fields-internal.h"
#include "sim/overflow/overflow.h"
#include "sim/rounding/rounding.h"

namespace facsim::backends::detail {

namespace {

/// Rules of the field tree that no deployed network is computed by: what codes and scales exist and
/// how float tensors become codes, limits beyond which a layer is refused, and rules that are
/// handled by themselves below.
constexpr std::string_view kNoKnob[] = {
    "/tensors/activation/bits",
    "/tensors/activation/signed",
    "/tensors/activation/zero_point",
    "/tensors/activation/granularity",
    "/tensors/activation/channel_axis",
    "/tensors/activation/scale",
    "/tensors/activation/scheme",
    "/tensors/activation/symmetric_divisor",
    "/tensors/activation/also_accepts",
    "/tensors/weight",
    "/tensors/bias/scale",
    "/tensors/bias/kind",
    "/output/bits",
    "/output/signed",
    "/domain",
    "/requantize/domain",
    "/requantize/rounding",
    "/requantize/steps",
};

bool is_no_knob(std::string_view pointer) {
  return std::any_of(std::begin(kNoKnob), std::end(kNoKnob), [&](std::string_view excluded) {
    return pointer == excluded ||
           (pointer.starts_with(excluded) && pointer[excluded.size()] == '/');
  });
}

bool counts_bits(std::string_view key) { return key == "bits" || key.ends_with("_bits"); }

/// Every width up to 32 and the usual ones above; of other numbers the range if it is short, else
/// the neighbourhood of the value.
std::vector<int64_t> integers(const Field& field, const Json& current) {
  std::vector<int64_t> values;
  const auto add = [&](int64_t v) {
    if (v >= field.min && v <= field.max) values.push_back(v);
  };
  const bool is_width = counts_bits(field.key);
  if (is_width || field.max - field.min <= 32) {
    const int64_t dense_end = std::min<int64_t>(32, field.max);
    for (int64_t v = std::max<int64_t>(field.min, is_width ? 2 : -64); v <= dense_end; ++v) add(v);
    if (is_width) {
      for (const int64_t v : {33, 34, 36, 40, 44, 48, 56, 62, 63, 64}) add(v);
    }
    return values;
  }
  const int64_t centre = current.is_number_integer() ? current.get<int64_t>() : 0;
  for (int64_t v = centre - 4; v <= centre + 4; ++v) add(v);
  for (const int64_t v : {8, 16, 32, 64, 128}) add(v);
  return values;
}

/// A rule whose value is an object or nothing: the registers that hardware has.
std::vector<Json> objects(std::string_view key) {
  if (key == "block") {
    std::vector<Json> blocks;
    for (const int taps : {2, 4}) {
      for (const char* overflow : {"saturate", "wrap"}) {
        blocks.push_back({{"taps", taps}, {"bits", 16}, {"overflow", overflow}});
      }
    }
    return blocks;
  }
  if (key != "term") return {};
  std::vector<Json> terms;
  for (int shift = 1; shift <= 8; ++shift) terms.push_back({{"shift", shift}});
  return terms;
}

class KnobValues {
 public:
  KnobValues(const Json& rules, std::string_view op) : rules_(rules), op_(op) {}

  std::vector<KnobValue> take() {
    for (const std::string& key : rule_keys()) {
      walk(*profile_fields().member(key), "/" + key);
    }
    if (!op_.empty()) named_algorithms();
    return std::move(values_);
  }

 private:
  const Json& at(const std::string& pointer) const {
    static const Json null;
    const Json::json_pointer parsed(pointer);
    return rules_.contains(parsed) ? rules_.at(parsed) : null;
  }

  void add(const std::string& pointer, Json value, std::vector<KnobValue::Setting> companions) {
    const Json& current = at(pointer);
    if (value == current && companions.empty()) return;
    std::vector<KnobValue::Setting> settings = {{pointer, std::move(value)}};
    settings.insert(settings.end(), companions.begin(), companions.end());
    values_.push_back({pointer, current, std::move(settings)});
  }
  void add(const std::string& pointer, Json value) { add(pointer, std::move(value), {}); }

  void walk(const Field& field, const std::string& pointer) {
    if (pointer == "/requantize/domain") return domains();
    if (pointer == "/requantize/rounding") return roundings(field);
    if (pointer == "/requantize/steps") return written_steps();
    if (is_no_knob(pointer)) return;
    switch (field.kind) {
      case FieldKind::object:
        for (const Field& member : field.members) walk(member, json::child(pointer, member.key));
        return;
      case FieldKind::one_of:
        return alternatives(field, pointer);
      case FieldKind::word:
        for (const Word& word : field.words) add(pointer, word.word);
        if (pointer == "/padding/value") padding_codes();
        return;
      case FieldKind::boolean:
        for (const bool value : {false, true}) add(pointer, value);
        return;
      case FieldKind::integer:
        if (pointer == "/padding/code") return;  // with /padding/value
        for (const int64_t value : integers(field, at(pointer))) add(pointer, value);
        return;
      default:
        return;
    }
  }

  /// Null, a word, a number or an object: each that the field allows. Members of an object that is
  /// there are rules by themselves.
  void alternatives(const Field& field, const std::string& pointer) {
    for (const Field& alternative : field.members) {
      Field named = alternative;
      named.key = field.key;
      if (alternative.kind == FieldKind::null) {
        add(pointer, nullptr);
      } else if (alternative.kind == FieldKind::object) {
        if (at(pointer).is_object()) {
          walk(named, pointer);
        } else {
          for (Json& value : objects(field.key)) add(pointer, std::move(value));
        }
      } else {
        walk(named, pointer);
      }
    }
  }

  void padding_codes() {
    for (const int code : {-128, 127, 128, 255}) {
      add("/padding/value", "explicit", {{"/padding/code", code}});
    }
  }

  /// Another arithmetic takes what it has no form for along: stages, places of zero point and
  /// clamp.
  void domains() {
    const Json& current = at("/requantize/domain");
    for (const char* domain : {"fixed_point", "float32", "float64", "shift"}) {
      if (current == domain) continue;
      const bool is_real = std::string_view(domain).starts_with("float");
      std::vector<KnobValue::Setting> along;
      if (std::string_view(domain) == "shift") {
        along.push_back({"/requantize/multiplier/derivation", "power_of_two"});
      } else if (!is_real && at("/requantize/multiplier/derivation") == "power_of_two") {
        along.push_back({"/requantize/multiplier/derivation", "frexp_round"});
      }
      if (is_real && at("/zero_point_add") == "folded_before_scale") {
        along.push_back({"/zero_point_add", "after_rounding"});
      }
      if (!is_real && at("/zero_point_add") == "before_rounding") {
        along.push_back({"/zero_point_add", "after_rounding"});
      }
      if (!is_real && at("/activation_order") == "float_before_requant") {
        along.push_back({"/activation_order", "clamp_after_requant"});
      }
      if (!is_real && at("/tensors/bias/kind") == "float32") {
        along.push_back({"/requantize/float/bias_add", "integer_before"});
      }
      add("/requantize/domain", domain, along);
      // With the rounding that such hardware has: a conversion instruction, or a shifter.
      for (const char* mode : {"half_even", "half_away_from_zero", "half_up", "floor"}) {
        if (at("/requantize/rounding") == mode) continue;
        std::vector<KnobValue::Setting> with_mode = along;
        with_mode.push_back({"/requantize/rounding", mode});
        add("/requantize/domain", domain, std::move(with_mode));
      }
    }
  }

  /// One rounding, the double roundings of TFLite's kernels, and each stage of a list otherwise.
  void roundings(const Field& field) {
    const std::string pointer = "/requantize/rounding";
    const Json& current = at(pointer);
    std::vector<Json> lists;
    for (const sim::Rounding mode : sim::all_roundings()) {
      add(pointer, std::string(sim::to_string(mode)));
    }
    const auto add_list = [&](Json list) {
      if (list == current || std::find(lists.begin(), lists.end(), list) != lists.end()) return;
      lists.push_back(list);
      add(pointer, std::move(list));
    };
    add_list(*field.default_value);
    for (const Json& base : {current, *field.default_value}) {
      if (!base.is_array()) continue;
      for (size_t stage = 0; stage < base.size(); ++stage) {
        for (const sim::Rounding mode : sim::all_roundings()) {
          Json list = base;
          list[stage]["mode"] = std::string(sim::to_string(mode));
          add_list(std::move(list));
        }
        Json list = base;
        if (list[stage].erase("saturate_bits") == 0) list[stage]["saturate_bits"] = 32;
        add_list(std::move(list));
      }
    }
  }

  /// Roundings, widths and overflow policies of steps that are written out.
  void written_steps() {
    const std::string pointer = "/requantize/steps";
    const Json& steps = at(pointer);
    if (!steps.is_array()) return;
    for (size_t i = 0; i < steps.size(); ++i) {
      const std::string step = json::child(pointer, i);
      if (steps[i].contains("rounding")) {
        for (const sim::Rounding mode : sim::all_roundings()) {
          add(step + "/rounding", std::string(sim::to_string(mode)));
        }
      }
      if (steps[i]["op"] != "resize") continue;
      for (const sim::Overflow policy : sim::all_overflows()) {
        add(step + "/overflow", std::string(sim::to_string(policy)));
      }
      if (!steps[i]["bits"].is_number_integer()) continue;
      for (const int bits : {8, 12, 16, 17, 18, 20, 24, 32, 34, 40, 48, 64}) {
        add(step + "/bits", bits);
      }
    }
  }

  /// Other algorithms of the op with the settings they need, and other settings of its own.
  void named_algorithms() {
    const Json& current = at("/algorithm");
    const Json& params = at("/params");
    for (const std::string& name : algorithms_of(op_)) {
      if (current == name) continue;
      const Algorithm& algorithm = *find_algorithm(name);
      std::vector<Json> choices = {nullptr};
      for (const std::string& key : algorithm.params) choices = with_param(choices, key);
      for (Json& choice : choices) {
        std::vector<KnobValue::Setting> along;
        if (!params.is_null()) along.push_back({"/params", nullptr});
        if (!choice.is_null()) along.push_back({"/params", std::move(choice)});
        add("/algorithm", name, std::move(along));
      }
    }
    if (!params.is_object()) return;
    for (const auto& [key, value] : params.items()) {
      if (value.is_string()) {
        for (const sim::Rounding mode : sim::all_roundings()) {
          add("/params/" + key, std::string(sim::to_string(mode)));
        }
      } else {
        for (int64_t v = 4; v <= 24; ++v) add("/params/" + key, v);
      }
    }
  }

  /// Values that platforms have: TFLite's left shifts are 20 and 15, multipliers 21 (XNNPACK) and
  /// 22 (QNNPACK) bits wide.
  static std::vector<Json> with_param(const std::vector<Json>& choices, const std::string& key) {
    std::vector<Json> values;
    if (key == "rounding") {
      for (const sim::Rounding mode : sim::all_roundings()) {
        values.push_back(std::string(sim::to_string(mode)));
      }
    } else if (key == "multiplier_bits") {
      values = {21, 22};
    } else {
      values = {20, 15};
    }
    std::vector<Json> out;
    for (const Json& choice : choices) {
      for (const Json& value : values) {
        Json next = choice.is_null() ? Json::object() : choice;
        next[key] = value;
        out.push_back(std::move(next));
      }
    }
    return out;
  }

  const Json& rules_;
  std::string_view op_;
  std::vector<KnobValue> values_;
};

/// A value in words: a list of stages as "half_up by 31, half_away_from_zero by the rest".
std::string in_words(const Json& value) {
  if (value.is_null()) return "nothing";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return shown(value);
  std::string text;
  for (const Json& stage : value) {
    if (!stage.contains("mode") || !stage.contains("shift")) return shown(value);
    if (!text.empty()) text += " then ";
    text += stage["mode"].get<std::string>();
    text += stage["shift"].is_string() ? " by the rest" : " by " + stage["shift"].dump();
    if (stage.contains("saturate_bits")) text += " to " + stage["saturate_bits"].dump() + " bits";
  }
  return text;
}

struct Phrase {
  std::string_view pointer, words;
};
/// What the device does; {} is the value. Rules that are not here are named by their pointer.
constexpr Phrase kPhrases[] = {
    {"/requantize/rounding", "rounds {}"},
    {"/requantize/domain", "scales in {}"},
    {"/accumulator/bits", "sums in {} bits"},
    {"/accumulator/overflow", "lets a sum that leaves its width {}"},
    {"/accumulator/order", "adds taps in order {}"},
    {"/accumulator/init", "starts the sum with {}"},
    {"/accumulator/operands", "multiplies {}"},
    {"/accumulator/block", "sums groups of taps in {}"},
    {"/accumulator/term", "adds products as {}"},
    {"/requantize/multiplier/bits", "multiplies by {} bits"},
    {"/requantize/multiplier/derivation", "has multipliers derived by {}"},
    {"/requantize/multiplier/scale_product", "has scales multiplied in {}"},
    {"/requantize/multiplier/reduce_to_bits", "keeps of the multiplier's bits {}"},
    {"/requantize/multiplier/fraction_bits", "has of multiplier fraction bits {}"},
    {"/zero_point_add", "adds the zero point {}"},
    {"/activation_order", "applies a fused activation by {}"},
    {"/padding/value", "pads with {}"},
    {"/output/overflow", "lets a result outside the output type {}"},
    {"/output/narrow_range", "keeps to a narrow range of results: {}"},
    {"/tensors/bias/rounding", "rounds biases {}"},
    {"/tensors/bias/bits", "holds biases in {} bits"},
    {"/tensors/bias/overflow", "lets a bias outside its bits {}"},
    {"/algorithm", "computes by {}"},
};

}  // namespace

std::vector<KnobValue> knob_values(const Json& rules, std::string_view op) {
  return KnobValues(rules, op).take();
}

std::string knob_sentence(const KnobValue& value, std::string_view op) {
  const auto phrase = std::find_if(std::begin(kPhrases), std::end(kPhrases),
                                   [&](const Phrase& p) { return p.pointer == value.pointer; });
  const std::string to = in_words(value.settings.front().value);
  std::string text = "the device ";
  text += phrase == std::end(kPhrases) ? fmt::format("has {} {}", value.pointer, to)
                                       : fmt::format(fmt::runtime(phrase->words), to);
  for (size_t i = 1; i < value.settings.size(); ++i) {
    const KnobValue::Setting& setting = value.settings[i];
    if (setting.value.is_null()) continue;
    text +=
        fmt::format("{} {} {}", i == 1 ? " with" : ",", setting.pointer, in_words(setting.value));
  }
  if (!op.empty()) text += fmt::format(" in {}", op);
  return text + " where the profile says " + in_words(value.from);
}

}  // namespace facsim::backends::detail
