// SPDX-License-Identifier: Apache-2.0
#include "sim/core/worker_team-internal.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "sim/core/float_mode.h"

namespace facsim::sim {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kWatch = std::chrono::microseconds(100);    ///< before sleeping
constexpr auto kKeepCore = std::chrono::microseconds(20);  ///< of these, without yielding
constexpr int kPausesPerLook = 16;                         ///< at the clock

void pause_briefly() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb" : : : "memory");
#endif
}

/// Watches for `done` for a short bounded time; false if it did not come.
template <class Done>
bool watch(const Done& done) {
  const auto start = Clock::now();
  while (true) {
    for (int i = 0; i < kPausesPerLook; ++i) {
      if (done()) return true;
      pause_briefly();
    }
    const auto waited = Clock::now() - start;
    if (waited > kWatch) return done();
    if (waited > kKeepCore) std::this_thread::yield();
  }
}

/// Where pools find their team. Never destroyed: pools of static objects use it until the end. A
/// forked child starts with none.
struct Registry {
  std::mutex mutex;
  std::weak_ptr<WorkerTeam> team;
  std::atomic<uint64_t> forks{0};

  static Registry& get() {
    static Registry* const registry = [] {
      auto* made = new Registry;
      pthread_atfork([] { get().mutex.lock(); }, [] { get().mutex.unlock(); },
                     [] {
                       get().forks.fetch_add(1);
                       get().team.reset();
                       get().mutex.unlock();
                     });
      return made;
    }();
    return *registry;
  }
};

}  // namespace

std::shared_ptr<WorkerTeam> WorkerTeam::current() {
  Registry& registry = Registry::get();
  const std::lock_guard lock(registry.mutex);
  std::shared_ptr<WorkerTeam> team = registry.team.lock();
  if (team == nullptr) registry.team = team = std::make_shared<WorkerTeam>();
  return team;
}

WorkerTeam::WorkerTeam()
    : forks_(Registry::get().forks.load()),
      cores_(static_cast<int>(std::thread::hardware_concurrency())) {}

