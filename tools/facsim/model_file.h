// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "backends/io/read_network.h"

namespace CLI {
class App;
}

namespace facsim::cli {

/// The network that a command reads, with the options that say how: --dim for sizes that an ONNX
/// file leaves open, --qdq for its float groups.
class ModelFile {
 public:
  ModelFile() = default;
  explicit ModelFile(std::string file) : file_(std::move(file)) {}
  /// As --dim and --qdq would set it.
  ModelFile(std::string file, const std::map<std::string, int64_t>& dims, std::string qdq);
  /// `option` is "--model" or, for a positional argument, "model".
  void add_to(CLI::App& app, const std::string& option, const std::string& help);

  const std::string& name() const { return file_; }
  bool given() const { return !file_.empty(); }
  const std::string& qdq() const { return qdq_; }
  /// --dim, by name. UsageError for one that is not NAME=N, or given twice.
  std::map<std::string, int64_t> dims() const;
  /// The quantized network. UsageError for a --dim that is not NAME=N.
  backends::IntGraph read() const;
  std::variant<backends::IntGraph, backends::FloatGraph> read_any() const;

 private:
  backends::QuantizedNetworkOptions onnx_options() const;

  std::string file_, qdq_ = "onnxruntime";
  std::vector<std::string> dims_;
};

}  // namespace facsim::cli
