// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/suite/suite_run.h"

#include <algorithm>
#include <chrono>
#include <cstring>

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

constexpr int64_t kSuiteImagesInMemory = 256;
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

bool has_name(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
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

backends::NamedTensors computed_tensors(const DeployedNetwork& network,
                                        const std::vector<Tensor>& inputs,
                                        const std::vector<std::string>& names,
                                        const Globals& globals) {
  const sim::Graph& graph = network.executable();
  sim::ExecutorOptions options;
  options.isa = globals.isa;
  options.threads = globals.threads;
  options.trace = true;
  options.progress = [](int64_t, int64_t) { throw_if_interrupted(); };
  const sim::Executor executor(graph, options);
  const int64_t images = inputs[0].shape()[0];
  backends::NamedTensors result;
  ProgressBar bar("suite", images, globals.progress);
  for (int64_t begin = 0; begin < images; begin += kSuiteImagesInMemory) {
    const int64_t count = std::min(kSuiteImagesInMemory, images - begin);
    std::vector<Tensor> batch;
    for (const Tensor& input : inputs) batch.push_back(input.slice(begin, count));
    const sim::RunResult run = executor.run(std::move(batch));
    size_t next = 0;
    for (size_t t = 0; t < graph.tensors.size(); ++t) {
      if (!has_name(names, graph.tensors[t].name)) continue;
      const Tensor part = network.to_file_layout(run.tensors[t]);
      if (begin == 0) {
        result.emplace_back(graph.tensors[t].name,
                            Tensor::uninitialized(part.dtype(), with_images(part.shape(), images)));
      }
      Tensor place = result[next++].second.slice(begin, count);
      std::memcpy(place.raw(), part.raw(), part.bytes());
    }
    bar.update(begin + count);
  }
  return result;
}

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
  const backends::NamedTensors golden = backends::read_npz(result.golden_file);
  require_fingerprint(result.golden_file, backends::fingerprint(golden), c.golden.fingerprint,
                      "golden outputs", "only facsim suite approve changes a golden");
  result.changes = changes_since(c.golden);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : golden) names.push_back(name);
  const std::vector<Tensor> inputs = network_->inputs(arrays, result.inputs_file.string());
  result.provenance = network_->provenance(inputs);
  result.received = computed_tensors(*network_, inputs, names, globals_);
  result.report = backends::compare(result.received, golden, kFirstMismatches);
  result.status = result.report.equal() ? SuiteStatus::passed : SuiteStatus::failed;
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

SuiteRun run_suite(const fs::path& folder, const Globals& globals) {
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
