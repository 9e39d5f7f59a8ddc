// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "backends/io/network_file.h"
#include "backends/parity/vectors_gen.h"
#include "backends/text/did_you_mean.h"
#include "tools/facsim/output.h"
#include "tools/facsim/staged_folder.h"
#include "tools/facsim/suite/suite_date.h"
#include "tools/facsim/suite/suite_edit.h"

namespace facsim::cli {

namespace {

namespace fs = std::filesystem;
using backends::NamedTensors;
using backends::SuiteCase;
using backends::SuiteGolden;

/// The file's name without extension, letters that no case may have replaced.
std::string case_name_of(const std::string& file) {
  std::string name = fs::path(file).stem().string().substr(0, 100);
  for (char& c : name) {
    if (!backends::is_suite_case_name(std::string("x") + c)) c = '_';
  }
  if (!name.empty() && name.front() == '.') name.front() = '_';
  return name.empty() ? "case" : name;
}

std::optional<backends::Provenance> provenance_of(const std::string& file) {
  if (fs::path(file).extension() != ".npz") return {};
  return backends::provenance_from_comment(backends::NpzFile(file).comment());
}

/// The first `images` of each array; 0: all.
NamedTensors first_images(NamedTensors arrays, int64_t images, const std::string& file) {
  if (images == 0) return arrays;
  for (auto& [name, tensor] : arrays) {
    const int64_t there = tensor.shape().rank() == 0 ? 0 : tensor.shape()[0];
    if (there < images) {
      throw Error({ErrorCode::shape_mismatch, fmt::format("{}: {}", file, name),
                   fmt::format("{} images", there), fmt::format("at least {}", images),
                   "--images"});
    }
    tensor = tensor.slice(0, images).clone();
  }
  return arrays;
}

class SuiteMaker {
 public:
  SuiteMaker(const NewSuite& wanted, const Globals& globals)
      : wanted_(wanted), globals_(globals), network_(wanted.model, globals) {
    if (globals_.profile.empty()) globals_.profile = network_.graph().profile;
    suite_.name = wanted.name.empty() ? folder_name() : wanted.name;
    suite_.profile = globals_.profile;
    const bool is_file =
        suite_.profile.find('/') != std::string::npos || suite_.profile.ends_with(".json");
    if (is_file) suite_.profile = relative_to_suite(suite_.profile);
    suite_.settings = globals.overrides;
  }

  void write(const fs::path& folder) {
    write_network(folder);
    backends::write_file_atomically(
        backends::suite_profile_file(folder, network_.profile().fingerprint),
        backends::resolved_profile_json(globals_.profile, globals_.search(), globals_.overrides));
    for (size_t i = 0; i < wanted_.inputs.size(); ++i) {
      write_case(folder, wanted_.inputs[i],
                 wanted_.goldens.empty() ? std::string() : wanted_.goldens[i]);
    }
    backends::write_suite(folder, suite_);
  }

 private:
  std::string folder_name() const {
    const fs::path folder = fs::absolute(wanted_.folder).lexically_normal();
    return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  }

  /// A path with '/' in it, so that it does not read as a profile's name.
  std::string relative_to_suite(const fs::path& file) const {
    const std::string path =
        fs::relative(fs::absolute(file), fs::absolute(wanted_.folder)).generic_string();
    return path.find('/') == std::string::npos ? "./" + path : path;
  }

  void write_network(const fs::path& folder) {
    if (wanted_.reference_network) {
      suite_.network = relative_to_suite(wanted_.model.name());
      suite_.dims = wanted_.model.dims();
      suite_.qdq = wanted_.model.qdq();
      return;
    }
    backends::IntGraph graph = network_.graph();
    graph.profile_fingerprint.clear();  // the goldens name it
    backends::write_int_graph(folder / suite_.network, graph);
  }

  /// Every tensor that is computed, or the outputs.
  std::vector<std::string> layer_names() const {
    const sim::Graph& graph = network_.executable();
    std::vector<std::string> names;
    const auto add = [&](int t) { names.push_back(graph.tensors[static_cast<size_t>(t)].name); };
    if (wanted_.outputs_only) {
      for (const int t : graph.outputs) add(t);
    } else {
      for (const sim::Graph::Node& node : graph.nodes) add(node.output);
    }
    return names;
  }

