// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "sim/core/check.h"
#include "sim/core/shape.h"
#include "sim/core/types.h"

namespace facsim {

/// A dense row-major array. Activations are NHWC (or [N, C]), weights OHWI (or [O, I]). A copy
/// shares the elements (like a PyTorch tensor); `clone()` copies them. Owned memory is 64-byte
/// aligned, zero-filled unless `uninitialized` is asked for, with at least 64 readable bytes behind
/// the last element, so that kernels may load whole vectors. A `view` does not own and has no such
/// guarantee: whoever makes it keeps the memory alive.
class Tensor {
 public:
  Tensor() = default;
  Tensor(DType dtype, Shape shape);
  static Tensor uninitialized(DType dtype, Shape shape);
  static Tensor view(DType dtype, Shape shape, void* data);
  template <class T>
  static Tensor from(Shape shape, std::span<const T> values);

  bool empty() const { return numel_ == 0; }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  int64_t numel() const { return numel_; }
  size_t bytes() const { return static_cast<size_t>(numel_) * size_of(dtype_); }
  void* raw() { return data_.get(); }
  const void* raw() const { return data_.get(); }

  template <class T>
  T* data() {
    FACSIM_CHECK(DTypeOf<T>::value == dtype_);
    return static_cast<T*>(raw());
  }
  template <class T>
  const T* data() const {
    FACSIM_CHECK(DTypeOf<T>::value == dtype_);
    return static_cast<const T*>(raw());
  }
  template <class T>
  std::span<T> values() {
    return {data<T>(), static_cast<size_t>(numel_)};
  }
  template <class T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<size_t>(numel_)};
  }

  /// Element by flat index, widened. Any integer dtype (float32: CHECK).
  int64_t int_at(int64_t index) const;
  void set_int(int64_t index, int64_t value);  ///< value must fit the dtype (CHECK)

  Tensor clone() const;
  /// The same elements under another shape of equal numel (CHECK).
  Tensor reshaped(Shape shape) const;
  /// Images [begin, begin + count) of the leading axis, sharing the elements.
  Tensor slice(int64_t begin, int64_t count) const;

 private:
  DType dtype_ = DType::int8;
  Shape shape_{0};
  int64_t numel_ = 0;
  std::shared_ptr<std::byte> data_;
};

template <class T>
Tensor Tensor::from(Shape shape, std::span<const T> values) {
  Tensor t(DTypeOf<T>::value, std::move(shape));
  FACSIM_CHECK_EQ(t.numel(), static_cast<int64_t>(values.size()));
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace facsim
