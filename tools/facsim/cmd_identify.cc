// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/parity/identify.h"
#include "backends/parity/vectors_gen.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/identify_columns.h"
#include "tools/facsim/identify_output.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/progress.h"
#include "tools/facsim/row_values.h"
#include "tools/facsim/staged_folder.h"

namespace facsim::cli {

namespace {

using backends::IdentifyCandidate;
using backends::IdentifyResult;
using backends::IdentifyRows;
using backends::IdentifyState;
using Json = nlohmann::ordered_json;

class IdentifyCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    columns_.add_to(app);
    app.add_option("--out", out_, "what the device gave, one per row");
    app.add_option("--suite", suite_,
                   "folder of recorded layers instead of rows (tests/README.md, vector suites)");
    app.add_option("--case", cases_, "a case of --suite, more than once for several; default: all");
    app.add_option("--space", space_, "JSON file of settings to try as well, or instead");
    app.add_option("--knobs", knobs_,
                   "also every single setting of every shipped profile: if_nothing_fits (default), "
                   "always (tens of seconds)")
        ->check(one_of({"if_nothing_fits", "always"}));
    app.add_option("--suggest-vectors", suggest_, "write the N rows that split what is left best")
        ->check(CLI::Range(1, 1000));
    app.add_option("--acc-range", acc_range_,
                   "MIN:MAX, the accumulators that the device can be given in suggested rows");
    app.add_flag(
        "--keep-scales", keep_scales_,
        "suggested rows have the multiplier or scales, zero point and clamps of a recorded "
        "row: only their accumulator is new");
    app.add_option("-o,--output", output_, "new folder for them and for state.json");
    app.add_option("--continue", state_, "state.json; --out are the answers to its rows");
    app.add_option("--refused", refused_,
                   "numbers of suggested rows that the device refused, from 0, or names of layers")
        ->delimiter(',');
    app.add_option("--emit", emit_,
                   "profile file to write of the one class that is left; with several nothing is "
                   "written");
    app.add_flag("--any", any_,
                 "--emit of several classes too: of the first, which is nearest to a shipped "
                 "profile");
    app.footer(
        "Values are .npy files with one value per row, or numbers: 585, or 585,-3 for two rows; "
        "one\n"
        "value holds for all rows. Tried are every shipped profile and a fixed space of "
        "roundings,\n"
        "stages, multipliers, float forms and overflows. Candidates that no vector tells apart are "
        "one\n"
        "class. Exit codes: 0 something fits (decided or not), 1 nothing does.\n\n"
        "Examples:\n"
        "  facsim identify --acc acc.npy --multiplier m.npy --shift s.npy --zero-point z.npy "
        "--out y.npy\n"
        "  facsim identify --acc 585 --input-scale 0.05296124517917633 --weight-scale "
        "0.024093778803944588 \\\n"
        "    --output-scale 0.11484327912330627 --zero-point -126 --out -120 "
        "--suggest-vectors 8 -o next\n"
        "  facsim identify --continue next/state.json --out device.npy --emit my-chip.json");
  }

  ExitCode run(const Globals& globals) override {
    check_usage(globals);
    if (suggest_ > 0) backends::require_new_folder(output_);
    if (!emit_.empty()) backends::require_new_profile_file(emit_);
    if (!suite_.empty() || (!state_.empty() && backends::is_layer_dialogue(state_))) {
      return run_layers(globals);
    }
    IdentifyState state = state_.empty() ? read_rows() : continued();
    backends::IdentifyOptions options = options_for(state.asked, globals);
    options.op = state.op;
    IdentifyRows next;
    const IdentifyResult result = watched(
        globals, options, [&] { return backends::identify_rows(state.rows, options, &next); });
    std::optional<std::string> folder;
    if (suggest_ > 0 && next.size() > 0) folder = write_next(state, next);
    if (globals.format == OutputFormat::json) {
      Json json = to_json(result);
      json["round"] = state.round;
      if (options.limits.any()) json["limits"] = limits_json(result, options.limits);
      if (folder) {
        json["suggested"] = {{"vectors", next.size()},
                             {"all_rounds", state.suggested},
                             {"folder", *folder},
                             {"state", (std::filesystem::path(*folder) / "state.json").string()}};
      }
      print_and_emit(std::move(json), result, globals);
    } else {
      print_table(result, state, next, folder);
      if (options.limits.any()) print_limits(result, options.limits);
      if (!emit_.empty()) emit(result, globals);
    }
    return result.classes.empty() ? ExitCode::different : ExitCode::equal;
  }

