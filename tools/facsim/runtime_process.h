// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

struct RuntimeResult {
  backends::NamedTensors outputs;  ///< as the runtime gave them, in the file's layout
  std::string version;             ///< "onnxruntime-node 1.30.0"
  double seconds = 0;
};

/// Runs `file` on inputs in the runtime, in a process of its own (node). `folder` is where
/// tools/runtimes/install.sh put the runtimes; empty: FACSIM_RUNTIMES, then build/runtimes.
/// Error unsupported if they are not there or the runtime refuses the network; io.
RuntimeResult run_in_runtime(const DeployedRuntime& runtime, const std::filesystem::path& folder,
                             const std::filesystem::path& file,
                             const backends::NamedTensors& inputs,
                             const std::vector<std::string>& options = {});

}  // namespace facsim::cli
