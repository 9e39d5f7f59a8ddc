// SPDX-License-Identifier: Apache-2.0
#include "sim/core/parallel.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cfenv>
#include <chrono>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "sim/core/error.h"

namespace facsim::sim {
namespace {

using Milliseconds = std::chrono::milliseconds;

/// How often each index was run.
std::vector<int> runs_of_each(ThreadPool& pool, int64_t count) {
  std::vector<std::atomic<int>> runs(static_cast<size_t>(count));
  pool.parallel_for(count, [&](int64_t i) { ++runs[static_cast<size_t>(i)]; });
  return {runs.begin(), runs.end()};
}

double processor_seconds() {
  rusage use{};
  getrusage(RUSAGE_SELF, &use);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

TEST_CASE("parallel_for: runs each index once, for any number of threads and indices") {
  for (const int threads : {1, 2, 3, 8, 20}) {
    ThreadPool pool(threads);
    CHECK(pool.threads() == threads);
    for (const int64_t count : {0, 1, 2, 3, 7, 8, 9, 64, 1000}) {
      for (int round = 0; round < 20; ++round) {
        const std::vector<int> runs = runs_of_each(pool, count);
        CHECK(std::accumulate(runs.begin(), runs.end(), 0) == count);
        CHECK(std::set<int>(runs.begin(), runs.end()).size() <= 1);
      }
    }
  }
}

TEST_CASE("parallel_for: threads help") {
  ThreadPool pool(3);
  // Each index waits for two others to run beside it: one thread alone would wait forever.
  std::atomic<int> inside{0};
  pool.parallel_for(3, [&](int64_t) {
    ++inside;
    while (inside < 3) std::this_thread::yield();
  });
  CHECK(inside == 3);
}

TEST_CASE("parallel_for: no more threads than the pool has") {
  ThreadPool large(8);  // so that there are more threads than the other pool may use
  std::atomic<int> met{0};
  large.parallel_for(8, [&](int64_t) {
    ++met;
    while (met < 8) std::this_thread::yield();
  });
  ThreadPool pool(3);
  std::atomic<int> inside{0}, most{0};
  for (int round = 0; round < 50; ++round) {
    pool.parallel_for(32, [&](int64_t) {
      const int now = ++inside;
      int seen = most.load();
      while (seen < now && !most.compare_exchange_weak(seen, now)) {
      }
      std::this_thread::sleep_for(std::chrono::microseconds(20));
      --inside;
    });
  }
  CHECK(most <= 3);
}

TEST_CASE("parallel_for: the caller does everything while all helpers are held elsewhere") {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  ThreadPool pool(cores + 1);  // calls at the same time get no threads beyond these
  std::atomic<int> held{0};
  std::atomic<bool> let_go{false};
  std::thread holder([&] {
    pool.parallel_for(cores + 1, [&](int64_t) {
      ++held;
      while (!let_go) std::this_thread::sleep_for(Milliseconds(1));
    });
  });
  while (held < cores + 1) std::this_thread::yield();
  const auto caller = std::this_thread::get_id();
  std::atomic<int> by_caller{0};
  pool.parallel_for(100, [&](int64_t) { by_caller += std::this_thread::get_id() == caller; });
  CHECK(by_caller == 100);
  let_go = true;
  holder.join();
}

TEST_CASE("parallel_for: many callers at once, of one pool and of several") {
  ThreadPool shared(3);
  std::atomic<int64_t> sum{0};
  std::vector<std::thread> callers;
  for (int c = 0; c < 24; ++c) {  // more than the team has slots
    callers.emplace_back([&, c] {
      ThreadPool own(2 + c % 3);
      for (int round = 0; round < 200; ++round) {
        ThreadPool& pool = (c + round) % 2 == 0 ? shared : own;
        std::vector<int64_t> part(17);
        pool.parallel_for(17, [&](int64_t i) { part[static_cast<size_t>(i)] = i + round; });
        sum += std::accumulate(part.begin(), part.end(), int64_t{0});
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(sum == 24 * (200 * (16 * 17 / 2) + 17 * (199 * 200 / 2)));
}

TEST_CASE("parallel_for: nested calls run in the calling thread") {
  ThreadPool outer(3), inner(3);
  std::atomic<int> runs{0}, elsewhere{0};
  for (int round = 0; round < 50; ++round) {
    outer.parallel_for(5, [&](int64_t) {
      const auto self = std::this_thread::get_id();
      for (ThreadPool* pool : {&outer, &inner}) {
        pool->parallel_for(4, [&](int64_t) {
          ++runs;
          elsewhere += std::this_thread::get_id() != self;
        });
      }
    });
  }
  CHECK(runs == 50 * 5 * 2 * 4);
  CHECK(elsewhere == 0);
}

TEST_CASE("parallel_for: rethrows, and the pool works on") {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 100; ++round) {
      std::atomic<int> runs{0};
      CHECK_THROWS_AS(pool.parallel_for(50,
                                        [&](int64_t i) {
                                          ++runs;
                                          if (i % 10 == 3) throw std::runtime_error("index");
                                        }),
                      std::runtime_error);
      CHECK(runs >= 1);
      CHECK(runs <= 50);
      CHECK(runs_of_each(pool, 9) == std::vector<int>(9, 1));
    }
  }
}

TEST_CASE("parallel_for: runs in the default float mode, whatever the caller's") {
  const auto rounds_up = [] {
    volatile float one = 1.0f, tiny = 1e-10f;
    return one + tiny > 1.0f;
  };
  ThreadPool pool(3);
  REQUIRE(std::fesetround(FE_UPWARD) == 0);
  const bool up_before = rounds_up();
  std::atomic<int> up{0};
  pool.parallel_for(30, [&](int64_t) { up += rounds_up(); });
  parallel_for(nullptr, 1, [&](int64_t) { up += rounds_up(); });
  const bool up_after = rounds_up();
  std::fesetround(FE_TONEAREST);
  CHECK(up_before);
  CHECK(up_after);
  CHECK(up == 0);
}

TEST_CASE("parallel_for: threads without work sleep") {
  ThreadPool pool(8);
  runs_of_each(pool, 1000);
  std::this_thread::sleep_for(Milliseconds(20));
  const double before = processor_seconds();
  std::this_thread::sleep_for(Milliseconds(300));
  CHECK(processor_seconds() - before < 0.03);
}

TEST_CASE("parallel_for: after fork, old pools and new ones work in the child") {
  ThreadPool pool(3);
  runs_of_each(pool, 100);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::vector<int> once(100, 1);
    bool right = runs_of_each(pool, 100) == once;
#if !defined(__SANITIZE_THREAD__)  // which cannot start threads in such a child
    {
      ThreadPool fresh(3);
      right = right && runs_of_each(fresh, 100) == once;
      auto other = std::make_unique<ThreadPool>(2);
      right = right && runs_of_each(*other, 100) == once;
    }
#endif
    _exit(right ? 0 : 1);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(runs_of_each(pool, 100) == std::vector<int>(100, 1));
}

TEST_CASE("ThreadPool: pools come and go while others work") {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 100; ++round) {
        ThreadPool pool(2 + round % 4);
        wrong += runs_of_each(pool, 12) != std::vector<int>(12, 1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(wrong == 0);
}

TEST_CASE("ThreadPool: refuses impossible numbers of threads") {
  for (const int threads : {-1, 257}) {
    try {
      ThreadPool pool(threads);
      FAIL("accepted");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::bad_value);
    }
  }
  CHECK(ThreadPool(0).threads() >= 1);
}

}  // namespace
}  // namespace facsim::sim