 private:
  /// What the command line says goes before what the dialogue remembers.
  backends::IdentifyOptions options_for(backends::IdentifyAsked& asked,
                                        const Globals& globals) const {
    if (!space_.empty()) asked.space = std::filesystem::absolute(space_).string();
    if (knobs_ == "always") asked.knobs = backends::IdentifyOptions::Knobs::always;
    if (knobs_ == "if_nothing_fits") {
      asked.knobs = backends::IdentifyOptions::Knobs::if_nothing_fits;
    }
    if (state_.empty() || globals.seed != Globals{}.seed) asked.seed = globals.seed;
    backends::IdentifyOptions options;
    options.search = globals.search();
    options.threads = globals.threads;
    options.suggest = suggest_;
    options.knobs = asked.knobs;
    options.seed = asked.seed;
    if (!acc_range_.empty()) asked.limits.acc = accumulators();
    asked.limits.keeps_parameters |= keep_scales_;
    options.limits = asked.limits;
    if (!asked.space.empty()) options.space = backends::read_identify_space(asked.space);
    return options;
  }

  /// Of --acc-range.
  std::pair<int64_t, int64_t> accumulators() const {
    std::pair<int64_t, int64_t> range;
    const char *begin = acc_range_.data(), *const end = begin + acc_range_.size();
    const char* const colon = std::find(begin, end, ':');
    const auto low = std::from_chars(begin, colon, range.first);
    if (colon != end && low.ec == std::errc{} && low.ptr == colon) {
      const auto high = std::from_chars(colon + 1, end, range.second);
      if (high.ec == std::errc{} && high.ptr == end && range.first <= range.second) return range;
    }
    throw UsageError(fmt::format("--acc-range \"{}\": expected MIN:MAX, as -32768:32767",
                                 printable(acc_range_)));
  }

  template <class Search>
  static IdentifyResult watched(const Globals& globals, backends::IdentifyOptions& options,
                                const Search& search) {
    std::optional<ProgressBar> bar;
    options.progress = [&](int64_t done, int64_t total) {
      throw_if_interrupted();
      if (!bar) bar.emplace("identify", total, globals.progress);
      bar->update(done);
    };
    return search();
  }

  ExitCode run_layers(const Globals& globals) {
    if (!acc_range_.empty() || keep_scales_) {
      throw UsageError("--acc-range and --keep-scales are for rows: layers have neither");
    }
    backends::LayerDialogue dialogue;
    if (state_.empty()) {
      dialogue.suite = suite_;
      dialogue.cases = cases_;
    } else {
      dialogue = backends::read_layer_dialogue(state_);
      backends::answer_layers(dialogue, backends::read_npz(out_),
                              {refused_.begin(), refused_.end()});
    }
    backends::IdentifyOptions options = options_for(dialogue.asked, globals);
    std::vector<backends::GeneratedCase> next;
    const IdentifyResult result = watched(globals, options, [&] {
      return backends::identify_layers(dialogue, options, suggest_ > 0 ? &next : nullptr);
    });
    dialogue.left.reset();
    if (!result.classes.empty() && !options.space) dialogue.left = backends::settings_left(result);
    if (!next.empty()) write_layers(dialogue, std::move(next));
    if (globals.format == OutputFormat::json) {
      nlohmann::ordered_json json = to_json(result);
      json["round"] = dialogue.round;
      if (!dialogue.pending.empty()) {
        json["suggested"] = {{"layers", dialogue.pending.size()},
                             {"all_rounds", dialogue.suggested},
                             {"folder", output_},
                             {"state", (std::filesystem::path(output_) / "state.json").string()}};
      }
      print_and_emit(std::move(json), result, globals);
    } else {
      print_result(result, "value");
      print_layers(result, dialogue);
      if (!emit_.empty()) emit(result, globals);
    }
    return result.classes.empty() ? ExitCode::different : ExitCode::equal;
  }

