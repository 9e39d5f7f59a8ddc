// SPDX-License-Identifier: Apache-2.0
// facsim profile init, fmt, migrate, fingerprint.
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/profile/profile_file.h"
#include "sim/core/error.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/output.h"
#include "tools/facsim/profile/profile_tool.h"

namespace facsim::cli {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// What a link points to: replacing the link itself would leave the file as it was.
fs::path real_file(const fs::path& file) {
  std::error_code error;
  fs::path real = fs::canonical(file, error);
  return error ? file : real;
}

void refuse_rules(const Globals& globals, std::string_view command) {
  if (globals.overrides.empty()) return;
  throw UsageError(fmt::format("--set changes no file: profile {} does not take it", command));
}

/// What a command makes of one file.
struct ChangedFile {
  std::string text;
  bool changed = false;
  Json members;        ///< of its entry in JSON, besides "file"
  std::string report;  ///< printed behind "FILE: "; empty: nothing
};

/// Changes every file, or says what it would change. All are read before one is written.
template <class Change>
ExitCode change_files(const std::vector<std::string>& files, bool only_check,
                      const Globals& globals, const Change& change) {
  std::vector<std::pair<fs::path, ChangedFile>> all;
  for (const std::string& file : files) all.emplace_back(file, change(file));
  Json json = Json::array();
  bool any = false;
  for (const auto& [file, result] : all) {
    throw_if_interrupted();
    any |= result.changed;
    if (result.changed && !only_check) {
      backends::write_file_atomically(real_file(file), result.text);
    }
    json.push_back({{"file", file.string()}});
    json.back().update(result.members);
    if (globals.format != OutputFormat::json && !result.report.empty()) {
      print(fmt::format("{}: {}", printable(file.string()), result.report));
    }
  }
  if (globals.format == OutputFormat::json) {
    print_json({{"check", only_check}, {"files", std::move(json)}});
  }
  return only_check && any ? ExitCode::different : ExitCode::equal;
}

class ProfileInit final : public ProfileTool {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("name", name_, "of the new profile: lower-case letters, digits, - and _")
        ->required();
    app.add_option("--from", base_, "the profile that it changes: a shipped name or a path")
        ->required();
    app.add_option("-o,--output", output_, "where to write it; NAME.json here if not given");
    app.add_flag("--force", force_, "replace a file that is there");
    app.footer(
        "The new profile computes as its base until you change a value: its fingerprint is the "
        "base's.\n\n"
        "Examples:\n"
        "  facsim profile init my-chip --from tflite-reference\n"
        "  facsim profile init my-chip --from vitis-ai -o profiles/my-chip.json");
  }

  ExitCode run(const Globals& globals) override {
    refuse_rules(globals, "init");
    const fs::path file = output_.empty() ? fs::path(name_ + ".json") : fs::path(output_);
    const std::string text = backends::new_profile_text({name_, base_, file}, globals.search());
    std::error_code ignored;
    if (!force_ && fs::exists(fs::symlink_status(file, ignored))) {
      throw Error({ErrorCode::bad_value, file.string(), "a file of this name is there",
                   "a new name", "--force replaces it"});
    }
    throw_if_interrupted();
    backends::write_file_atomically(real_file(file), text);
    const std::string path = file.has_parent_path() ? file.string() : "./" + file.string();
    const std::string fingerprint = backends::load_profile(path, globals.search()).fingerprint;
    if (globals.format == OutputFormat::json) {
      print_json({{"file", file.string()}, {"base", base_}, {"fingerprint", fingerprint}});
    } else {
      print(fmt::format("{}: extends {}, fingerprint {}\n", printable(file.string()),
                        printable(base_), fingerprint));
      note(
          fmt::format("facsim profile lint {} checks it, facsim profile diff {} {} shows what you "
                      "changed",
                      printable(path), printable(base_), printable(path)));
    }
    return ExitCode::equal;
  }

 private:
  std::string name_, base_, output_;
  bool force_ = false;
};

