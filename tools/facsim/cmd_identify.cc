// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/parity/identify.h"
#include "backends/parity/vectors_gen.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/progress.h"
#include "tools/facsim/row_values.h"

namespace facsim::cli {

namespace {

using backends::IdentifyCandidate;
using backends::IdentifyClass;
using backends::IdentifyResult;
using backends::IdentifyRows;
using backends::IdentifyState;
using Json = nlohmann::ordered_json;

/// Candidates of a list that the table shows; JSON has all.
constexpr size_t kShownCandidates = 12;

/// The value of a setting: JSON, or a bare word.
Json setting_json(const std::string& text) {
  Json value = Json::parse(text, nullptr, false);
  return value.is_discarded() ? Json(text) : value;
}

Json candidate_json(const IdentifyCandidate& candidate) {
  Json json = {{"profile", candidate.profile}, {"ops", candidate.ops}};
  if (!candidate.evidence.empty()) json["evidence"] = candidate.evidence;
  json["settings"] = Json::object();
  for (const backends::ProfileOverride& setting : candidate.settings) {
    json["settings"][setting.pointer] = setting_json(setting.value);
  }
  return json;
}

std::string settings_text(const IdentifyCandidate& candidate) {
  std::string text;
  for (const backends::ProfileOverride& setting : candidate.settings) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", setting.pointer, setting.value);
  }
  return text.empty() ? "as shipped" : text;
}

std::string basis_text(const IdentifyClass& c) {
  if (c.programs == 1) return "proved: one program";
  return fmt::format("{} programs, not separated by {} directed vectors", c.programs,
                     with_commas(c.vectors));
}

Json to_json(const IdentifyResult& result) {
  Json json = {{"rows", result.rows},         {"settings_tried", result.tried},
               {"programs", result.programs}, {"candidates", Json::array()},
               {"undecided", Json::array()},  {"classes", Json::array()},
               {"cannot_run", Json::array()}, {"nearest", Json::array()}};
  for (const IdentifyCandidate& candidate : result.candidates) {
    Json entry = candidate_json(candidate);
    entry["equivalence_class"] = candidate.equivalence_class;
    json["candidates"].push_back(std::move(entry));
  }
  for (size_t i = 0; i < result.classes.size(); ++i) {
    const IdentifyClass& c = result.classes[i];
    json["classes"].push_back({{"equivalence_class", i},
                               {"best", candidate_json(result.candidates[c.best])},
                               {"candidates", c.members},
                               {"programs", c.programs},
                               {"proved", c.programs == 1},
                               {"directed_vectors", c.vectors},
                               {"program", c.program}});
  }
  for (const backends::IdentifyUndecided& undecided : result.undecided) {
    Json values = Json::array();
    for (const auto& value : undecided.values) {
      values.push_back({{"value", setting_json(value.value)}, {"classes", value.classes}});
    }
    json["undecided"].push_back({{"pointer", undecided.pointer}, {"values", std::move(values)}});
  }
  for (const IdentifyCandidate& candidate : result.cannot_run) {
    Json entry = candidate_json(candidate);
    entry["explained"] = candidate.explained;
    entry["refused"] = candidate.refused;
    entry["reason"] = candidate.reason;
    json["cannot_run"].push_back(std::move(entry));
  }
  for (const IdentifyCandidate& candidate : result.nearest) {
    Json entry = candidate_json(candidate);
    entry["explained"] = candidate.explained;
    entry["refused"] = candidate.refused;
    json["nearest"].push_back(std::move(entry));
  }
  return json;
}

void print_classes(const IdentifyResult& result) {
  using Align = TextTable::Align;
  TextTable table(
      {{"class", Align::right}, {"profile"}, {"settings"}, {"alike", Align::right}, {"basis"}});
  for (size_t i = 0; i < std::min(kShownCandidates, result.classes.size()); ++i) {
    const IdentifyClass& c = result.classes[i];
    const IdentifyCandidate& best = result.candidates[c.best];
    table.add_row({std::to_string(i), printable(best.profile), printable(settings_text(best)),
                   std::to_string(c.members - 1), basis_text(c)});
  }
  print(table.text());
  if (result.classes.size() > kShownCandidates) {
    print(fmt::format("... and {} classes more (--format json has all)\n",
                      result.classes.size() - kShownCandidates));
  }
}

void print_undecided(const IdentifyResult& result) {
  if (result.undecided.empty()) return;
  print("\nundecided:\n");
  for (const backends::IdentifyUndecided& undecided : result.undecided) {
    std::string values;
    for (size_t i = 0; i < std::min(kShownCandidates, undecided.values.size()); ++i) {
      values += (i > 0 ? " | " : "") + undecided.values[i].value;
    }
    if (undecided.values.size() > kShownCandidates) values += " | ...";
    print(fmt::format("  {}: {}\n", printable(undecided.pointer), printable(values)));
  }
}

void print_nearest(const IdentifyResult& result) {
  print("nothing that is known here reproduces all rows; the nearest:\n");
  using Align = TextTable::Align;
  TextTable table({{"explained", Align::right}, {"profile"}, {"settings"}});
  for (const IdentifyCandidate& candidate : result.nearest) {
    table.add_row(
        {fmt::format("{} of {}", with_commas(candidate.explained), with_commas(result.rows)),
         printable(candidate.profile), printable(settings_text(candidate))});
  }
  print(table.text());
}

void print_refusals(const IdentifyResult& result) {
  if (result.cannot_run.empty()) return;
  std::map<std::string, size_t> reasons;
  for (const IdentifyCandidate& candidate : result.cannot_run) ++reasons[candidate.reason];
  const auto most =
      std::max_element(reasons.begin(), reasons.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  print(
      fmt::format("\n{} settings contradict nothing but cannot run some or all rows: {}{}\n",
                  result.cannot_run.size(), printable(most->first),
                  reasons.size() > 1 ? fmt::format("; {} reasons more", reasons.size() - 1) : ""));
}

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
                   "numbers of suggested rows that the device refused, from 0")
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
    IdentifyState state = state_.empty() ? read_rows() : continued();
    backends::IdentifyOptions options;
    options.search = globals.search();
    options.op = state.op;
    options.seed = globals.seed;
    options.threads = globals.threads;
    options.suggest = suggest_;
    if (knobs_ == "always") options.knobs = backends::IdentifyOptions::Knobs::always;
    if (!space_.empty()) options.space = backends::read_identify_space(space_);
    if (suggest_ > 0) backends::require_new_folder(output_);
    IdentifyRows next;
    IdentifyResult result;
    {
      std::optional<ProgressBar> bar;
      options.progress = [&](int64_t done, int64_t total) {
        throw_if_interrupted();
        if (!bar) bar.emplace("identify", total, globals.progress);
        bar->update(done);
      };
      result = backends::identify_rows(state.rows, options, &next);
    }
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
  void check_usage(const Globals& globals) const {
    if (!globals.profile.empty() || !globals.overrides.empty()) {
      throw UsageError(
          "identify finds the profile: it takes no --profile and no --set; --space "
          "limits what is tried");
    }
    if ((suggest_ > 0) != !output_.empty()) {
      throw UsageError("--suggest-vectors N and -o FOLDER go together");
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
    for (const int64_t row : refused_) {
      if (row < 0) throw UsageError("--refused: rows count from 0");
      refused.insert(static_cast<size_t>(row));
    }
    backends::answer(state, integer_values(values.at(out_), out_), refused);
    return state;
  }

  std::string write_next(IdentifyState& state, const IdentifyRows& next) const {
    ++state.round;
    state.suggested += static_cast<int64_t>(next.size());
    state.pending = next;
    backends::write_identify_rows(output_, next);
    backends::write_identify_state(std::filesystem::path(output_) / "state.json", state);
    return output_;
  }

  void print_table(const IdentifyResult& result, const IdentifyState& state,
                   const IdentifyRows& next, const std::optional<std::string>& folder) const {
    const size_t classes = result.classes.size();
    print(
        fmt::format("{} rows; {} settings tried, {} distinct programs; {} settings fit in {} "
                    "class{}\n\n",
                    with_commas(result.rows), with_commas(result.tried),
                    with_commas(result.programs), with_commas(result.candidates.size()),
                    with_commas(static_cast<int64_t>(classes)), classes == 1 ? "" : "es"));
    if (classes == 0) {
      print_nearest(result);
    } else {
      print_classes(result);
    }
    print_undecided(result);
    print_refusals(result);
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

  void emit(const IdentifyResult& result, const Globals& globals) const {
    if (result.classes.size() != 1) {
      throw Error(
          {ErrorCode::unsupported, emit_, fmt::format("{} classes are left", result.classes.size()),
           "one: only then there is one profile to write", "--suggest-vectors N -o FOLDER"});
    }
    const IdentifyCandidate& best = result.candidates[result.classes.front().best];
    backends::write_identified_profile(
        emit_, best, globals.search(),
        fmt::format("{} recorded rows reproduced", with_commas(result.rows)));
    note(fmt::format("{} written: {} {}", printable(emit_), printable(best.profile),
                     printable(settings_text(best))));
  }

  std::string acc_, multiplier_, shift_, shift_sign_ = "right", scale_, input_scale_, weight_scale_,
                                         output_scale_, zero_point_, clamp_min_, clamp_max_, out_,
                                         out_type_, op_, space_, output_, state_, emit_, knobs_;
  std::vector<std::string> arguments_;
  std::vector<int64_t> refused_;
  int suggest_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_identify_command() { return std::make_unique<IdentifyCommand>(); }

}  // namespace facsim::cli
