// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/provenance.h"
#include "backends/parity/compare.h"
#include "sim/core/error.h"
#include "tools/facsim/command.h"
#include "tools/facsim/compare_network.h"
#include "tools/facsim/comparison_output.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

using backends::ComparisonReport;

/// Arrays of a file, read one at a time: two big archives need not be in memory as a whole.
class ArrayFile {
 public:
  explicit ArrayFile(const std::filesystem::path& file) : file_(file) {
    if (file.extension() == ".npz") {
      npz_.emplace(file);
      names_ = npz_->names();
    } else {
      names_ = {file.stem().string()};
    }
  }
  bool is_single() const { return !npz_; }
  const std::vector<std::string>& names() const { return names_; }
  std::optional<backends::Provenance> provenance() const {
    return npz_ ? backends::provenance_from_comment(npz_->comment()) : std::nullopt;
  }
  Tensor read(const std::string& name) const {
    return npz_ ? npz_->read(name) : backends::read_npy(file_);
  }

 private:
  std::filesystem::path file_;
  std::optional<backends::NpzFile> npz_;
  std::vector<std::string> names_;
};

/// What the runs that wrote two files had not in common: the first thing to know when they differ.
std::vector<std::string> differing_runs(const std::optional<backends::Provenance>& a,
                                        const std::optional<backends::Provenance>& b) {
  std::vector<std::string> out;
  if (!a || !b) return out;
  if (a->inputs != b->inputs) {
    out.push_back(fmt::format("inputs differ: {} and {}", a->inputs, b->inputs));
  }
  if (a->network != b->network) {
    out.push_back(fmt::format("networks differ: {} and {}", a->network, b->network));
  }
  if (a->profile_fingerprint != b->profile_fingerprint) {
    out.push_back(fmt::format("profiles differ: {} ({}) and {} ({})", a->profile,
                              a->profile_fingerprint, b->profile, b->profile_fingerprint));
  }
  return out;
}

/// Two files by array name; an .npy stands for the only array of the other side.
ComparisonReport compare_files(const ArrayFile& got, const ArrayFile& expected,
                               int first_mismatches) {
  const bool unnamed = got.names().size() == 1 && expected.names().size() == 1 &&
                       (got.is_single() || expected.is_single());
  const std::set<std::string> expected_names(expected.names().begin(), expected.names().end());
  std::set<std::string> seen;
  ComparisonReport report;
  for (const std::string& name : got.names()) {
    throw_if_interrupted();
    const std::string other = unnamed ? expected.names()[0] : name;
    backends::NamedTensors a = {{other, got.read(name)}}, b;
    if (expected_names.contains(other)) b.emplace_back(other, expected.read(other));
    seen.insert(other);
    ComparisonReport one = backends::compare(a, b, first_mismatches);
    std::move(one.tensors.begin(), one.tensors.end(), std::back_inserter(report.tensors));
    std::move(one.structure.begin(), one.structure.end(), std::back_inserter(report.structure));
  }
  for (const std::string& name : expected.names()) {
    if (seen.contains(name)) continue;
    ComparisonReport one = backends::compare({}, {{name, expected.read(name)}}, 0);
    report.structure.push_back(one.structure.front());
  }
  return report;
}

class CompareCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("A", files_[0], "what you have: .npz or .npy");
    app.add_option("B", files_[1], "what it should be: .npz or .npy");
    model_.add_to(app, "--model", "run this network instead of reading A");
    app.add_option("--inputs", inputs_, "its inputs: .npz or .npy");
    app.add_option("--golden", golden_, "what its tensors should be: .npz");
    app.add_option("--fail-on", fail_on_, "any, lsb:N, rate:P (0..1), argmax or never");
    app.add_option("--first", first_, "mismatches to show per tensor")
        ->check(CLI::Range(0, 1000000));
    app.footer(
        "Examples:\n"
        "  facsim compare out.npz golden.npz\n"
        "  facsim compare out.npy golden.npy --fail-on lsb:1\n"
        "  facsim compare --model net.json --profile xnnpack-x86 --inputs x.npz --golden "
        "device.npz");
  }

  ExitCode run(const Globals& globals) override {
    const backends::Tolerance tolerance = parse_tolerance();
    NetworkComparison result;
    std::vector<std::string> differing;
    if (model_.given()) {
      if (!files_[0].empty()) throw UsageError("compare takes A and B, or --model, not both");
      if (inputs_.empty() || golden_.empty()) {
        throw UsageError("compare --model needs --inputs and --golden");
      }
      const DeployedNetwork network(model_, globals);
      const std::vector<Tensor> inputs = network.inputs(read_arrays(inputs_), inputs_);
      differing = differing_runs(network.provenance(inputs), ArrayFile(golden_).provenance());
      result = compare_network(network, inputs, backends::read_npz(golden_), first_, globals);
    } else {
      if (files_[0].empty() || files_[1].empty())
        throw UsageError("compare needs two files A and B");
      const ArrayFile got(files_[0]), expected(files_[1]);
      differing = differing_runs(got.provenance(), expected.provenance());
      result.report = compare_files(got, expected, first_);
    }
    refuse_nothing(result.report);
    for (const std::string& text : differing) note(printable(text));
    const bool accepted = backends::accepts(tolerance, result.report);
    if (globals.format == OutputFormat::json) {
      nlohmann::ordered_json json = report_json(result, accepted);
      if (!differing.empty()) json["runs_differ"] = differing;
      print_json(json);
    } else {
      print_report(result, accepted, globals.color_stdout);
    }
    return accepted ? ExitCode::equal : ExitCode::different;
  }

 private:
  backends::Tolerance parse_tolerance() const {
    try {
      return backends::tolerance_from_string(fail_on_);
    } catch (const Error& error) {
      throw UsageError(fmt::format("--fail-on: {}", error.what()));
    }
  }

  /// "0 of 0 differ" would look like success.
  static void refuse_nothing(const ComparisonReport& report) {
    if (report.compared() > 0) return;
    std::vector<ErrorInfo> infos;
    for (const auto& difference : report.structure) {
      infos.push_back({ErrorCode::shape_mismatch, "", to_string(difference), "", ""});
    }
    infos.push_back({ErrorCode::shape_mismatch, "compare", "no value to compare",
                     "a tensor of the same name, shape and dtype on both sides", ""});
    throw Error(std::move(infos));
  }

  std::array<std::string, 2> files_;
  ModelFile model_;
  std::string inputs_, golden_, fail_on_ = "any";
  int first_ = 5;
};

}  // namespace

std::unique_ptr<Command> make_compare_command() { return std::make_unique<CompareCommand>(); }

}  // namespace facsim::cli