class ProfileFmt final : public ProfileTool {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("file", files_, "profile files")->required();
    app.add_flag("--check", check_, "change nothing; exit code 1 if a file is not in order");
    app.footer(
        "Keys go into the order of `facsim profile fields`; comments stay with the key below or "
        "beside them.\n\n"
        "Examples:\n"
        "  facsim profile fmt my-chip.json\n"
        "  facsim profile fmt --check profiles/my-chip.json profiles/other-chip.json");
  }

  ExitCode run(const Globals& globals) override {
    refuse_rules(globals, "fmt");
    const auto change = [&](const fs::path& file) {
      const backends::FormattedProfile formatted = backends::format_profile(file);
      ChangedFile changed{formatted.text, formatted.changed, {{"changed", formatted.changed}}, {}};
      if (formatted.changed) changed.report = check_ ? "not in order\n" : "put in order\n";
      return changed;
    };
    return change_files(files_, check_, globals, change);
  }

 private:
  std::vector<std::string> files_;
  bool check_ = false;
};

class ProfileMigrate final : public ProfileTool {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("file", files_, "profile files")->required();
    app.add_flag("--check", check_, "change nothing; exit code 1 if a file is of an older version");
    app.footer(
        "Examples:\n"
        "  facsim profile migrate my-chip.json\n"
        "  facsim profile migrate --check profiles/my-chip.json");
  }

  ExitCode run(const Globals& globals) override {
    refuse_rules(globals, "migrate");
    const auto change = [&](const fs::path& file) {
      const backends::MigratedProfile migrated = backends::migrate_profile(file);
      return ChangedFile{
          migrated.text,
          migrated.changed(),
          {{"from", migrated.from}, {"to", migrated.to}, {"changes", migrated.changes}},
          report_of(migrated)};
    };
    return change_files(files_, check_, globals, change);
  }

 private:
  std::string report_of(const backends::MigratedProfile& migrated) const {
    if (!migrated.changed()) {
      return fmt::format("nothing to do, schema_version {}\n", migrated.from);
    }
    std::string text = fmt::format("schema_version {} {} {}\n", migrated.from,
                                   check_ ? "would become" : "became", migrated.to);
    for (const std::string& change : migrated.changes) text += "  " + change + "\n";
    return text;
  }

  std::vector<std::string> files_;
  bool check_ = false;
};

class ProfileFingerprint final : public ProfileTool {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("profile", names_, "shipped names or paths; --profile if none");
    app.footer(
        "Profiles with the same fingerprint have the same rules, whatever their names, titles and "
        "evidence.\n\n"
        "Examples:\n"
        "  facsim profile fingerprint tflite-micro ./my-chip.json\n"
        "  facsim profile fingerprint tflite-micro --set /accumulator/bits=24");
  }

  ExitCode run(const Globals& globals) override {
    if (names_.empty() && !globals.profile.empty()) names_ = {globals.profile};
    if (names_.empty()) throw UsageError("which profile? names, paths, or --profile");
    Json json = Json::array();
    std::string text;
    for (const std::string& name : names_) {
      const backends::Profile profile =
          backends::load_profile(name, globals.search(), globals.overrides);
      json.push_back({{"profile", name},
                      {"name", profile.name},
                      {"fingerprint", profile.fingerprint},
                      {"file", profile.file.string()}});
      text += fmt::format("{}  {}\n", profile.fingerprint, printable(name));
    }
    if (globals.format == OutputFormat::json) {
      print_json({{"profiles", std::move(json)}});
    } else {
      print(text);
    }
    return ExitCode::equal;
  }

 private:
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<ProfileTool> make_profile_init() { return std::make_unique<ProfileInit>(); }
std::unique_ptr<ProfileTool> make_profile_fmt() { return std::make_unique<ProfileFmt>(); }
std::unique_ptr<ProfileTool> make_profile_migrate() { return std::make_unique<ProfileMigrate>(); }
std::unique_ptr<ProfileTool> make_profile_fingerprint() {
  return std::make_unique<ProfileFingerprint>();
}

}  // namespace facsim::cli
