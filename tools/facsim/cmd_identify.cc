// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/parity/identify.h"
#include "backends/parity/vectors_gen.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
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
    app.add_option("--acc", acc_, "accumulators, one per row");
    app.add_option("--multiplier", multiplier_, "integer multipliers");
    app.add_option("--shift", shift_, "their shifts");
    app.add_option("--shift-sign", shift_sign_,
                   "right: real = multiplier * 2^-shift (default); left: TFLite's exponent")
        ->check(one_of({"right", "left"}));
    app.add_option("--scale", scale_, "real multipliers, float32");
    app.add_option("--input-scale", input_scale_, "scales of the input, float32");
    app.add_option("--weight-scale", weight_scale_, "of the weights");
    app.add_option("--output-scale", output_scale_, "of the output");
    app.add_option("--zero-point", zero_point_, "output zero points");
    app.add_option("--clamp-min", clamp_min_, "lowest output codes");
    app.add_option("--clamp-max", clamp_max_, "highest output codes");
    app.add_option("--arg", arguments_,
                   "NAME=VALUES, a further argument of programs (bias, offset)")
        ->allow_extra_args(false);
    app.add_option("--out", out_, "what the device gave, one per row");
    app.add_option("--out-type", out_type_,
                   "int8, uint8, int32, … (default: int8 for numbers on "
                   "the command line, else the type of --out)");
    app.add_option("--op", op_,
                   "only the rules of this op (\"conv2d\", \"linear uint8\"); default: of all");
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
    app.add_option("-o,--output", output_, "new folder for them and for state.json");
    app.add_option("--continue", state_, "state.json; --out are the answers to its rows");
    app.add_option("--refused", refused_,
                   "numbers of suggested rows that the device refused, from 0, or names of layers")
        ->delimiter(',');
    app.add_option("--emit", emit_, "profile file to write of the one class that is left");
    app.footer(
        "Values are .npy files with one value per row, or numbers: 585, or 585,-3 for two rows; "
        "one\n"
        "value holds for all rows. Tried are every shipped profile and a fixed space of "
        "roundings,\n"
        "stages, multipliers, float forms and overflows. Candidates that no vector tells apart are "
        "one\n"
        "class. Exit codes: 0 something fits, 1 nothing does.\n\n"
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
      if (folder) {
        json["suggested"] = {{"vectors", next.size()},
                             {"all_rounds", state.suggested},
                             {"folder", *folder},
                             {"state", (std::filesystem::path(*folder) / "state.json").string()}};
      }
      print_json(json);
    } else {
      print_table(result, state, next, folder);
    }
    if (!emit_.empty() && !result.classes.empty()) emit(result, globals);
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
    if (!asked.space.empty()) options.space = backends::read_identify_space(asked.space);
    return options;
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
      print_json(json);
    } else {
      print_result(result, "values");
      print_layers(result, dialogue);
    }
    if (!emit_.empty() && !result.classes.empty()) emit(result, globals);
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
          "\n{} layers to run on the device next are in {}: a vector suite without outputs.\n"
          "Write these to an .npz, one array for each case by its name, then\n"
          "  facsim identify --continue {}/state.json --out ANSWERS.npz\n",
          dialogue.pending.size(), printable(output_), printable(output_)));
    } else if (classes > 1 && suggest_ == 0) {
      print("\n--suggest-vectors N -o FOLDER writes the layers that decide\n");
    }
    if (classes == 1 && dialogue.suggested > 0) {
      print(fmt::format("\ndecided after {} suggested layers in {} rounds\n", dialogue.suggested,
                        dialogue.round));
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
    constexpr int kMostLayers = 16;
    if (!cases_.empty() && suite_.empty()) throw UsageError("--case goes with --suite");
    if (!suite_.empty()) {
      if (suggest_ > kMostLayers) {
        throw UsageError(
            fmt::format("--suggest-vectors with --suite: at most {} layers", kMostLayers));
      }
      if (!out_.empty() || !state_.empty() || !acc_.empty() || !op_.empty() ||
          !arguments_.empty() || !refused_.empty()) {
        throw UsageError("--suite has its layers and outputs: leave out rows and --continue");
      }
      return;
    }
    if (out_.empty()) throw UsageError("identify needs --out, what the device gave");
    if (!state_.empty()) {
      for (const std::string* option :
           {&acc_, &multiplier_, &shift_, &scale_, &input_scale_, &weight_scale_, &output_scale_,
            &zero_point_, &clamp_min_, &clamp_max_, &op_, &out_type_}) {
        if (!option->empty()) {
          throw UsageError("--continue has its rows: leave out --acc and what goes with it");
        }
      }
      if (!arguments_.empty()) throw UsageError("--continue has its rows: leave out --arg");
      return;
    }
    if (!refused_.empty()) throw UsageError("--refused goes with --continue");
    if (acc_.empty()) throw UsageError("identify needs --acc, or --continue");
    const int forms = int{!multiplier_.empty()} + int{!scale_.empty()} + int{!input_scale_.empty()};
    if (forms != 1) {
      throw UsageError(
          "identify needs one of --multiplier with --shift, --scale, or --input-scale with "
          "--weight-scale and --output-scale");
    }
    if (multiplier_.empty() != shift_.empty()) {
      throw UsageError("--multiplier and --shift go together");
    }
    if (input_scale_.empty() != weight_scale_.empty() ||
        input_scale_.empty() != output_scale_.empty()) {
      throw UsageError("--input-scale, --weight-scale and --output-scale go together");
    }
  }

  std::vector<std::pair<std::string, std::string>> named_columns() const {
    std::vector<std::pair<std::string, std::string>> columns;
    for (const std::string& argument : arguments_) {
      const size_t equals = argument.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw UsageError(fmt::format("--arg \"{}\": expected NAME=VALUES", printable(argument)));
      }
      columns.emplace_back(argument.substr(0, equals), argument.substr(equals + 1));
    }
    return columns;
  }

  IdentifyState read_rows() const {
    RowValues values(RowValues::Literals::allowed);
    for (const std::string* text :
         {&acc_, &multiplier_, &shift_, &scale_, &input_scale_, &weight_scale_, &output_scale_,
          &zero_point_, &clamp_min_, &clamp_max_, &out_}) {
      values.read(*text);
    }
    for (const auto& [name, text] : named_columns()) values.read(text);
    const auto rows = static_cast<size_t>(values.rows());
    const auto repeated = [&](auto column) {
      if (column.size() == 1) column.resize(rows, column.front());
      return column;
    };
    const auto integers = [&](const std::string& text) {
      if (text.empty()) return std::vector<int64_t>{};
      return repeated(integer_values(values.at(text), text));
    };
    const auto reals = [&](const std::string& text) {
      if (text.empty()) return std::vector<float>{};
      return repeated(as_reals(values.at(text)));
    };
    IdentifyState state;
    state.op = op_;
    IdentifyRows& r = state.rows;
    r.acc = integers(acc_);
    r.multiplier = integers(multiplier_);
    r.shift = integers(shift_);
    r.shift_is_left = shift_sign_ == "left";
    suspect_shift_sign(r);
    r.scale = reals(scale_);
    r.input_scale = reals(input_scale_);
    r.weight_scale = reals(weight_scale_);
    r.output_scale = reals(output_scale_);
    r.zero_point = integers(zero_point_);
    r.clamp_min = integers(clamp_min_);
    r.clamp_max = integers(clamp_max_);
    for (const auto& [name, text] : named_columns()) {
      const Tensor& column = values.at(text);
      if (column.dtype() == DType::float32) {
        r.reals[name] = reals(text);
      } else {
        r.integers[name] = integers(text);
      }
    }
    for (const int64_t code : integers(out_)) r.out.push_back(code);
    r.output = output_type(values.at(out_));
    return state;
  }

  /// Numbers without a point are reals too where a column of reals is wanted.
  static std::vector<float> as_reals(const Tensor& values) {
    if (values.dtype() == DType::float32) return real_values(values, "");
    std::vector<float> list;
    for (const int64_t value : integer_values(values, ""))
      list.push_back(static_cast<float>(value));
    return list;
  }

  sim::IntType output_type(const Tensor& out) const {
    if (!out_type_.empty()) {
      const auto type = sim::int_type_from_string(out_type_);
      if (type) return *type;
      throw UsageError(
          fmt::format("--out-type \"{}\": expected int8, uint8, int16, …", printable(out_type_)));
    }
    if (!std::filesystem::exists(out_)) return {8, true};
    return sim::full_range(out.dtype());
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
    print_result(result, "rows");
    if (folder) {
      print(
          fmt::format("\n{} rows to run on the device next are in {}: acc.npy, ...; then\n"
                      "  facsim identify --continue {}/state.json --out ANSWERS.npy\n",
                      next.size(), printable(*folder), printable(*folder)));
    } else if (classes > 1 && suggest_ == 0) {
      print("\n--suggest-vectors N -o FOLDER writes the rows that decide\n");
    }
    if (classes == 1 && state.suggested > 0) {
      print(fmt::format("\ndecided after {} suggested rows in {} rounds\n", state.suggested,
                        state.round));
    }
  }

  /// Says that the shifts look like TFLite's exponents: as right shifts, most rows would multiply
  /// an accumulator by more than 2^8, which sends nearly every code to a clamp.
  void suspect_shift_sign(const IdentifyRows& rows) const {
    if (!shift_sign_.empty() || rows.shift.empty() || rows.shift.size() != rows.multiplier.size()) {
      return;
    }
    size_t large = 0;
    for (size_t i = 0; i < rows.shift.size(); ++i) {
      const double log2 = std::log2(std::abs(static_cast<double>(rows.multiplier[i]))) -
                          static_cast<double>(rows.shift[i]);
      large += log2 > 8 ? 1 : 0;
    }
    if (2 * large <= rows.shift.size()) return;
    note(
        fmt::format("{} of {} rows multiply by more than 256 as multiplier * 2^-shift; exponents "
                    "of TFLite and CMSIS-NN are read with --shift-sign left",
                    large, rows.shift.size()));
  }

  void emit(const IdentifyResult& result, const Globals& globals) const {
    if (result.classes.size() != 1) {
      throw Error(
          {ErrorCode::unsupported, emit_, fmt::format("{} classes are left", result.classes.size()),
           "one: only then there is one profile to write", "--suggest-vectors N -o FOLDER"});
    }
    const IdentifyCandidate& best = result.candidates[result.classes.front().best];
    backends::write_identified_profile(
        emit_, best, globals.search(),
        fmt::format("{} recorded values reproduced", with_commas(result.rows)));
    note(fmt::format("{} written: {} {}", printable(emit_), printable(best.profile),
                     printable(settings_text(best))));
  }

  std::string acc_, multiplier_, shift_, shift_sign_, scale_, input_scale_, weight_scale_,
      output_scale_, zero_point_, clamp_min_, clamp_max_, out_, out_type_, op_, space_, output_,
      state_, emit_, knobs_;
  std::vector<std::string> arguments_;
  std::vector<std::string> cases_, refused_;
  std::string suite_;
  int suggest_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_identify_command() { return std::make_unique<IdentifyCommand>(); }

}  // namespace facsim::cli
