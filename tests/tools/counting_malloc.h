// SPDX-License-Identifier: Apache-2.0
// Replaces malloc and its relatives in this binary by glibc's own, counted. Include it in one file.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include <malloc.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FACSIM_HAS_OTHER_MALLOC
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define FACSIM_HAS_OTHER_MALLOC
#endif
#endif
#if defined(__GLIBC__) && !defined(FACSIM_HAS_OTHER_MALLOC)
#define FACSIM_COUNTS_MALLOC
#endif

#ifdef FACSIM_COUNTS_MALLOC

namespace facsim::test {

/// Bytes that are allocated now, as the allocator rounds them, and the most since the last
/// begin_peak.
inline std::atomic<size_t> malloc_live{0}, malloc_peak{0};

inline void* count_allocated(void* memory) {
  if (memory == nullptr) return nullptr;
  const size_t bytes = malloc_usable_size(memory);
  const size_t live = malloc_live.fetch_add(bytes) + bytes;
  size_t peak = malloc_peak.load();
  while (live > peak && !malloc_peak.compare_exchange_weak(peak, live)) {
  }
  return memory;
}
inline void count_freed(void* memory) {
  if (memory != nullptr) malloc_live.fetch_sub(malloc_usable_size(memory));
}
/// Returns what is live.
inline size_t begin_peak() {
  const size_t live = malloc_live.load();
  malloc_peak.store(live);
  return live;
}

}  // namespace facsim::test

extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);

void* malloc(size_t bytes) { return facsim::test::count_allocated(__libc_malloc(bytes)); }
void* calloc(size_t count, size_t bytes) {
  return facsim::test::count_allocated(__libc_calloc(count, bytes));
}
void* realloc(void* memory, size_t bytes) {
  facsim::test::count_freed(memory);
  return facsim::test::count_allocated(__libc_realloc(memory, bytes));
}
void* memalign(size_t alignment, size_t bytes) {
  return facsim::test::count_allocated(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  *memory = memalign(alignment, bytes);
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) {
  facsim::test::count_freed(memory);
  __libc_free(memory);
}
}

#endif
