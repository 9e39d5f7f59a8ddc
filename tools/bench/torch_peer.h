// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace facsim::bench {

/// A python3 process with PyTorch that makes training steps of a float network on request
/// (torch_step.py, which this library carries as text). The first that imports PyTorch of the
/// PATH's python3 and the system's, or the one that the environment's FACSIM_PYTHON names.
class TorchPeer {
 public:
  /// Error unsupported if no python3 imports PyTorch, or if it cannot train this network.
  TorchPeer(const std::filesystem::path& network, int64_t batch, int threads);
  /// Ends the process.
  ~TorchPeer();
  TorchPeer(const TorchPeer&) = delete;
  TorchPeer& operator=(const TorchPeer&) = delete;

  const std::string& version() const { return version_; }
  /// torch-float, torch-float-channels-last, torch-qat.
  const std::vector<std::string>& variants() const { return variants_; }
  /// One step; a message to the process and back takes some 20 microseconds of it. Error io if the
  /// process has ended.
  void step(const std::string& variant);

 private:
  /// What python wrote first; empty if it wrote nothing.
  std::string start(const std::string& python, const std::vector<std::string>& arguments);
  void stop();
  std::string read_line();

  pid_t pid_ = -1;
  int socket_ = -1;
  std::string version_;
  std::vector<std::string> variants_;
};

}  // namespace facsim::bench
