// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/command_tree.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

namespace facsim::cli {

namespace {

using Json = nlohmann::ordered_json;

/// The words of one_of, which names them in its description.
std::vector<std::string> listed_words(CLI::Option& option) {
  std::string list;
  try {
    list = option.get_validator("one_of")->get_description();
  } catch (const CLI::OptionNotFound&) {
    return {};
  }
  std::vector<std::string> words;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(", ", at), list.size());
    words.push_back(list.substr(at, end - at));
    at = end + 2;
  }
  return words;
}

OptionText describe_option(CLI::Option& option) {
  OptionText out;
  for (const std::string& name : option.get_snames()) out.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) out.names.push_back("--" + name);
  if (out.names.empty()) out.names.push_back(option.get_name(true));
  if (option.get_items_expected_max() > 0) {
    out.value = option.get_type_name().substr(0, option.get_type_name().find(':'));
  }
  out.description = option.get_description();
  out.words = listed_words(option);
  if (!out.words.empty()) out.value = "WORD";
  out.required = option.get_required();
  out.repeatable = option.get_items_expected_max() > 1;
  return out;
}

CommandText describe_below(const CLI::App& app, const std::string& parents) {
  CommandText out;
  out.name = app.get_name();
  out.path = parents + out.name;
  out.summary = app.get_description();
  out.footer = app.get_footer();
  // CLI11 gives no const options of a const app with validators: reading changes nothing.
  for (CLI::Option* option : const_cast<CLI::App&>(app).get_options()) {
    if (option->get_lnames() == std::vector<std::string>{"help"}) continue;
    out.options.push_back(describe_option(*option));
  }
  for (const CLI::App* nested : app.get_subcommands([](const CLI::App*) { return true; })) {
    out.nested.push_back(describe_below(*nested, out.path + " "));
  }
  return out;
}

const OptionText* find(const std::vector<const CommandText*>& chain, const std::string& name) {
  for (const CommandText* command : chain) {
    for (const OptionText& option : command->options) {
      if (std::find(option.names.begin(), option.names.end(), name) != option.names.end()) {
        return &option;
      }
    }
  }
  return nullptr;
}

bool names_profile(const OptionText& option, const CommandText& command) {
  const std::string& name = option.names.back();
  if (name == "--from" || (name.starts_with("--") && name.ends_with("profile"))) return true;
  const bool in_profile = command.path.starts_with("facsim profile ");
  return in_profile && (name == "profile" || name == "A" || name == "B");
}

}  // namespace

std::vector<std::string> CommandText::examples() const {
  std::vector<std::string> lines;
  size_t at = footer.find("Examples:\n");
  if (at == std::string::npos) return lines;
  for (at += 10; at < footer.size();) {
    const size_t end = std::min(footer.find('\n', at), footer.size());
    std::string line = footer.substr(at, end - at);
    at = end + 1;
    if (line.empty()) break;
    line.erase(0, line.find_first_not_of(' '));
    if (line.starts_with("facsim ") || lines.empty()) {
      lines.push_back(line);
    } else {
      lines.back() += " " + line;
    }
  }
  return lines;
}

CommandText describe(const CLI::App& app) { return describe_below(app, ""); }

Json to_json(const CommandText& command) {
  Json options = Json::array(), nested = Json::array();
  for (const OptionText& option : command.options) {
    options.push_back({{"names", option.names},
                       {"value", option.value},
                       {"description", option.description},
                       {"words", option.words},
                       {"required", option.required},
                       {"repeatable", option.repeatable}});
  }
  for (const CommandText& below : command.nested) nested.push_back(to_json(below));
  return {{"name", command.name},           {"path", command.path},
          {"summary", command.summary},     {"options", std::move(options)},
          {"examples", command.examples()}, {"commands", std::move(nested)}};
}

std::vector<std::string> completions(const CommandText& root, const std::vector<std::string>& words,
                                     const std::vector<std::string>& profiles) {
  if (words.empty()) return {};
  std::vector<const CommandText*> chain = {&root};  // innermost first
  const OptionText* awaiting = nullptr;             // an option whose value comes next
  size_t arguments = 0;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "=") continue;  // bash splits --option=value there
    if (awaiting != nullptr) {
      awaiting = nullptr;
      continue;
    }
    if (word.size() > 1 && word.front() == '-') {
      const OptionText* option = find(chain, word);
      if (option != nullptr && !option->value.empty()) awaiting = option;
      continue;
    }
    const auto& nested = chain.front()->nested;
    const auto found = std::find_if(nested.begin(), nested.end(),
                                    [&](const CommandText& c) { return c.name == word; });
    if (found != nested.end()) {
      chain.insert(chain.begin(), &*found);
      arguments = 0;
    } else {
      ++arguments;
    }
  }
  const std::string current = words.back() == "=" ? "" : words.back();
  const CommandText& command = *chain.front();
  std::vector<std::string> all;
  const auto add_values = [&](const OptionText& option) {
    all = names_profile(option, command) ? profiles : option.words;
  };
  if (awaiting != nullptr) {
    add_values(*awaiting);
  } else if (current.starts_with('-')) {
    for (const CommandText* one : chain) {
      for (const OptionText& option : one->options) {
        if (!option.is_argument()) all.push_back(option.names.back());
      }
    }
    all.emplace_back("--help");
  } else if (!command.nested.empty()) {
    for (const CommandText& nested : command.nested) all.push_back(nested.name);
  } else {
    for (const OptionText& option : command.options) {
      if (!option.is_argument()) continue;
      if (arguments == 0 || option.repeatable) {
        add_values(option);
        break;
      }
      --arguments;
    }
  }
  std::erase_if(all, [&](const std::string& word) { return !word.starts_with(current); });
  return all;
}

}  // namespace facsim::cli
