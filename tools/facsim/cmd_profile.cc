// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/profile/field_table.h"
#include "backends/profile/profile.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/profile/profile_tool.h"
#include "tools/facsim/sarif.h"

namespace facsim::cli {

namespace {

using Json = nlohmann::ordered_json;
using Level = backends::Profile::Evidence::Level;

std::string level_word(Level level) {
  switch (level) {
    case Level::executed:
      return "executed";
    case Level::documented:
      return "documented";
    case Level::assumed:
      return "assumed";
  }
  return "";
}

Json to_json(const backends::LintFinding& finding) {
  return {{"rule", finding.rule},
          {"severity", finding.is_error ? "error" : "warning"},
          {"pointer", finding.pointer},
          {"place", finding.place},
          {"message", finding.message}};
}

class ProfileCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.require_subcommand(1);
    list_ = app.add_subcommand("list", "names, titles and evidence of all profiles");
    show_ = app.add_subcommand("show", "the resolved profile, everything it extends merged in");
    schema_ = app.add_subcommand("schema", "the JSON Schema of profiles (draft-07)");
    fields_ = app.add_subcommand(
        "fields", "every field: allowed values, default, meaning, example (Markdown)");
    lint_ = app.add_subcommand(
        "lint", "semantic findings; exit code 1 for errors, 3 for a profile that does not load");
    explain_ = app.add_subcommand("explain", "one setting: value, who set it, meaning, example");
    show_->add_option("profile", name_, "a shipped name or a path");
    lint_->add_option("profile", name_, "a shipped name or a path");
    lint_->add_flag("--strict", strict_, "warnings count as findings too");
    lint_
        ->add_option("--format", lint_format_,
                     "table, json, or sarif: SARIF 2.1.0, which code hosts show as annotations")
        ->check(one_of({"table", "json", "sarif"}));
    explain_->add_option("profile", name_, "a shipped name or a path")->required();
    explain_
        ->add_option("pointer", pointer_,
                     "JSON pointer, such as /requantize/rounding, or an op of the profile")
        ->required();
    list_->footer(
        "Examples:\n"
        "  facsim profile list\n"
        "  facsim profile list --profile-path my-profiles --format json");
    show_->footer(
        "Examples:\n"
        "  facsim profile show tflite-micro\n"
        "  facsim profile show ./my-chip.json --set /accumulator/bits=24 --format json");
    schema_->footer(
        "Examples:\n"
        "  facsim profile schema > backend-profile.schema.json");
    fields_->footer(
        "Examples:\n"
        "  facsim profile fields > FIELDS.md");
    lint_->footer(
        "Examples:\n"
        "  facsim profile lint ./my-chip.json\n"
        "  facsim profile lint ./my-chip.json --format sarif > my-chip.sarif\n"
        "  facsim profile lint --strict tflite-micro --set /accumulator/bits=24");
    explain_->footer(
        "A setting that the profile leaves to what it extends or to a default is explained too.\n\n"
        "Examples:\n"
        "  facsim profile explain tflite-micro /requantize/rounding\n"
        "  facsim profile explain tflite-micro /ops/conv2d/variants/int16x8/accumulator/bits\n"
        "  facsim profile explain tflite-micro \"conv2d int16x8\"");
    add(app, "diff", "what two profiles do otherwise: rules, or numbers", make_profile_diff());
    add(app, "init", "start a profile from another one", make_profile_init());
    add(app, "fmt", "put the keys of profile files in order, comments kept", make_profile_fmt());
    add(app, "migrate", "bring profile files to this version's format", make_profile_migrate());
    add(app, "fingerprint", "one number for all rules of a profile", make_profile_fingerprint());
    app.footer(
        "Examples:\n"
        "  facsim profile list\n"
        "  facsim profile show tflite-single-rounding --format json\n"
        "  facsim profile init mychip --from tflite-reference\n"
        "  facsim profile lint mychip.json\n"
        "  facsim profile diff tflite-reference mychip.json --numeric\n"
        "  facsim profile explain tflite-micro /ops/conv2d/requantize/rounding");
  }

  ExitCode run(const Globals& globals) override {
    if (list_->parsed()) return list(globals);
    if (schema_->parsed()) {
      print(backends::profile_schema_json());
      return ExitCode::equal;
    }
    if (fields_->parsed()) {
      // For programs the same is the schema: every field with its values and meaning.
      print(globals.format == OutputFormat::json ? backends::profile_schema_json()
                                                 : backends::profile_field_table());
      return ExitCode::equal;
    }
    for (const auto& [app, tool] : tools_) {
      if (app->parsed()) return tool->run(globals);
    }
    if (name_.empty()) name_ = globals.profile;
    if (name_.empty()) throw UsageError("which profile? a name, a path, or --profile");
    if (show_->parsed()) return show(globals);
    if (lint_->parsed()) return lint(globals);
    return explain(globals);
  }

 private:
  void add(CLI::App& app, const char* name, const char* summary,
           std::unique_ptr<ProfileTool> tool) {
    CLI::App* sub = app.add_subcommand(name, summary);
    tool->set_up(*sub);
    tools_.emplace_back(sub, std::move(tool));
  }

