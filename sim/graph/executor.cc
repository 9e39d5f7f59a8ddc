// SPDX-License-Identifier: Apache-2.0
#include "sim/graph/executor.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "sim/core/check.h"
#include "sim/core/error.h"
#include "sim/graph/memory_plan.h"

namespace facsim::sim {

namespace {

/// Intermediates of one chunk should stay in the second-level cache.
constexpr size_t kChunkBytes = size_t{1} << 19;
constexpr int64_t kChunksPerThread = 4;

/// Memory of finished chunks, handed to the next ones: at most one arena per thread exists.
class ArenaPool {
 public:
  explicit ArenaPool(size_t bytes) : bytes_(static_cast<int64_t>(bytes)) {}

  Tensor take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        Tensor arena = std::move(free_.back());
        free_.pop_back();
        return arena;
      }
    }
    return Tensor::uninitialized(DType::int8, Shape{bytes_});
  }
  void give_back(Tensor arena) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(arena));
  }

 private:
  int64_t bytes_;
  std::mutex mutex_;
  std::vector<Tensor> free_;
};

Shape with_batch(Shape shape, int64_t images) {
  shape[0] = images;
  return shape;
}

int64_t check_inputs(const Graph& graph, const std::vector<Tensor>& inputs) {
  if (inputs.size() != graph.inputs.size()) {
    throw Error({ErrorCode::shape_mismatch, "network inputs",
                 fmt::format("{} tensors", inputs.size()), fmt::format("{}", graph.inputs.size()),
                 ""});
  }
  int64_t batch = -1;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Graph::TensorInfo& info = graph.tensors[static_cast<size_t>(graph.inputs[i])];
    const Tensor& input = inputs[i];
    const std::string place = "input " + info.name;
    if (input.dtype() != info.dtype) {
      throw Error({ErrorCode::bad_value, place, fmt::format("dtype {}", to_string(input.dtype())),
                   std::string(to_string(info.dtype)), ""});
    }
    const bool has_rank = input.shape().rank() == info.shape.rank();
    if (!has_rank || with_batch(input.shape(), 1) != info.shape) {
      std::string expected = to_string(info.shape);
      expected.replace(1, 1, "N");
      throw Error(
          {ErrorCode::shape_mismatch, place, "shape " + to_string(input.shape()), expected, ""});
    }
    if (input.shape()[0] < 1) {
      throw Error({ErrorCode::shape_mismatch, place, "shape " + to_string(input.shape()),
                   "a batch of at least one image", ""});
    }
    if (batch >= 0 && input.shape()[0] != batch) {
      throw Error({ErrorCode::shape_mismatch, place, fmt::format("{} images", input.shape()[0]),
                   fmt::format("{} images as in the first input", batch), ""});
    }
    batch = input.shape()[0];
  }
  return batch;
}

}  // namespace

struct Executor::Impl {
  Graph graph;
  ExecutorOptions options;
  std::unique_ptr<ThreadPool> pool;
  size_t arena_bytes = 0;  // for one image

  Impl(Graph g, ExecutorOptions o);
  int64_t images_per_chunk(int64_t batch) const;
  MemoryPlan plan(int64_t images) const;
  void run_chunk(const MemoryPlan& plan, Tensor& arena, std::vector<Tensor>& tensors,
                 int64_t images, const RunContext& context, std::vector<Events>& events) const;
};

Executor::Impl::Impl(Graph g, ExecutorOptions o) : graph(std::move(g)), options(std::move(o)) {
  check(graph);
  if (options.images_per_chunk < 0) {
    throw Error({ErrorCode::bad_value, "images_per_chunk",
                 fmt::format("{}", options.images_per_chunk), "0 (chosen) or more", ""});
  }
  pool = std::make_unique<ThreadPool>(options.threads);
  arena_bytes = plan_memory(graph, 1).arena_bytes;
}

/// Few enough that a chunk stays in the cache and that all threads have work to the end.
int64_t Executor::Impl::images_per_chunk(int64_t batch) const {
  if (options.images_per_chunk > 0) return std::min(batch, options.images_per_chunk);
  const auto in_cache = static_cast<int64_t>(kChunkBytes / std::max<size_t>(1, arena_bytes));
  const int64_t shared = pool->threads() == 1 ? batch
                                              : (batch + pool->threads() * kChunksPerThread - 1) /
                                                    (pool->threads() * kChunksPerThread);
  return std::clamp<int64_t>(std::min(in_cache, shared), 1, batch);
}

MemoryPlan Executor::Impl::plan(int64_t images) const {
  MemoryPlan plan = plan_memory(graph, images);
  if (options.trace) {
    // Every tensor belongs to the result: no sharing.
    for (MemoryPlan::Place& place : plan.tensors) {
      if (place.home == MemoryPlan::Home::arena) place.home = MemoryPlan::Home::graph_output;
    }
    plan.arena_bytes = 0;
  }
  return plan;
}

