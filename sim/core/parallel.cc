// SPDX-License-Identifier: Apache-2.0
#include "sim/core/parallel.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <thread>

#include "sim/core/error.h"

namespace facsim::sim {

namespace {
constexpr int kMaxThreads = 256;
thread_local bool inside_pool = false;
}  // namespace

struct ThreadPool::Impl {
  explicit Impl(int n) : threads(n), arena(n) { allow_more_threads_than_cores(); }

  /// TBB's limit is one per process, the least of all that are set; arenas are what limits a pool.
  static void allow_more_threads_than_cores() {
    static const oneapi::tbb::global_control control(
        oneapi::tbb::global_control::max_allowed_parallelism, kMaxThreads);
  }

  int threads;
  oneapi::tbb::task_arena arena;
};

ThreadPool::ThreadPool(int threads) {
  if (threads < 0 || threads > kMaxThreads) {
    throw Error(
        {ErrorCode::bad_value, "threads", std::to_string(threads), "0..256 (0: one per core)", ""});
  }
  if (threads == 0) threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  impl_ = std::make_unique<Impl>(threads);
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return impl_->threads; }

void ThreadPool::parallel_for(int64_t count, const std::function<void(int64_t)>& body) {
  if (inside_pool || impl_->threads == 1 || count <= 1) {
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  impl_->arena.execute([&] {
    oneapi::tbb::parallel_for(
        oneapi::tbb::blocked_range<int64_t>(0, count, 1),
        [&](const oneapi::tbb::blocked_range<int64_t>& range) {
          const bool was_inside = inside_pool;
          inside_pool = true;
          for (int64_t i = range.begin(); i != range.end(); ++i) body(i);
          inside_pool = was_inside;
        },
        oneapi::tbb::simple_partitioner());
  });
}

void parallel_for(ThreadPool* pool, int64_t count, const std::function<void(int64_t)>& body) {
  if (pool != nullptr) {
    pool->parallel_for(count, body);
    return;
  }
  for (int64_t i = 0; i < count; ++i) body(i);
}

}  // namespace facsim::sim
