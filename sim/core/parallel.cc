// SPDX-License-Identifier: Apache-2.0
#include "sim/core/parallel.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "sim/core/error.h"
#include "sim/core/float_mode.h"
#include "sim/core/worker_team-internal.h"

namespace facsim::sim {

namespace {

constexpr int kMaxThreads = 256;
thread_local bool inside_pool = false;

void run_serially(int64_t count, const std::function<void(int64_t)>& body) {
  const FloatMode mode;
  for (int64_t i = 0; i < count; ++i) body(i);
}

}  // namespace

struct ThreadPool::Impl {
  explicit Impl(int n) : threads(n) {
    if (n > 1) team = WorkerTeam::current();
  }
  ~Impl() {
    // What fork() left of the parent's team has locks that nobody will give back.
    if (team != nullptr && team->left_by_fork()) new std::shared_ptr<WorkerTeam>(std::move(team));
  }

  int threads;
  std::shared_ptr<WorkerTeam> team;  ///< null for one thread
};

ThreadPool::ThreadPool(int threads) {
  if (threads < 0 || threads > kMaxThreads) {
    throw Error(
        {ErrorCode::bad_value, "threads", std::to_string(threads), "0..256 (0: one per core)", ""});
  }
  if (threads == 0) threads = static_cast<int>(std::thread::hardware_concurrency());
  impl_ = std::make_unique<Impl>(std::clamp(threads, 1, kMaxThreads));
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return impl_->threads; }

void ThreadPool::parallel_for(int64_t count, const std::function<void(int64_t)>& body) {
  if (count <= 1 || inside_pool || impl_->team == nullptr || impl_->team->left_by_fork()) {
    run_serially(count, body);
    return;
  }
  impl_->team->run(count, impl_->threads - 1, [&](int64_t i) {
    inside_pool = true;
    struct Leave {
      ~Leave() { inside_pool = false; }
    } leave;
    body(i);
  });
}

void parallel_for(ThreadPool* pool, int64_t count, const std::function<void(int64_t)>& body) {
  if (pool != nullptr) {
    pool->parallel_for(count, body);
  } else {
    run_serially(count, body);
  }
}

}  // namespace facsim::sim
