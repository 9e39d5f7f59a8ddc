// SPDX-License-Identifier: Apache-2.0
// The dialogue with a device: rows in, candidates out, the rows that decide, a profile file.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backends/io/npy.h"
#include "backends/parity/identify.h"
#include "backends/profile/profile.h"
#include "tests/tools/identify_issue.h"
#include "tests/tools/printed_schema.h"

namespace facsim::test {

namespace {

/// Words of lines whose numbers grow with every profile that is shipped.
constexpr const char* kCounting[] = {"settings tried",      "directed",         "more (",
                                     "settings contradict", "tried as shipped", "excluded:"};

bool has_value(const nlohmann::json& result, const std::string& pointer, const nlohmann::json& v) {
  for (const auto& undecided : result.at("undecided")) {
    if (undecided.at("pointer") != pointer) continue;
    for (const auto& value : undecided.at("values")) {
      if (value.at("value") == v) return true;
    }
  }
  return false;
}

/// Equal apart from spaces; and from counts, where they grow with every profile that is shipped.
std::string comparable(const std::string& line) {
  const size_t first = line.find_first_not_of(' ');
  const bool is_class = first != std::string::npos && first > 0 && isdigit(line[first]) != 0;
  const bool has_counts =
      is_class || std::any_of(std::begin(kCounting), std::end(kCounting), [&](const char* word) {
        return line.find(word) != std::string::npos;
      });
  std::string text;
  for (const char c : line) {
    const bool is_count = has_counts && ((c >= '0' && c <= '9') || c == ',');
    const char shown = is_count ? '#' : c;
    const bool repeats = !text.empty() && text.back() == shown;
    if (repeats && (shown == ' ' || is_count)) continue;
    text += shown;
  }
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

bool is_shown_as(const std::string& printed, std::string wanted) {
  constexpr std::string_view kCut = " ...";
  const bool is_cut = wanted.ends_with(kCut) && !wanted.starts_with("...");
  if (is_cut) wanted.resize(wanted.size() - kCut.size());
  const std::string text = comparable(wanted);
  return is_cut ? printed.starts_with(text) : printed == text;
}

struct DocumentedCommand {
  std::vector<std::string> words;  ///< after "facsim"
  std::vector<std::string> lines;
};

/// "$ facsim ..." in the code blocks of docs/identify.md, and what follows.
std::vector<DocumentedCommand> documented_commands() {
  std::ifstream file(FACSIM_SOURCE_DIR "/docs/identify.md");
  REQUIRE(file.good());
  std::vector<DocumentedCommand> commands;
  bool in_block = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) {
      in_block = !in_block;
    } else if (in_block && line.starts_with("$ facsim ")) {
      while (line.ends_with("\\")) {
        std::string more;
        std::getline(file, more);
        line = line.substr(0, line.size() - 1) + more;
      }
      DocumentedCommand command;
      std::istringstream words(line.substr(9));
      for (std::string word; words >> word;) command.words.push_back(word);
      commands.push_back(std::move(command));
    } else if (in_block && !commands.empty() && line != "" && !line.starts_with("facsim ")) {
      commands.back().lines.push_back(line);
    }
  }
  REQUIRE(commands.size() >= 5);
  return commands;
}

CommandResult run_in(const TempFolder& folder, const std::vector<std::string>& words) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder / ".");
  CommandResult result = run_command(words);
  std::filesystem::current_path(before);
  return result;
}

}  // namespace

