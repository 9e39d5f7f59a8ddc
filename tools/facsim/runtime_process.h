// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/io/npy.h"

namespace facsim::cli {

/// What executes an exported file, and the profile that says how.
struct DeployedRuntime {
  std::string title;    ///< "ONNX Runtime"
  std::string script;   ///< run_onnx.mjs
  std::string profile;  ///< onnxruntime-cpu
};
/// By the file's extension, .onnx or .tflite; Error unsupported.
const DeployedRuntime& runtime_of(const std::filesystem::path& file);

/// ONNX Runtime leaves int8 activations between Q and DQ in float on x86 unless it is told: the
/// options that tell it, with a note on stderr, where the network has such activations.
std::vector<std::string> int8_options(const std::filesystem::path& file,
                                      const backends::IntGraph& graph);

struct RuntimeResult {
  backends::NamedTensors outputs;  ///< as the runtime gave them, in the file's layout
  std::string version;             ///< "onnxruntime-node 1.30.0"
  double seconds = 0;
};

/// The runtime's script in `folder`, where tools/runtimes/install.sh put it; empty:
/// FACSIM_RUNTIMES, then build/runtimes. Error unsupported if it or node is not there.
std::filesystem::path find_runtime(const DeployedRuntime& runtime,
                                   const std::filesystem::path& folder);

/// Runs `file` on inputs in the runtime, in a process of its own (node), which Ctrl-C or SIGTERM
/// ends. Error unsupported if the runtime's packages are not there or it refuses the network; io.
RuntimeResult run_in_runtime(const DeployedRuntime& runtime, const std::filesystem::path& script,
                             const std::filesystem::path& file,
                             const backends::NamedTensors& inputs,
                             const std::vector<std::string>& options = {});

}  // namespace facsim::cli