  void write_layers(backends::LayerDialogue& dialogue,
                    std::vector<backends::GeneratedCase> next) const {
    ++dialogue.round;
    dialogue.suggested += static_cast<int64_t>(next.size());
    for (size_t i = 0; i < next.size(); ++i) {
      next[i].name = fmt::format("round{}_{}_{}", dialogue.round, next[i].op, i);
    }
    dialogue.pending = std::move(next);
    StagedFolder staged(without_trailing_slash(output_));
    backends::write_layer_dialogue(staged.path(), dialogue, throw_if_interrupted);
    staged.commit();
  }

  void print_layers(const IdentifyResult& result, const backends::LayerDialogue& dialogue) const {
    const size_t classes = result.classes.size();
    if (!dialogue.pending.empty()) {
      print(fmt::format(
          "\n{} to run on the device next {} in {}: a vector suite without outputs.\n"
          "Write these to an .npz, one array for each case by its name, then\n"
          "  facsim identify --continue {}/state.json --out ANSWERS.npz\n",
          counted(dialogue.pending.size(), "layer"), dialogue.pending.size() == 1 ? "is" : "are",
          printable(output_), printable(output_)));
    } else if (classes > 1 && suggest_ == 0) {
      print("\n--suggest-vectors N -o FOLDER writes the layers that decide\n");
    }
    if (classes == 1 && dialogue.suggested > 0) {
      print(fmt::format("\ndecided after {} in {}\n",
                        counted(dialogue.suggested, "suggested layer"),
                        counted(dialogue.round, "round")));
    }
  }

  void check_usage(const Globals& globals) const {
    if (!globals.profile.empty() || !globals.overrides.empty()) {
      throw UsageError(
          "identify finds the profile: it takes no --profile and no --set; --space "
          "limits what is tried");
    }
    if ((suggest_ > 0) != !output_.empty()) {
      throw UsageError("--suggest-vectors N and -o FOLDER go together");
    }
    if (any_ && emit_.empty()) throw UsageError("--any goes with --emit");
    constexpr int kMostLayers = 16;
    if (!cases_.empty() && suite_.empty()) throw UsageError("--case goes with --suite");
    if (!suite_.empty()) {
      if (suggest_ > kMostLayers) {
        throw UsageError(
            fmt::format("--suggest-vectors with --suite: at most {} layers", kMostLayers));
      }
      if (!out_.empty() || !state_.empty() || columns_.given() || !refused_.empty()) {
        throw UsageError("--suite has its layers and outputs: leave out rows and --continue");
      }
      return;
    }
    if (out_.empty()) throw UsageError("identify needs --out, what the device gave");
    if (!state_.empty()) {
      if (columns_.given()) {
        throw UsageError("--continue has its rows: leave out --acc and what goes with it");
      }
      return;
    }
    if (!refused_.empty()) throw UsageError("--refused goes with --continue");
    if (!columns_.has_acc()) throw UsageError("identify needs --acc, or --continue");
    columns_.check_usage();
  }

  IdentifyState read_rows() const {
    IdentifyState state;
    state.op = columns_.op();
    state.rows = columns_.read(out_);
    return state;
  }

