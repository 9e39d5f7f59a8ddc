// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>

namespace facsim::sim {

/// 64-byte aligned working memory that grows and is kept: glibc hands big blocks back to the kernel
/// on every free, which costs a page fault per page and run. Zero-filled when it grows, so reading
/// past what was written (whole vectors at a tail) reads defined bytes.
class Scratch {
 public:
  Scratch() = default;
  Scratch(Scratch&& other) noexcept
      : data_(std::move(other.data_)), bytes_(std::exchange(other.bytes_, 0)) {}
  Scratch& operator=(Scratch&& other) noexcept {
    data_ = std::move(other.data_);
    bytes_ = std::exchange(other.bytes_, 0);
    return *this;
  }

  template <class T>
  T* reserve(int64_t count) {
    const size_t bytes = static_cast<size_t>(count) * sizeof(T) + 64;
    if (bytes > bytes_) {
      data_.reset();
      bytes_ = 0;  // should there be no memory
      data_.reset(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{64})));
      std::memset(data_.get(), 0, bytes);
      bytes_ = bytes;
    }
    return reinterpret_cast<T*>(data_.get());
  }

 private:
  struct Delete {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{64}); }
  };
  std::unique_ptr<std::byte, Delete> data_;
  size_t bytes_ = 0;
};

/// Takes what a thread keeps in `slot` for as long as this lives. Whoever runs the same code inside
/// (a nested call) finds the slot empty, not in use.
template <class T>
class Borrowed {
 public:
  explicit Borrowed(T& slot) : slot_(slot), value_(std::move(slot)) {}
  ~Borrowed() { slot_ = std::move(value_); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  T& operator*() { return value_; }

 private:
  T& slot_;
  T value_;
};

}  // namespace facsim::sim