WorkerTeam::~WorkerTeam() {
  {
    const std::lock_guard lock(mutex_);
    ends_.store(true);
  }
  call_came_.notify_all();
  for (std::thread& thread : threads_) {
    // A body that ends the process ends static pools in its own thread.
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

bool WorkerTeam::left_by_fork() const {
  return forks_ != Registry::get().forks.load(std::memory_order_relaxed);
}

void WorkerTeam::run(int64_t count, int helpers, const Body& body) {
  Slot* slot = take_slot();
  if (slot == nullptr) {
    const FloatMode mode;
    for (int64_t i = 0; i < count; ++i) body(i);
    return;
  }
  helpers = static_cast<int>(std::min<int64_t>(helpers, count - 1));
  slot->failed.store(false, std::memory_order_relaxed);
  slot->joined.store(0, std::memory_order_relaxed);
  slot->helpers = helpers;
  slot->ranges = std::min(helpers + 1, kRanges);
  slot->body = &body;
  for (int64_t r = 0; r < slot->ranges; ++r) {
    Range& range = slot->range[static_cast<size_t>(r)];
    range.next.store(count * r / slot->ranges, std::memory_order_relaxed);
    range.end = count * (r + 1) / slot->ranges;
  }
  slot->open.store(true);
  call_helpers(helpers);
  claim(*slot, 0);
  slot->open.store(false);
  await_visitors(*slot);
  wanted_.fetch_sub(helpers);  // not before: visitors are awake, but not free for other calls
  const std::exception_ptr error = std::exchange(slot->error, nullptr);
  slot->taken.store(false, std::memory_order_release);
  if (error) std::rethrow_exception(error);
}

WorkerTeam::Slot* WorkerTeam::take_slot() {
  for (Slot& slot : slots_) {
    if (!slot.taken.load(std::memory_order_relaxed) &&
        !slot.taken.exchange(true, std::memory_order_acquire)) {
      return &slot;
    }
  }
  return nullptr;
}

void WorkerTeam::claim(Slot& slot, int first_range) noexcept {
  const FloatMode mode;  // whoever runs an index, and whatever mode that thread is in
  for (int r = 0; r < slot.ranges; ++r) {
    Range& range = slot.range[static_cast<size_t>((first_range + r) % slot.ranges)];
    while (range.next.load(std::memory_order_relaxed) < range.end) {
      const int64_t i = range.next.fetch_add(1, std::memory_order_relaxed);
      if (i >= range.end) break;
      try {
        (*slot.body)(i);
      } catch (...) {
        if (!slot.failed.exchange(true)) slot.error = std::current_exception();
        stop(slot);
      }
    }
  }
}

void WorkerTeam::stop(Slot& slot) noexcept {
  for (Range& range : slot.range) range.next.store(range.end, std::memory_order_relaxed);
}

// A worker counts itself as sleeping before it looks at calls_ a last time, and a caller counts its
// call before it looks at sleeping_: one of the two sees the other. The lock between them makes
// sure that the worker already waits when it is notified.
void WorkerTeam::call_helpers(int wanted) noexcept {
  calls_.fetch_add(1);
  // Calls at the same time want threads of their own while there are cores for them.
  const int all = wanted_.fetch_add(wanted) + wanted;
  const int threads = std::min(all, std::max(wanted, cores_ - 1));
  const bool more = started_.load(std::memory_order_relaxed) < threads;
  if (more && may_start_.load(std::memory_order_relaxed)) start_threads(threads);
  const int sleeping = sleeping_.load();
  const int awake = started_.load(std::memory_order_relaxed) - sleeping;
  const int missing = std::min({wanted, sleeping, all - awake});
  if (missing <= 0) return;
  { const std::lock_guard lock(mutex_); }
  for (int i = 0; i < missing; ++i) call_came_.notify_one();
}

void WorkerTeam::start_threads(int wanted) noexcept {
  const std::lock_guard lock(mutex_);
  try {
    while (static_cast<int>(threads_.size()) < wanted) threads_.emplace_back([this] { work(); });
  } catch (...) {
    // No thread or no memory to be had: those there are share the work with the caller.
    may_start_.store(false, std::memory_order_relaxed);
  }
  started_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
}

void WorkerTeam::await_visitors(Slot& slot) {
  const auto none_left = [&] { return slot.visitors.load() == 0; };
  if (watch(none_left)) return;
  std::unique_lock lock(mutex_);
  slot.caller_sleeps.store(true);
  visitors_left_.wait(lock, none_left);
  slot.caller_sleeps.store(false);
}

void WorkerTeam::visit(Slot& slot) {
  if (!slot.open.load(std::memory_order_relaxed)) return;
  slot.visitors.fetch_add(1);
  if (slot.open.load()) {
    const int number = slot.joined.fetch_add(1, std::memory_order_relaxed) + 1;
    if (number <= slot.helpers) claim(slot, number % slot.ranges);
  }
  if (slot.visitors.fetch_sub(1) == 1 && slot.caller_sleeps.load()) {
    { const std::lock_guard lock(mutex_); }
    visitors_left_.notify_all();
  }
}

void WorkerTeam::work() {
  uint64_t seen = 0;
  do {
    seen = calls_.load();
    for (Slot& slot : slots_) visit(slot);
  } while (await_call(seen));
}

bool WorkerTeam::await_call(uint64_t seen) {
  const auto came = [&] { return calls_.load() != seen || ends_.load(); };
  if (!watch(came)) {
    std::unique_lock lock(mutex_);
    sleeping_.fetch_add(1);
    call_came_.wait(lock, came);
    sleeping_.fetch_sub(1);
  }
  return !ends_.load();
}

}  // namespace facsim::sim
