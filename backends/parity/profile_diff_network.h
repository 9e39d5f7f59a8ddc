// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/lower/lower.h"
#include "backends/profile/profile.h"
#include "sim/graph/executor.h"

namespace facsim::backends {

/// What a layer of a network does under two profiles.
struct LayerDifference {
  std::string node, op, tensor;
  std::string unsupported;  ///< why B does not run the layer; empty: it does
  int64_t compared = 0;     ///< outputs
  /// Outputs that differ when B's layer gets the inputs that A's had: the layer's own share.
  int64_t own = 0;
  uint64_t own_largest = 0;  ///< |difference| in codes
  /// Of the first kExplained of those: how many have a known exact real value, and how many of
  /// these lie within kNearTie of a rounding tie.
  int64_t explained = 0, near_tie = 0;
  /// Outputs that differ between whole runs; absent if B does not run every layer.
  std::optional<int64_t> whole;

  static constexpr int64_t kExplained = 1000;
  static constexpr double kNearTie = 1.0 / (1 << 20);  ///< in output steps
};

/// Runs one network under two profiles and counts, layer by layer, the outputs that differ.
class NetworkDiff {
 public:
  /// A must run the whole network: errors as lower(). Nodes that name a profile of their own keep
  /// it on both sides. `graph` and the profiles must outlive this.
  NetworkDiff(const IntGraph& graph, const Profile& a, const Profile& b,
              const ProfileResolver& resolve, const sim::ExecutorOptions& options);

  /// One tensor per network input, any batch. Errors as Executor::run.
  void add(const std::vector<Tensor>& inputs);
  const std::vector<LayerDifference>& layers() const { return layers_; }

 private:
  void compare_layer(size_t node, const std::vector<Tensor>& under_a);
  void explain(size_t node, const std::vector<const Tensor*>& inputs, int64_t index);

  const IntGraph& graph_;
  sim::Graph a_;
  std::vector<std::shared_ptr<const sim::Op>> b_;  ///< by node; null: unsupported
  std::optional<sim::Executor> run_a_, run_b_;
  sim::Isa isa_;
  std::vector<LayerDifference> layers_;
};

}  // namespace facsim::backends