  /// Profiles that do not load are listed with their first error.
  static ExitCode list(const Globals& globals) {
    Json json = Json::array();
    TextTable table({{"name"}, {"evidence"}, {"title"}});
    bool all_load = true;
    for (const std::string& name : backends::list_profiles(globals.search())) {
      try {
        const backends::Profile profile = backends::load_profile(name, globals.search());
        const std::string level = level_word(profile.evidence.level);
        table.add_row({printable(name), level, printable(profile.title)});
        json.push_back({{"name", name},
                        {"title", profile.title},
                        {"evidence", {{"level", level}, {"sources", profile.evidence.sources}}},
                        {"fingerprint", profile.fingerprint},
                        {"file", profile.file.string()}});
      } catch (const Error& e) {
        all_load = false;
        table.add_row({printable(name), "invalid", to_string(e.infos().front())});
        json.push_back({{"name", name}, {"error", to_string(e.infos().front())}});
      }
    }
    if (globals.format == OutputFormat::json) {
      print_json({{"profiles", std::move(json)}});
    } else {
      print(table.text());
    }
    return all_load ? ExitCode::equal : ExitCode::invalid_input;
  }

  ExitCode show(const Globals& globals) const {
    const backends::Profile profile =
        backends::load_profile(name_, globals.search(), globals.overrides);
    if (globals.format == OutputFormat::json) {
      print(backends::resolved_profile_json(name_, globals.search(), globals.overrides));
      return ExitCode::equal;
    }
    TextTable table({{"pointer"}, {"set by"}, {"value"}});
    for (const backends::ProfileSetting& setting :
         backends::profile_settings(name_, globals.search(), globals.overrides)) {
      // The pointer has a column of its own.
      const std::string place = setting.place.substr(0, setting.place.find(" /"));
      table.add_row({printable(setting.pointer),
                     setting.place.empty() ? "default" : printable(place),
                     printable(setting.value)});
    }
    print(table.text());
    note("fingerprint " + profile.fingerprint);
    return ExitCode::equal;
  }

  ExitCode explain(const Globals& globals) const {
    const std::string text =
        backends::explain_profile(name_, globals.search(), pointer_, globals.overrides);
    if (globals.format != OutputFormat::json) {
      print(text);
      return ExitCode::equal;
    }
    Json settings = Json::array();
    for (const backends::ProfileSetting& setting :
         backends::profile_settings(name_, globals.search(), globals.overrides)) {
      const bool below = setting.pointer == pointer_ || setting.pointer.starts_with(pointer_ + "/");
      if (!below) continue;
      settings.push_back({{"pointer", setting.pointer},
                          {"value", Json::parse(setting.value)},
                          {"set_by", setting.place}});
    }
    print_json({{"profile", name_},
                {"pointer", pointer_},
                {"settings", std::move(settings)},
                {"text", text}});
    return ExitCode::equal;
  }

  /// Also what keeps a profile from loading is a finding with a place.
  ExitCode lint_sarif(const Globals& globals) const {
    std::vector<SarifFinding> findings;
    ExitCode code = ExitCode::equal;
    try {
      for (const auto& finding :
           backends::lint_profile(name_, globals.search(), globals.overrides)) {
        if (finding.is_error || strict_) code = ExitCode::different;
        findings.push_back(sarif_finding(finding));
      }
    } catch (const Error& error) {
      for (const ErrorInfo& info : error.infos()) findings.push_back(sarif_finding(info));
      code = ExitCode::invalid_input;
    }
    print_json(sarif_log(findings, std::filesystem::current_path()));
    return code;
  }

  ExitCode lint(Globals globals) const {
    if (lint_format_ == "sarif") return lint_sarif(globals);
    if (lint_format_ == "json") globals.format = OutputFormat::json;
    if (lint_format_ == "table") globals.format = OutputFormat::table;
    const std::vector<backends::LintFinding> findings =
        backends::lint_profile(name_, globals.search(), globals.overrides);
    int errors = 0;
    Json json = Json::array();
    for (const backends::LintFinding& finding : findings) {
      errors += finding.is_error ? 1 : 0;
      json.push_back(to_json(finding));
      if (globals.format == OutputFormat::json) continue;
      const std::string severity = finding.is_error
                                       ? colored("error", Color::red, globals.color_stdout)
                                       : colored("warning", Color::yellow, globals.color_stdout);
      print(fmt::format("{}: {}[{}]: {}\n", printable(finding.place), severity, finding.rule,
                        printable(finding.message)));
    }
    const auto warnings = static_cast<int>(findings.size()) - errors;
    if (globals.format == OutputFormat::json) {
      print_json({{"profile", name_},
                  {"errors", errors},
                  {"warnings", warnings},
                  {"findings", std::move(json)}});
    } else {
      print(fmt::format("{} errors, {} warnings\n", errors, warnings));
    }
    return errors > 0 || (strict_ && warnings > 0) ? ExitCode::different : ExitCode::equal;
  }

  CLI::App *list_ = nullptr, *show_ = nullptr, *schema_ = nullptr, *lint_ = nullptr,
           *explain_ = nullptr, *fields_ = nullptr;
  std::vector<std::pair<CLI::App*, std::unique_ptr<ProfileTool>>> tools_;
  std::string name_, pointer_, lint_format_;
  bool strict_ = false;
};

}  // namespace

std::unique_ptr<Command> make_profile_command() { return std::make_unique<ProfileCommand>(); }

}  // namespace facsim::cli
