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

/// The buffers of a run, known before anything is allocated. Besides them a run holds the graph's
/// weights, as stored and as packed for the kernels, and what each thread works on: one tile.
struct RunMemory {
  int64_t images = 1;       ///< in a chunk
  int64_t arenas = 1;       ///< chunks that can run at the same time
  size_t arena_bytes = 0;   ///< intermediates of one chunk
  size_t output_bytes = 0;  ///< the result, all images (with trace: every tensor)
  size_t largest_live_set = 0, two_largest_live = 0;  ///< of a chunk, see MemoryPlan

  size_t bytes() const { return static_cast<size_t>(arenas) * arena_bytes + output_bytes; }
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
  /// What a run of `batch` >= 1 images allocates.
  RunMemory memory(int64_t batch) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace facsim::sim