/// Runs all nodes on one chunk. `tensors` holds the chunk's slices of graph inputs and outputs.
void Executor::Impl::run_chunk(const MemoryPlan& plan, Tensor& arena, std::vector<Tensor>& tensors,
                               int64_t images, const RunContext& context,
                               std::vector<Events>& events) const {
  auto* memory = static_cast<std::byte*>(arena.raw());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Graph::Node& node = graph.nodes[n];
    const auto out = static_cast<size_t>(node.output);
    const MemoryPlan::Place& place = plan.tensors[out];
    const Shape shape = with_batch(graph.tensors[out].shape, images);
    if (place.home == MemoryPlan::Home::view) {
      tensors[out] = tensors[static_cast<size_t>(place.view_of)].reshaped(shape);
      continue;
    }
    if (place.home == MemoryPlan::Home::arena) {
      tensors[out] = Tensor::view(graph.tensors[out].dtype, shape, memory + place.offset);
    }
    std::vector<const Tensor*> inputs;
    inputs.reserve(node.inputs.size());
    for (const int t : node.inputs) inputs.push_back(&tensors[static_cast<size_t>(t)]);
    try {
      events[n] += node.op->run(inputs, tensors[out], context);
    } catch (const Error& error) {
      throw Error({error.code(), fmt::format("node {} ({})", node.name, node.op->kind()),
                   error.what(), "", ""});
    }
  }
}

Executor::Executor(Graph graph, ExecutorOptions options)
    : impl_(std::make_unique<Impl>(std::move(graph), std::move(options))) {}

Executor::~Executor() = default;

const Graph& Executor::graph() const { return impl_->graph; }
size_t Executor::arena_bytes() const { return impl_->arena_bytes; }

RunMemory Executor::memory(int64_t batch) const {
  FACSIM_CHECK(batch >= 1);
  RunMemory memory;
  memory.images = impl_->images_per_chunk(batch);
  const int64_t chunks = (batch + memory.images - 1) / memory.images;
  memory.arenas = std::min<int64_t>(chunks, impl_->pool->threads());
  const MemoryPlan plan = impl_->plan(memory.images);
  memory.arena_bytes = plan.arena_bytes;
  memory.largest_live_set = plan.largest_live_set;
  memory.two_largest_live = plan.two_largest_live;
  const Graph& graph = impl_->graph;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    if (plan.tensors[t].home != MemoryPlan::Home::graph_output) continue;
    memory.output_bytes += static_cast<size_t>(graph.tensors[t].shape.numel() * batch) *
                           size_of(graph.tensors[t].dtype);
  }
  return memory;
}

RunResult Executor::run(std::vector<Tensor> inputs) const {
  const Graph& graph = impl_->graph;
  const ExecutorOptions& options = impl_->options;
  const int64_t batch = check_inputs(graph, inputs);
  const int64_t chunk = impl_->images_per_chunk(batch);
  const int64_t chunks = (batch + chunk - 1) / chunk;
  const MemoryPlan plan = impl_->plan(chunk);

  std::vector<Tensor> whole(graph.tensors.size());  // inputs and results, all images
  for (size_t i = 0; i < inputs.size(); ++i) {
    whole[static_cast<size_t>(graph.inputs[i])] = std::move(inputs[i]);
  }
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    if (plan.tensors[t].home == MemoryPlan::Home::graph_output) {
      whole[t] =
          Tensor::uninitialized(graph.tensors[t].dtype, with_batch(graph.tensors[t].shape, batch));
    }
  }

  RunResult result;
  result.events.resize(graph.nodes.size());
  ArenaPool arenas(plan.arena_bytes);
  std::mutex mutex;
  int64_t done = 0;
  const auto caller = std::this_thread::get_id();
  // One chunk: the ops share the threads. Several: each thread runs whole chunks.
  const RunContext context{options.isa, chunks == 1 ? impl_->pool.get() : nullptr,
                           options.count_events};
  impl_->pool->parallel_for(chunks, [&](int64_t i) {
    const int64_t begin = i * chunk;
    const int64_t images = std::min(chunk, batch - begin);
    std::vector<Tensor> tensors(graph.tensors.size());
    for (size_t t = 0; t < whole.size(); ++t) {
      if (!whole[t].empty()) tensors[t] = whole[t].slice(begin, images);
    }
    std::vector<Events> events(graph.nodes.size());
    Tensor arena = arenas.take();
    impl_->run_chunk(plan, arena, tensors, images, context, events);
    arenas.give_back(std::move(arena));

    int64_t done_now = 0;
    {
      const std::lock_guard lock(mutex);
      for (size_t n = 0; n < events.size(); ++n) result.events[n] += events[n];
      done_now = done += images;
    }
    if (options.progress && std::this_thread::get_id() == caller && done_now < batch) {
      options.progress(done_now, batch);
    }
  });
  if (options.progress) options.progress(batch, batch);
  if (!options.count_events) result.events.clear();

  for (const int t : graph.outputs) {
    const Tensor& output = whole[static_cast<size_t>(t)];
    const bool is_input =
        plan.tensors[static_cast<size_t>(t)].home == MemoryPlan::Home::graph_input;
    result.outputs.push_back(is_input ? output.clone() : output);
  }
  if (options.trace) {
    for (const Graph::Node& node : graph.nodes) {
      const auto out = static_cast<size_t>(node.output);
      const MemoryPlan::Place& place = plan.tensors[out];
      if (place.home == MemoryPlan::Home::view) {
        whole[out] = whole[static_cast<size_t>(place.view_of)].reshaped(
            with_batch(graph.tensors[out].shape, batch));
      }
    }
    result.tensors = std::move(whole);
  }
  return result;
}

}  // namespace facsim::sim