  void write_case(const fs::path& folder, const std::string& inputs_file,
                  const std::string& golden_file) {
    SuiteCase c;
    c.name = case_name_of(inputs_file);
    for (const SuiteCase& other : suite_.cases) {
      if (other.name == c.name) {
        throw UsageError(fmt::format("two inputs make a case \"{}\": rename a file", c.name));
      }
    }
    const NamedTensors all = read_arrays(inputs_file);
    const NamedTensors arrays = first_images(all, wanted_.images, inputs_file);
    const std::vector<Tensor> inputs = network_.inputs(arrays, inputs_file);
    NamedTensors golden;
    if (golden_file.empty()) {
      golden = computed_tensors(network_, inputs, layer_names(), globals_);
    } else {
      require_same_inputs(golden_file, all, inputs_file);
      golden = recorded(golden_file, inputs[0].shape()[0]);
      c.golden.origin = SuiteGolden::Origin::recorded;
    }
    c.inputs_fingerprint = backends::fingerprint(arrays);
    c.golden.fingerprint = backends::fingerprint(golden);
    c.golden.network = backends::fingerprint(network_.graph());
    c.golden.profile = network_.profile().fingerprint;
    c.golden.facsim = FACSIM_VERSION;
    c.golden.date = utc_now();
    c.golden.reason = "suite init";
    StagedFolder::make(backends::suite_inputs_file(folder, c).parent_path());
    backends::write_npz(backends::suite_inputs_file(folder, c), arrays);
    backends::write_npz(backends::suite_golden_file(folder, c), golden);
    suite_.cases.push_back(std::move(c));
  }

  /// A golden that facsim wrote says which inputs it belongs to.
  void require_same_inputs(const std::string& golden_file, const NamedTensors& all,
                           const std::string& inputs_file) const {
    const auto made = provenance_of(golden_file);
    if (!made) return;
    const std::string inputs = network_.provenance(network_.inputs(all, inputs_file)).inputs;
    if (made->inputs == inputs) return;
    throw Error({ErrorCode::bad_value, golden_file,
                 fmt::format("inputs differ: it was made from {}", made->inputs),
                 fmt::format("{} has {}", inputs_file, inputs), ""});
  }

  NamedTensors recorded(const std::string& file, int64_t images) const {
    const sim::Graph& graph = network_.executable();
    NamedTensors golden = first_images(read_arrays(file), wanted_.images, file);
    std::vector<std::string> known;
    for (const auto& tensor : graph.tensors) known.push_back(tensor.name);
    if (golden.size() == 1 && graph.outputs.size() == 1 && fs::path(file).extension() == ".npy") {
      golden[0].first = known[static_cast<size_t>(graph.outputs[0])];
    }
    if (golden.empty()) throw Error({ErrorCode::missing_key, file, "no array", "goldens", ""});
    for (const auto& [name, tensor] : golden) {
      const auto found = std::find(known.begin(), known.end(), name);
      if (found == known.end()) {
        throw Error({ErrorCode::missing_key, file, "array \"" + name + "\"",
                     "tensors of the network", backends::did_you_mean_hint(name, known)});
      }
      const auto& info = graph.tensors[static_cast<size_t>(found - known.begin())];
      Shape shape = network_.to_file_layout(Tensor(info.dtype, info.shape)).shape();
      shape[0] = images;
      if (const auto difference = backends::compare_structure(name, tensor.dtype(), tensor.shape(),
                                                              info.dtype, shape)) {
        throw Error({ErrorCode::shape_mismatch, file, to_string(*difference), "", ""});
      }
    }
    return golden;
  }

  const NewSuite& wanted_;
  Globals globals_;
  DeployedNetwork network_;
  backends::Suite suite_;
};

}  // namespace

SuiteRun init_suite(const NewSuite& wanted, const Globals& globals) {
  if (!wanted.goldens.empty() && wanted.goldens.size() != wanted.inputs.size()) {
    throw UsageError(fmt::format("{} --golden for {} --inputs: one each, or none",
                                 wanted.goldens.size(), wanted.inputs.size()));
  }
  backends::require_new_folder(wanted.folder);
  SuiteMaker maker(wanted, globals);
  const fs::path folder = without_trailing_slash(wanted.folder);
  StagedFolder staged(folder);
  maker.write(staged.path());
  staged.commit();
  Globals own = globals;
  own.profile.clear();
  own.overrides.clear();
  return run_suite(folder, own);
}

}  // namespace facsim::cli
