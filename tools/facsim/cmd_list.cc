// SPDX-License-Identifier: Apache-2.0
#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "fused/patterns/pattern_registry.h"
#include "quant/fake_quantize/fake_quantizer.h"
#include "quant/observers/observer.h"
#include "sim/ops/op_list.h"
#include "sim/overflow/overflow.h"
#include "sim/rounding/rounding.h"
#include "tools/facsim/command.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

/// A word and what it means.
using Entry = std::pair<std::string, std::string>;

std::vector<Entry> roundings() {
  std::vector<Entry> entries;
  for (const sim::Rounding mode : sim::all_roundings()) {
    entries.emplace_back(sim::to_string(mode), "");
  }
  return entries;
}

std::vector<Entry> overflows() {
  std::vector<Entry> entries;
  for (const sim::Overflow policy : sim::all_overflows()) {
    entries.emplace_back(sim::to_string(policy), "");
  }
  return entries;
}

std::vector<Entry> ops() {
  std::vector<Entry> entries;
  for (const sim::OpDescription& op : sim::all_ops()) entries.emplace_back(op.kind, op.summary);
  return entries;
}

std::vector<Entry> targets() {
  std::vector<Entry> entries;
  for (const sim::Isa isa : sim::available_isas()) {
    entries.emplace_back(sim::to_string(isa), isa == sim::Isa::scalar ? "the norm" : "");
  }
  return entries;
}

std::vector<Entry> words(const std::vector<std::string_view>& list) {
  std::vector<Entry> entries;
  for (const std::string_view word : list) entries.emplace_back(word, "");
  return entries;
}

/// "Conv2d, BatchNorm2d, ReLU or ReLU6".
std::string ops_of(const fused::FusionPattern& pattern) {
  std::vector<std::string> ops;
  for (const fused::PatternOp& op : pattern.ops) {
    if (op.role != fused::Role::activation) {
      ops.push_back(op.op);
      continue;
    }
    std::vector<std::string> activations;
    for (const auto& [word, form] : pattern.activations) activations.push_back(word);
    ops.push_back(fmt::format("{}", fmt::join(activations, " or ")));
  }
  return fmt::format("{}", fmt::join(ops, ", "));
}

std::vector<Entry> patterns() {
  std::vector<Entry> entries;
  const fused::PatternRegistry registry = fused::PatternRegistry::standard();
  for (const fused::FusionPattern& pattern : registry.patterns()) {
    entries.emplace_back(pattern.name, ops_of(pattern));
  }
  return entries;
}

std::vector<Entry> profiles(const Globals& globals) {
  std::vector<Entry> entries;
  for (const std::string& name : backends::list_profiles(globals.search())) {
    entries.emplace_back(name, "");
  }
  return entries;
}

const std::map<std::string, std::function<std::vector<Entry>(const Globals&)>>& lists() {
  static const std::map<std::string, std::function<std::vector<Entry>(const Globals&)>> all = {
      {"rounding", [](const Globals&) { return roundings(); }},
      {"overflow", [](const Globals&) { return overflows(); }},
      {"ops", [](const Globals&) { return ops(); }},
      {"targets", [](const Globals&) { return targets(); }},
      {"profiles", profiles},
      {"patterns", [](const Globals&) { return patterns(); }},
      {"observers", [](const Globals&) { return words(quant::all_observers()); }},
      {"fake_quantizers", [](const Globals&) { return words(quant::all_fake_quantizers()); }},
  };
  return all;
}

class ListCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    std::vector<std::string> words;
    for (const auto& [word, list] : lists()) words.push_back(word);
    app.add_option("what", what_, "which list")->required()->check(one_of(words));
    app.footer("Examples:\n  facsim list rounding\n  facsim list profiles --format json");
  }

  ExitCode run(const Globals& globals) override {
    const std::vector<Entry> entries = lists().at(what_)(globals);
    if (globals.format == OutputFormat::json) {
      nlohmann::ordered_json json = nlohmann::ordered_json::array();
      for (const auto& [name, meaning] : entries) {
        nlohmann::ordered_json entry = {{"name", name}};
        if (!meaning.empty()) entry["summary"] = meaning;
        json.push_back(std::move(entry));
      }
      print_json({{what_, std::move(json)}});
      return ExitCode::equal;
    }
    size_t widest = 0;
    for (const Entry& entry : entries) widest = std::max(widest, entry.first.size());
    for (const auto& [name, meaning] : entries) {
      print(meaning.empty() ? name + "\n" : fmt::format("{:{}}  {}\n", name, widest, meaning));
    }
    return ExitCode::equal;
  }

 private:
  std::string what_;
};

}  // namespace

std::unique_ptr<Command> make_list_command() { return std::make_unique<ListCommand>(); }

}  // namespace facsim::cli
