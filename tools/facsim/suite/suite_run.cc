// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/suite/suite_run.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <set>

#include <fmt/format.h>

#include "sim/graph/executor.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/progress.h"

namespace facsim::cli {

namespace {

namespace fs = std::filesystem;
using backends::Suite;
using backends::SuiteCase;
using backends::SuiteGolden;

constexpr int64_t kBytesInMemory = int64_t{1} << 25;  // of tensors of a run at a time
constexpr int kFirstMismatches = 5;

Globals with_profile_of(const Suite& suite, const fs::path& folder, const Globals& globals) {
  Globals result = globals;
  if (!globals.profile.empty()) return result;
  result.profile = suite.profile_of(folder);
  result.overrides = suite.settings;
  result.overrides.insert(result.overrides.end(), globals.overrides.begin(),
                          globals.overrides.end());
  return result;
}

/// dims and qdq of a network that is no ONNX file are the suite's mistake, not the user's.
std::unique_ptr<DeployedNetwork> open_network(const Suite& suite, const fs::path& folder,
                                              const Globals& globals) {
  try {
    const ModelFile model(suite.network_file(folder).string(), suite.dims, suite.qdq);
    return std::make_unique<DeployedNetwork>(model, globals);
  } catch (const UsageError& error) {
    throw Error({ErrorCode::bad_value, (folder / "suite.json").string(), error.what(), "", ""});
  }
}

void require_fingerprint(const fs::path& file, const std::string& found,
                         const std::string& expected, const std::string& what,
                         const std::string& hint) {
  if (found == expected) return;
  throw Error({ErrorCode::bad_value, file.string(),
               fmt::format("{} differ: fingerprint {}", what, found), expected, hint});
}

Shape with_images(Shape shape, int64_t images) {
  shape[0] = images;
  return shape;
}

}  // namespace

std::string_view to_string(SuiteChange::What what) {
  constexpr std::string_view kWords[] = {"network", "profile", "facsim"};
  return kWords[static_cast<size_t>(what)];
}

std::string_view to_string(SuiteStatus status) {
  constexpr std::string_view kWords[] = {"passed", "failed", "unsupported", "invalid"};
  return kWords[static_cast<size_t>(status)];
}

SuiteStatus status_of(const std::vector<ErrorInfo>& errors) {
  const bool only_unsupported =
      !errors.empty() && std::all_of(errors.begin(), errors.end(), [](const ErrorInfo& info) {
        return info.code == ErrorCode::unsupported;
      });
  return only_unsupported ? SuiteStatus::unsupported : SuiteStatus::invalid;
}

namespace {

/// A tensor of some images, in the file's layout; `begin`: the first image's number.
using TakePart = std::function<void(size_t tensor, int64_t begin, const Tensor& part)>;

/// Runs the network and hands over every tensor of `names`, some images at a time: as many as fit
/// kBytesInMemory with all of their tensors, one at least.
void for_each_part(const DeployedNetwork& network, const std::vector<Tensor>& inputs,
                   const std::vector<std::string>& names, const Globals& globals,
                   const TakePart& take) {
  const sim::Graph& graph = network.executable();
  const std::set<std::string> wanted(names.begin(), names.end());
  sim::ExecutorOptions options;
  options.isa = globals.isa;
  options.threads = globals.threads;
  options.trace = true;
  options.progress = [](int64_t, int64_t) { throw_if_interrupted(); };
  const sim::Executor executor(graph, options);
  const auto bytes_per_image = static_cast<int64_t>(executor.memory(1).output_bytes);
  const int64_t at_once =
      std::max<int64_t>(1, kBytesInMemory / std::max<int64_t>(1, bytes_per_image));
  const int64_t images = inputs[0].shape()[0];
  ProgressBar bar("suite", images, globals.progress);
  for (int64_t begin = 0; begin < images; begin += at_once) {
    const int64_t count = std::min(at_once, images - begin);
    std::vector<Tensor> batch;
    for (const Tensor& input : inputs) batch.push_back(input.slice(begin, count));
    const sim::RunResult run = executor.run(std::move(batch));
    for (size_t t = 0; t < graph.tensors.size(); ++t) {
      if (!wanted.contains(graph.tensors[t].name)) continue;
      take(t, begin, network.to_file_layout(run.tensors[t]));
    }
    bar.update(begin + count);
  }
}

}  // namespace

backends::NamedTensors computed_tensors(const DeployedNetwork& network,
                                        const std::vector<Tensor>& inputs,
                                        const std::vector<std::string>& names,
                                        const Globals& globals) {
  const int64_t images = inputs[0].shape()[0];
  std::map<size_t, Tensor> tensors;  // in graph order
  for_each_part(network, inputs, names, globals,
                [&](size_t tensor, int64_t begin, const Tensor& part) {
                  Tensor& all = tensors[tensor];
                  if (begin == 0) {
                    all = Tensor::uninitialized(part.dtype(), with_images(part.shape(), images));
                  }
                  Tensor place = all.slice(begin, part.shape()[0]);
                  std::memcpy(place.raw(), part.raw(), part.bytes());
                });
  backends::NamedTensors result;
  for (auto& [tensor, all] : tensors) {
    result.emplace_back(network.executable().tensors[tensor].name, std::move(all));
  }
  return result;
}

namespace {

/// Compares a network with a golden without keeping its own tensors: backends::compare in parts.
backends::ComparisonReport compare_in_parts(const DeployedNetwork& network,
                                            const std::vector<Tensor>& inputs,
                                            const backends::NamedTensors& golden,
                                            const Globals& globals) {
  using Kind = backends::StructuralDifference::Kind;
  backends::ComparisonReport report;
  std::map<std::string, const Tensor*> expected;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : golden) {
    names.push_back(name);
    expected[name] = &tensor;
  }
  const int64_t images = inputs[0].shape()[0];
  std::map<size_t, backends::TensorComparator> comparators;  // in graph order
  std::set<std::string> seen;
  for_each_part(network, inputs, names, globals,
                [&](size_t tensor, int64_t begin, const Tensor& part) {
                  const std::string& name = network.executable().tensors[tensor].name;
                  const Tensor& theirs = *expected[name];
                  if (begin == 0) {
                    seen.insert(name);
                    const Shape shape = with_images(part.shape(), images);
                    if (auto difference = backends::compare_structure(
                            name, part.dtype(), shape, theirs.dtype(), theirs.shape())) {
                      report.structure.push_back(std::move(*difference));
                      return;
                    }
                    comparators.try_emplace(tensor, name, part.dtype(), shape, kFirstMismatches);
                  }
                  const auto found = comparators.find(tensor);
                  if (found == comparators.end()) return;
                  found->second.add(part, theirs.slice(begin, part.shape()[0]));
                });
  for (const auto& [tensor, comparator] : comparators) {
    report.tensors.push_back(comparator.result());
  }
  for (const auto& [name, tensor] : golden) {
    if (seen.contains(name)) continue;
    report.structure.push_back(
        {name, Kind::missing_in_got, "",
         fmt::format("{} {}", to_string(tensor.dtype()), to_string(tensor.shape()))});
  }
  return report;
}

}  // namespace