  IdentifyState continued() const {
    IdentifyState state = backends::read_identify_state(state_);
    RowValues values(RowValues::Literals::allowed);
    values.read(out_);
    std::set<size_t> refused;
    for (const std::string& row : refused_) {
      const bool is_number = !row.empty() && row.size() < 10 &&
                             row.find_first_not_of("0123456789") == std::string::npos;
      if (!is_number) {
        throw UsageError(
            fmt::format("--refused \"{}\": expected numbers of rows, from 0", printable(row)));
      }
      refused.insert(std::stoul(row));
    }
    backends::answer(state, integer_values(values.at(out_), out_), refused);
    return state;
  }

  std::string write_next(IdentifyState& state, const IdentifyRows& next) const {
    ++state.round;
    state.suggested += static_cast<int64_t>(next.size());
    state.pending = next;
    StagedFolder staged(without_trailing_slash(output_));
    backends::write_identify_rows(staged.path(), next);
    backends::write_identify_state(staged.path() / "state.json", state);
    staged.commit();
    return output_;
  }

  void print_table(const IdentifyResult& result, const IdentifyState& state,
                   const IdentifyRows& next, const std::optional<std::string>& folder) const {
    const size_t classes = result.classes.size();
    print_result(result, "row");
    if (folder) {
      print(
          fmt::format("\n{} to run on the device next {} in {}: acc.npy, ...; then\n"
                      "  facsim identify --continue {}/state.json --out ANSWERS.npy\n",
                      counted(next.size(), "row"), next.size() == 1 ? "is" : "are",
                      printable(*folder), printable(*folder)));
    } else if (classes > 1 && suggest_ == 0 && !state.asked.limits.any()) {
      print("\n--suggest-vectors N -o FOLDER writes the rows that decide\n");
    }
    if (classes == 1 && state.suggested > 0) {
      print(fmt::format("\ndecided after {} in {}\n", counted(state.suggested, "suggested row"),
                        counted(state.round, "round")));
    }
  }

  /// The answer is printed whatever becomes of the file.
  void print_and_emit(Json json, const IdentifyResult& result, const Globals& globals) const {
    if (!emit_.empty()) {
      try {
        json["emitted"] = emit(result, globals);
      } catch (const Error& error) {
        json["emitted"] = {{"file", nullptr}, {"reason", error.what()}};
        print_json(json);
        throw;
      }
    }
    print_json(json);
  }

  /// Writes the profile that is left, or says why not; returns what JSON says of it.
  Json emit(const IdentifyResult& result, const Globals& globals) const {
    const size_t classes = result.classes.size();
    if (classes == 0 || (classes > 1 && !any_)) {
      const std::string why =
          classes == 0
              ? "nothing fits"
              : fmt::format("{} classes are left, and only one class is one profile", classes);
      note(fmt::format("{} not written: {}{}", printable(emit_), why,
                       classes == 0 ? "" : " (--any writes the nearest to a shipped profile)"));
      return {{"file", nullptr}, {"reason", why}};
    }
    const IdentifyCandidate& best = result.candidates[result.classes.front().best];
    const std::string found_in = fmt::format(
        "{} recorded values reproduced{}", with_commas(result.rows),
        classes == 1 ? "" : fmt::format(", as by {} other classes of settings", classes - 1));
    const std::vector<backends::LintFinding> findings =
        backends::write_identified_profile(emit_, best, globals.search(), found_in);
    note(fmt::format("{} written: {} {}", printable(emit_), printable(best.profile),
                     printable(settings_text(best))));
    const auto errors = std::count_if(findings.begin(), findings.end(),
                                      [](const auto& finding) { return finding.is_error; });
    if (errors > 0) {
      note(
          fmt::format("facsim profile lint {} says {} of what was found, in ops that were not "
                      "recorded too",
                      shell_quoted(emit_), counted(errors, "error")));
    }
    return {{"file", emit_}, {"other_classes", classes - 1}};
  }

  IdentifyColumns columns_;
  std::string out_, space_, output_, state_, emit_, knobs_, suite_;
  std::vector<std::string> cases_, refused_;
  std::string acc_range_;
  bool any_ = false, keep_scales_ = false;
  int suggest_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_identify_command() { return std::make_unique<IdentifyCommand>(); }

}  // namespace facsim::cli
