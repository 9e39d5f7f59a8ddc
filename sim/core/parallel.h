// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace facsim::sim {

/// A bounded number of threads, those of WorkerTeam. Callers, any number at once, claim chunks too,
/// so none waits on a chunk that has not started. Results must not depend on who runs which chunk.
class ThreadPool {
 public:
  /// threads 1..256; 0 means one per core. Error bad_value outside.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  /// Calls body(i) once for each i in [0, count), in any order and in FloatMode's mode, and returns
  /// when all are done. The first exception is rethrown. Nested calls run in the calling thread.
  void parallel_for(int64_t count, const std::function<void(int64_t)>& body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Runs in the calling thread when `pool` is null.
void parallel_for(ThreadPool* pool, int64_t count, const std::function<void(int64_t)>& body);

}  // namespace facsim::sim