OpenSuite::OpenSuite(fs::path folder, const Globals& globals)
    : folder_(std::move(folder)),
      suite_(backends::read_suite(folder_)),
      own_profile_(globals.profile.empty() && globals.overrides.empty()) {
  globals_ = with_profile_of(suite_, folder_, globals);
  network_ = open_network(suite_, folder_, globals_);
  network_fingerprint_ = backends::fingerprint(network_->graph());
}

std::string OpenSuite::resolved_profile() const {
  return backends::resolved_profile_json(globals_.profile, globals_.search(), globals_.overrides);
}

std::vector<SuiteChange> OpenSuite::changes_since(const SuiteGolden& golden) const {
  using What = SuiteChange::What;
  std::vector<SuiteChange> changes;
  const std::string& profile = network_->profile().fingerprint;
  if (golden.profile != profile) {
    SuiteChange change{What::profile, golden.profile, profile, {}};
    const fs::path snapshot = backends::suite_profile_file(folder_, golden.profile);
    std::error_code absent;
    if (fs::exists(snapshot, absent)) {
      change.settings =
          backends::changed_settings(backends::read_file(snapshot), resolved_profile());
    }
    changes.push_back(std::move(change));
  }
  if (golden.network != network_fingerprint_) {
    changes.push_back({What::network, golden.network, network_fingerprint_, {}});
  }
  if (golden.facsim != FACSIM_VERSION) {
    changes.push_back({What::facsim, golden.facsim, FACSIM_VERSION, {}});
  }
  return changes;
}

