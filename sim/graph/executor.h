// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "sim/graph/graph.h"

namespace facsim::sim {

struct ExecutorOptions {
  Isa isa = Isa::best;
  int threads = 1;               ///< 0: one per core
  int64_t images_per_chunk = 0;  ///< images a thread takes at once; 0: chosen
  bool trace = false;            ///< keep every intermediate tensor of the run
  bool count_events = false;     ///< fill RunResult::events
  /// Called from the calling thread after each chunk that it finished itself, and at the end, with
  /// images done so far (may be empty). What it throws ends the run.
  std::function<void(int64_t done, int64_t total)> progress;
};

struct RunResult {
  std::vector<Tensor> outputs;  ///< in Graph::outputs order
  std::vector<Tensor> tensors;  ///< with trace: by tensor number (graph inputs included)
  std::vector<Events> events;   ///< with count_events: by node
};

/// Runs a graph with planned buffers: intermediates share an arena by lifetime (peak = the largest
/// live set), one arena per thread; threads claim chunks of images. Same bits for any thread count,
/// chunk size and isa.
class Executor {
 public:
  Executor(Graph graph, ExecutorOptions options);
  ~Executor();
  /// One tensor per graph input, equal batch >= 1 (Error shape_mismatch names tensor, found,
  /// expected).
  RunResult run(std::vector<Tensor> inputs) const;
  const Graph& graph() const;
  /// Bytes of intermediates for one image, as planned.
  size_t arena_bytes() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace facsim::sim
