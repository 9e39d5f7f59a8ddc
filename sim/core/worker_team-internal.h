// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace facsim::sim {

/// The threads that help callers of ThreadPool: one team for all pools of a process, as long as
/// one of them lives. Threads are started when they are first wanted and joined when the last pool
/// goes.
///
/// A call opens a slot. Its indices are shared out in ranges, one for each thread that may come; a
/// thread claims one index after the other from its own range, then from those of others, so that
/// the caller does all itself if nobody comes. At the end it waits for workers that are inside the
/// call only: in an index which they claimed, or on the few instructions before their first claim.
/// A worker without work watches the count of calls for 100 us, giving its core away to others
/// after the first 20, and sleeps then; so does a caller that waits. Calls from any number of
/// threads are independent of each other; one that finds all slots taken, or no thread to be had,
/// does its indices alone.
///
/// A child process that fork() made has none of the parent's threads: pools from before run all in
/// the calling thread there, new ones have a new team. Forking inside a body is not supported. A
/// pool made while no other lives starts its threads anew (about 20 us): keep one.
class WorkerTeam {
 public:
  using Body = std::function<void(int64_t)>;

  /// The team of the pools that live, or a new one.
  static std::shared_ptr<WorkerTeam> current();
  WorkerTeam();
  ~WorkerTeam();
  WorkerTeam(const WorkerTeam&) = delete;
  WorkerTeam& operator=(const WorkerTeam&) = delete;

  /// Calls body(i) once for each i in [0, count) in the calling thread and up to `helpers` others.
  /// Rethrows the first exception; indices that nobody claimed by then are left out.
  void run(int64_t count, int helpers, const Body& body);

  /// True in a child process whose parent made the team: its threads and locks stayed there. Such a
  /// team must be neither used nor destroyed.
  bool left_by_fork() const;

 private:
  /// Indices that are left: [next, end). `next` may pass `end`.
  struct alignas(64) Range {
    std::atomic<int64_t> next{0};
    int64_t end = 0;
  };
  static constexpr int kRanges = 8;

  /// Once `open`, what describes the call may be used by whoever was counted in `visitors` before.
  struct alignas(64) Slot {
    std::atomic<bool> taken{false};
    std::atomic<bool> open{false};
    std::atomic<bool> caller_sleeps{false};
    std::atomic<bool> failed{false};
    std::atomic<int> visitors{0};
    std::atomic<int> joined{0};
    int helpers = 0;
    int ranges = 0;
    const Body* body = nullptr;
    std::exception_ptr error;
    std::array<Range, kRanges> range;
  };

  Slot* take_slot();
  static void claim(Slot& slot, int first_range) noexcept;
  static void stop(Slot& slot) noexcept;
  void call_helpers(int wanted) noexcept;
  void start_threads(int wanted) noexcept;
  void await_visitors(Slot& slot);
  void visit(Slot& slot);
  void work();
  bool await_call(uint64_t seen);

  const uint64_t forks_;  ///< of this process when the team was made
  const int cores_;
  std::array<Slot, 16> slots_;
  alignas(64) std::atomic<uint64_t> calls_{0};  ///< all there were
  alignas(64) std::atomic<int> wanted_{0};      ///< by all open calls
  alignas(64) std::atomic<int> started_{0};
  std::atomic<int> sleeping_{0};
  std::atomic<bool> may_start_{true};  ///< false once a thread was refused
  std::atomic<bool> ends_{false};
  std::mutex mutex_;  ///< of the two conditions and of `threads_`
  std::condition_variable call_came_, visitors_left_;
  std::vector<std::thread> threads_;
};

}  // namespace facsim::sim