TEST_CASE("facsim identify: one sample leaves float32 scales, truncation and 16 bits possible") {
  const CommandResult result = identify_issue({"--out", "-120", "--format", "json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("rows") == 1);
  CHECK(names_profile(json.at("candidates"), "xnnpack-x86"));         // float32 scale, half_even
  CHECK_FALSE(names_profile(json.at("candidates"), "tflite-micro"));  // -119
  CHECK_FALSE(names_profile(json.at("candidates"), "tflite-single-rounding"));
  CHECK(has_value(json, "/requantize/domain", "float32"));
  CHECK(has_value(json, "/requantize/rounding", "floor"));
  CHECK(has_value(json, "/requantize/multiplier/bits", 16));
  CHECK(json.at("classes").size() > 10);
  // What TFLite's rules give is found as well.
  const CommandResult other = identify_issue({"--out", "-119", "--format", "json"});
  CHECK(names_profile(nlohmann::json::parse(other.out).at("candidates"), "tflite-micro"));
}

TEST_CASE(
    "facsim identify: suggested rows, answered by a profile, decide; the profile is written") {
  const TempFolder folder;
  std::string next = (folder / "next0").string();
  CommandResult result =
      identify_issue({"--out", "-120", "--suggest-vectors", "4", "-o", next, "--format", "json"});
  int64_t suggested = 0;
  const std::string emitted = (folder / "found-chip.json").string();
  for (int round = 1;; ++round) {
    CAPTURE(round);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(schema_findings("identify", result.out) == "");
    const auto json = nlohmann::json::parse(result.out);
    CHECK(names_profile(json.at("candidates"), "xnnpack-x86"));
    if (!json.contains("suggested")) {
      CHECK(json.at("classes").size() == 1);
      break;
    }
    suggested = json.at("suggested").at("all_rounds");
    REQUIRE(suggested <= 16);
    // The device: XNNPACK's rule, float32(acc) * float32 scale, clamp, ties to even, zero point.
    const auto column = [&](const char* name) {
      return backends::read_npy(std::filesystem::path(next) / (std::string(name) + ".npy"));
    };
    const Tensor acc = column("acc"), in = column("input_scale"), weight = column("weight_scale"),
                 out = column("output_scale"), zero_point = column("zero_point");
    std::vector<int64_t> answers;
    for (int64_t i = 0; i < acc.numel(); ++i) {
      const float scale = in.data<float>()[i] * weight.data<float>()[i] / out.data<float>()[i];
      const auto zero = static_cast<float>(zero_point.int_at(i));
      const float scaled =
          std::clamp(static_cast<float>(acc.int_at(i)) * scale, -128.0f - zero, 127.0f - zero);
      answers.push_back(std::lrintf(scaled) + zero_point.int_at(i));
    }
    const std::string file = (folder / "answers.npy").string();
    backends::write_npy(file, Tensor::from<int64_t>({acc.numel()}, answers));
    const std::string state = next + "/state.json";
    next = (folder / ("next" + std::to_string(round))).string();
    result = run_command({"identify", "--continue", state, "--out", file, "--suggest-vectors", "4",
                          "-o", next, "--format", "json", "--emit", emitted});
    const auto answer = nlohmann::json::parse(result.out);
    const bool is_decided = answer.at("classes").size() == 1;
    CHECK(answer.at("emitted").at("file").is_null() != is_decided);
    CHECK(std::filesystem::exists(emitted) == is_decided);
    CHECK(std::filesystem::exists(next) != is_decided);  // the next rows are written all the same
  }
  CHECK(suggested >= 4);
  REQUIRE(std::filesystem::exists(emitted));
  CHECK(run_command({"profile", "lint", emitted}).exit_code == 0);
}

TEST_CASE("facsim identify: multipliers and shifts; nothing fits exits 1 and shows the nearest") {
  const std::vector<std::string> rows = {"identify",     "--acc",        "7,100,-100,-7",
                                         "--multiplier", "1073774592",   "--shift",
                                         "34",           "--zero-point", "0"};
  std::vector<std::string> fits = rows;  // 7 * 0.0625: two roundings give 1, and -1
  fits.insert(fits.end(), {"--out", "1,6,-6,-1", "--format", "json"});
  const CommandResult found = run_command(fits);
  CAPTURE(found.err);
  REQUIRE(found.exit_code == 0);
  const auto candidates = nlohmann::json::parse(found.out).at("candidates");
  CHECK(names_profile(candidates, "tflite-micro"));
  CHECK_FALSE(names_profile(candidates, "tflite-single-rounding"));
  std::vector<std::string> wrong = rows;
  wrong.insert(wrong.end(), {"--out", "1,90,-6,33", "--format", "json"});
  const CommandResult none = run_command(wrong);
  CHECK(none.exit_code == 1);
  const auto json = nlohmann::json::parse(none.out);
  CHECK(json.at("candidates").empty());
  REQUIRE_FALSE(json.at("nearest").empty());
  CHECK(json.at("nearest")[0].at("explained") == 2);
  // Profiles that need a real scale are named with their reason, never dropped silently.
  CHECK_FALSE(json.at("cannot_run").empty());
  CHECK(json.at("cannot_run")[0].at("reason") != "");
}

TEST_CASE("facsim identify: a space file replaces or extends what is tried") {
  const TempFolder folder;
  const std::string file = (folder / "space.json").string();
  std::ofstream(file) << R"({"replace": true, "profiles": false, "blocks": [
    {"base": "onednn", "set": {"/tensors/bias": {"kind": "integer"}, "/requantize/domain": "float32",
     "/requantize/float/bias_add": "after_scale"},
     "cross": {"/requantize/rounding": ["half_even", "floor", "half_up"]}}]})";
  const CommandResult result =
      identify_issue({"--out", "-120", "--space", file, "--format", "json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("settings_tried") == 3);
  CHECK(json.at("candidates").size() == 2);  // half_even and floor: half_up gives -119
  std::ofstream(file) << R"({"/requantize/rounding": "floor"})";
  const CommandResult bad = identify_issue({"--out", "-120", "--space", file});
  CHECK(bad.exit_code == 3);
  CHECK(bad.err.find("no list of values") != std::string::npos);
}

TEST_CASE("facsim identify: layers of a suite, suggested layers answered, refused ones named") {
  const TempFolder folder;
  const std::string suite = (folder / "suite").string();
  REQUIRE(run_command({"vectors", "gen", "--profile", "xnnpack-x86", "--op", "mul", "--count", "1",
                       "--out", suite, "--no-separate"})
              .exit_code == 0);
  std::string next = (folder / "next0").string();
  CommandResult result =
      run_command({"identify", "--suite", suite, "--case", "xnnpack_x86_mul_random_0",
                   "--suggest-vectors", "6", "-o", next, "--format", "json"});
  for (int round = 1;; ++round) {
    CAPTURE(round);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    CHECK(schema_findings("identify", result.out) == "");
    const auto json = nlohmann::json::parse(result.out);
    CHECK(names_profile(json.at("candidates"), "xnnpack-x86"));
    CHECK(fits_as_shipped(json, "xnnpack-x86"));
    for (const auto& excluded : json.at("shipped").at("excluded")) {
      CHECK(excluded.at("layer") != "");
      CHECK(excluded.at("index").size() == 4);
      CHECK(excluded.at("expected") != excluded.at("computed"));
    }
    if (!json.contains("suggested")) {
      CHECK(json.at("classes").size() == 1);
      CHECK(json.at("shipped").at("excluded").size() >= 5);
      break;
    }
    REQUIRE(json.at("suggested").at("all_rounds") <= 16);
    // A suite without outputs is none that `vectors check` takes.
    CHECK(run_command({"vectors", "check", next}).exit_code == 3);
    // The device: each network by XNNPACK's rules.
    const auto manifest =
        nlohmann::json::parse(std::ifstream(std::filesystem::path(next) / "manifest.json"));
    backends::NamedTensors answers;
    for (const auto& c : manifest.at("cases")) {
      backends::NamedTensors inputs;
      const backends::NpzFile npz(std::filesystem::path(next) / c.at("npz").get<std::string>());
      for (const char* role : {"input1", "input2"}) {
        inputs.emplace_back(role, npz.read(c.at("arrays").at(role).at("key").get<std::string>()));
      }
      const std::string in = (folder / "in.npz").string(), out = (folder / "out.npz").string();
      backends::write_npz(in, inputs);
      const std::string network =
          (std::filesystem::path(next) / c.at("files").at("model").get<std::string>()).string();
      const CommandResult run = run_command(
          {"run", "--model", network, "--profile", "xnnpack-x86", "--inputs", in, "-o", out});
      CAPTURE(run.err);
      REQUIRE(run.exit_code == 0);
      answers.emplace_back(c.at("name"), backends::read_npz(out).front().second);
    }
    const std::string file = (folder / "answers.npz").string();
    const std::string state = next + "/state.json";
    if (round == 1) {  // broken answers are refused with their place
      backends::NamedTensors some(answers.begin() + 1, answers.end());
      backends::write_npz(file, some);
      const CommandResult less = run_command({"identify", "--continue", state, "--out", file});
      CHECK(less.exit_code == 3);
      CHECK(less.err.find(answers.front().first) != std::string::npos);
      CHECK(run_command({"identify", "--continue", state, "--out", file, "--refused", "nothing"})
                .exit_code == 3);
    }
    backends::write_npz(file, answers);
    const std::string after = (folder / ("next" + std::to_string(round))).string();
    result = run_command({"identify", "--continue", state, "--out", file, "--suggest-vectors", "6",
                          "-o", after, "--format", "json"});
    next = after;
  }
  // What was answered is a suite of its own.
  const std::filesystem::path answered = std::filesystem::path(folder / "next1") / "answered";
  if (std::filesystem::exists(answered)) {
    CHECK(run_command({"vectors", "check", answered.string(), "--profile", "xnnpack-x86"})
              .exit_code == 0);
  }
  CHECK(run_command({"identify", "--suite", suite, "--case", "absent"}).exit_code == 3);
  CHECK(run_command({"identify", "--suite", suite, "--out", "1"}).exit_code == 2);
  CHECK(run_command({"identify", "--suite", suite, "--suggest-vectors", "17", "-o", next + "x"})
            .exit_code == 2);
  CHECK(run_command({"identify", "--acc", "1", "--scale", "1", "--out", "1", "--case", "a"})
            .exit_code == 2);
}

TEST_CASE("facsim identify: zero points folded into offsets are derived for each row") {
  // NVDLA's converter: (acc + zero_point / real) * real, half away from zero: (-11 + 14) / 2 is 2,
  // where -11 / 2 + 7 is 1; (3 - 8) / 2 is -3, where 3 / 2 - 4 is -2.
  const CommandResult result =
      run_command({"identify", "--acc", "10,-11,3", "--multiplier", "16384", "--shift", "15",
                   "--zero-point", "7,7,-4", "--out", "12,2,-3", "--format", "json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto candidates = nlohmann::json::parse(result.out).at("candidates");
  CHECK(names_profile(candidates, "nvdla"));
  CHECK_FALSE(names_profile(candidates, "tflite-micro"));
  const CommandResult clash = run_command({"identify", "--acc", "1", "--scale", "0.5", "--arg",
                                           "a.b=1", "--arg", "a_b=1", "--out", "1"});
  CHECK(clash.exit_code == 3);
  CHECK(clash.err.find("a_b.npy is also the file of") != std::string::npos);
}

TEST_CASE("facsim identify: docs/identify.md shows what is printed") {
  const TempFolder folder;
  for (const DocumentedCommand& command : documented_commands()) {
    CAPTURE(command.words.front());
    const CommandResult result = run_in(folder, command.words);
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    std::istringstream printed(result.out);
    std::vector<std::string> lines;
    for (std::string line; std::getline(printed, line);) lines.push_back(comparable(line));
    size_t at = 0;
    bool may_skip = false;
    for (const std::string& wanted : command.lines) {
      if (wanted == "...") {
        may_skip = true;
        continue;
      }
      size_t found = at;
      while (found < lines.size() && !is_shown_as(lines[found], wanted)) ++found;
      CHECK_MESSAGE((found < lines.size() && (may_skip || found == at)), "not printed: " << wanted);
      if (found == lines.size()) break;
      at = found + 1;
      may_skip = false;
    }
    CHECK((may_skip || at == lines.size()));
  }
}

TEST_CASE("facsim identify: shifts that look like exponents of TFLite are said") {
  // 100 * 0.5 * 2^-7 by TFLite's convention; as a right shift by -7 it would be 100 * 2^37.
  const std::vector<std::string> rows = {
      "identify", "--acc", "100", "--multiplier", "1073741824", "--shift", "-7", "--op",
      "conv2d",   "--out", "0",   "--zero-point", "0"};
  CHECK(run_command(rows).err.find("--shift-sign left") != std::string::npos);
  std::vector<std::string> said = rows;
  said.insert(said.end(), {"--shift-sign", "left"});
  CHECK(run_command(said).err.find("--shift-sign left") == std::string::npos);
}

TEST_CASE("facsim identify: an emitted profile may have findings in ops that were not recorded") {
  const TempFolder folder;
  backends::IdentifyCandidate candidate;
  candidate.profile = "cmsis-nn";
  candidate.settings = {{"/accumulator/bits", "20"}};  // int16x8 needs more
  const auto file = folder / "narrow-chip.json";
  const auto findings = backends::write_identified_profile(
      file, candidate, backends::ProfileSearch::standard(), "a test");
  CHECK(std::any_of(findings.begin(), findings.end(), [](const auto& f) { return f.is_error; }));
  const auto written = backends::load_profile(file.string(), backends::ProfileSearch::standard());
  CHECK(written.rules("conv2d").accumulator.bits == 20);
}

TEST_CASE("facsim identify: rows that are no numbers are refused with their row") {
  const TempFolder folder;
  const std::string scales = (folder / "scales.npy").string();
  for (const float bad : {std::nanf(""), INFINITY, 0.0f, -0.01f, 1e-40f}) {
    CAPTURE(bad);
    backends::write_npy(scales, Tensor::from<float>({3}, std::vector<float>{0.5f, bad, 0.25f}));
    const CommandResult result =
        run_command({"identify", "--acc", "1,2,3", "--scale", scales, "--out", "1,2,3"});
    CHECK(result.exit_code == 3);
    CHECK(result.err.find("column scale, row 1: ") != std::string::npos);
  }
  const CommandResult clamps =
      identify_issue({"--out", "3", "--clamp-min", "5", "--clamp-max", "1"});
  CHECK(clamps.exit_code == 3);
  CHECK(clamps.err.find("at most clamp_max, 1") != std::string::npos);
}

TEST_CASE("facsim identify: usage errors exit 2, broken files exit 3") {
  const TempFolder folder;
  CHECK(run_command({"identify"}).exit_code == 2);
  CHECK(run_command({"identify", "--acc", "1", "--out", "1"}).exit_code == 2);
  CHECK(run_command({"identify", "--acc", "1", "--scale", "0.5"}).exit_code == 2);
  CHECK(run_command({"identify", "--acc", "1", "--multiplier", "3", "--out", "1"}).exit_code == 2);
  CHECK(identify_issue({"--out", "-120", "--profile", "nvdla"}).exit_code == 2);
  CHECK(identify_issue({"--out", "-120", "--suggest-vectors", "4"}).exit_code == 2);
  CHECK(identify_issue({"--out", "-120,3,4", "--acc", "1,2"}).exit_code != 0);
  CHECK(identify_issue({"--out", (folder / "absent.npy").string()}).exit_code == 3);
  CHECK(identify_issue({"--out", "-120", "--emit", (folder / "X.json").string()}).exit_code == 3);
  const std::string state = (folder / "state.json").string();
  std::ofstream(state) << R"({"format": "facsim-identify-1", "op": "", "round": -1})";
  const CommandResult broken = run_command({"identify", "--continue", state, "--out", "1"});
  CHECK(broken.exit_code == 3);
  CHECK(broken.err.find("/round") != std::string::npos);
}

}  // namespace facsim::test