void OpenSuite::compare(const SuiteCase& c, SuiteCaseRun& result) const {
  const backends::NamedTensors arrays = backends::read_npz(result.inputs_file);
  require_fingerprint(result.inputs_file, backends::fingerprint(arrays), c.inputs_fingerprint,
                      "inputs",
                      "the golden belongs to other inputs: restore them, or make another suite");
  backends::NamedTensors golden = backends::read_npz(result.golden_file);
  require_fingerprint(result.golden_file, backends::fingerprint(golden), c.golden.fingerprint,
                      "golden outputs", "only facsim suite approve changes a golden");
  result.changes = changes_since(c.golden);
  const std::vector<Tensor> inputs = network_->inputs(arrays, result.inputs_file.string());
  result.provenance = network_->provenance(inputs);
  result.report = compare_in_parts(*network_, inputs, golden, globals_);
  result.status = result.report.equal() ? SuiteStatus::passed : SuiteStatus::failed;
  result.layers = LayerNames(network_->executable());
  if (result.status == SuiteStatus::passed) return;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : golden) names.push_back(name);
  golden.clear();  // the two are never in memory together
  result.received = computed_tensors(*network_, inputs, names, globals_);
}

SuiteCaseRun OpenSuite::run(const SuiteCase& c) const {
  SuiteCaseRun result;
  result.name = c.name;
  result.inputs_file = backends::suite_inputs_file(folder_, c);
  result.golden_file = backends::suite_golden_file(folder_, c);
  const auto start = std::chrono::steady_clock::now();
  try {
    compare(c, result);
  } catch (const Error& error) {
    result.errors = error.infos();
    result.status = status_of(result.errors);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  result.seconds = seconds.count();
  return result;
}

namespace {

/// received.npz is for a person to look at and for `suite approve`: a folder that cannot be written
/// to (a read-only checkout) does not change the result of the run.
void leave_received(const OpenSuite& open, const SuiteCase& c, SuiteCaseRun& result) {
  const fs::path file = backends::suite_received_file(open.folder(), c);
  if (result.status == SuiteStatus::failed && !result.received.empty()) {
    try {
      backends::write_npz(file, result.received, backends::to_comment(result.provenance));
      result.received_file = file;
    } catch (const Error& error) {
      result.received_error = error.what();
    }
  }
  if (result.status == SuiteStatus::passed && open.own_profile()) {
    std::error_code ignored;
    fs::remove(file, ignored);
  }
  result.received.clear();
}

/// invalid before failed before unsupported before passed.
SuiteStatus worst(const std::vector<SuiteCaseRun>& cases) {
  for (const SuiteStatus status :
       {SuiteStatus::invalid, SuiteStatus::failed, SuiteStatus::unsupported}) {
    const bool has = std::any_of(cases.begin(), cases.end(),
                                 [&](const SuiteCaseRun& c) { return c.status == status; });
    if (has) return status;
  }
  return SuiteStatus::passed;
}

}  // namespace

std::vector<fs::path> suites_in(const fs::path& folder) {
  std::error_code error;
  const auto is_suite = [&](const fs::path& path) {
    return fs::exists(path / "suite.json", error);
  };
  if (is_suite(folder) || !fs::is_directory(folder, error)) return {folder};
  std::vector<fs::path> suites;
  for (fs::recursive_directory_iterator it(folder, error), last; !error && it != last;
       it.increment(error)) {
    if (!it->is_directory(error) || !is_suite(it->path())) continue;
    suites.push_back(it->path());
    it.disable_recursion_pending();
  }
  std::sort(suites.begin(), suites.end());
  return suites.empty() ? std::vector<fs::path>{folder} : suites;
}

SuiteRun run_suite(const fs::path& folder, const Globals& globals, SuitePage page) {
  SuiteRun result;
  result.folder = folder;
  try {
    const OpenSuite open(folder, globals);
    result.name = open.suite().name;
    result.network_file = open.suite().network_file(folder).string();
    result.network_fingerprint = open.network_fingerprint();
    result.profile = open.globals().profile;
    result.profile_fingerprint = open.network().profile().fingerprint;
    result.settings = open.globals().overrides;
    result.own_profile = open.own_profile();
    for (const SuiteCase& c : open.suite().cases) {
      throw_if_interrupted();
      SuiteCaseRun run = open.run(c);
      leave_received(open, c, run);
      if (page == SuitePage::html) run.page = open.page_of(c, run);
      result.cases.push_back(std::move(run));
    }
    result.status = worst(result.cases);
  } catch (const Error& error) {
    result.errors = error.infos();
    result.status = status_of(result.errors);
  }
  return result;
}

}  // namespace facsim::cli
