// SPDX-License-Identifier: Apache-2.0
// What a comparison with a peer counts and prints.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "tests/peers/layer.h"

namespace facsim::test {

/// Whole number from the environment, for seeds and counts.
uint64_t from_environment(const char* name, uint64_t fallback);

/// Counts comparisons, prints the result and the first mismatches.
class Tally {
 public:
  explicit Tally(std::string peer);
  ~Tally();
  /// Both sides' outputs; `how`: what in the peer computed it.
  void add(const Layer& layer, const Tensor& peer, const Tensor& ours, const std::string& how = {});
  /// A layer that one side or both refused; `reason`: why we did, empty if we did not.
  void add_refusal(const Layer& layer, bool peer_refused, const std::string& reason);

  int64_t layers() const { return layers_; }
  int64_t mismatches() const { return mismatches_; }
  int64_t disagreements() const { return disagreements_; }

 private:
  struct PerOp {
    int64_t layers = 0, values = 0, mismatches = 0;
  };
  std::string peer_;
  std::map<std::string, PerOp> ops_;  ///< by the layers' op words
  int64_t layers_ = 0, values_ = 0, mismatches_ = 0, refused_ = 0, disagreements_ = 0, shown_ = 0;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace facsim::test
