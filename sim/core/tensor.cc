// SPDX-License-Identifier: Apache-2.0
#include "sim/core/tensor.h"

#include <cstdlib>
#include <cstring>
#include <limits>

#include "sim/core/error.h"

namespace facsim {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kTail = 64;  // readable bytes behind the last element

std::shared_ptr<std::byte> allocate(size_t bytes) {
  const size_t total = (bytes + kTail + kAlignment - 1) / kAlignment * kAlignment;
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, total));
  if (memory == nullptr) {
    throw Error({ErrorCode::bad_value, "tensor",
                 "out of memory for " + std::to_string(bytes) + " bytes", "",
                 "use a smaller batch"});
  }
  return {memory, [](std::byte* p) { std::free(p); }};
}

}  // namespace

Tensor Tensor::uninitialized(DType dtype, Shape shape) {
  Tensor t;
  t.dtype_ = dtype;
  t.numel_ = shape.numel();
  t.shape_ = std::move(shape);
  t.data_ = allocate(t.bytes());
  return t;
}

Tensor::Tensor(DType dtype, Shape shape) : Tensor(uninitialized(dtype, std::move(shape))) {
  std::memset(data_.get(), 0, bytes());
}

Tensor Tensor::view(DType dtype, Shape shape, void* data) {
  Tensor t;
  t.dtype_ = dtype;
  t.numel_ = shape.numel();
  t.shape_ = std::move(shape);
  t.data_ = std::shared_ptr<std::byte>(std::shared_ptr<void>(), static_cast<std::byte*>(data));
  return t;
}

int64_t Tensor::int_at(int64_t index) const {
  FACSIM_DCHECK(index >= 0 && index < numel_);
  const auto i = static_cast<size_t>(index);
  switch (dtype_) {
    case DType::int8:
      return static_cast<const int8_t*>(raw())[i];
    case DType::uint8:
      return static_cast<const uint8_t*>(raw())[i];
    case DType::int16:
      return static_cast<const int16_t*>(raw())[i];
    case DType::uint16:
      return static_cast<const uint16_t*>(raw())[i];
    case DType::int32:
      return static_cast<const int32_t*>(raw())[i];
    case DType::int64:
      return static_cast<const int64_t*>(raw())[i];
    case DType::float32:
      break;
  }
  FACSIM_CHECK(dtype_ != DType::float32);
  return 0;
}

namespace {
template <class T>
void store(void* data, int64_t index, int64_t value) {
  FACSIM_CHECK(value >= static_cast<int64_t>(std::numeric_limits<T>::min()) &&
               value <= static_cast<int64_t>(std::numeric_limits<T>::max()));
  static_cast<T*>(data)[index] = static_cast<T>(value);
}
}  // namespace

void Tensor::set_int(int64_t index, int64_t value) {
  FACSIM_DCHECK(index >= 0 && index < numel_);
  switch (dtype_) {
    case DType::int8:
      return store<int8_t>(raw(), index, value);
    case DType::uint8:
      return store<uint8_t>(raw(), index, value);
    case DType::int16:
      return store<int16_t>(raw(), index, value);
    case DType::uint16:
      return store<uint16_t>(raw(), index, value);
    case DType::int32:
      return store<int32_t>(raw(), index, value);
    case DType::int64:
      return store<int64_t>(raw(), index, value);
    case DType::float32:
      break;
  }
  FACSIM_CHECK(dtype_ != DType::float32);
}

Tensor Tensor::clone() const {
  Tensor t = uninitialized(dtype_, shape_);
  if (bytes() > 0) std::memcpy(t.raw(), raw(), bytes());
  return t;
}

Tensor Tensor::reshaped(Shape shape) const {
  FACSIM_CHECK_EQ(shape.numel(), numel_);
  Tensor t = *this;
  t.shape_ = std::move(shape);
  return t;
}

Tensor Tensor::slice(int64_t begin, int64_t count) const {
  FACSIM_CHECK(shape_.rank() >= 1 && begin >= 0 && count >= 0 && begin + count <= shape_[0]);
  Tensor t = *this;
  const int64_t stride = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  t.shape_[0] = count;
  t.numel_ = stride * count;
  t.data_ = std::shared_ptr<std::byte>(
      data_, data_.get() + static_cast<size_t>(stride * begin) * size_of(dtype_));
  return t;
}

}  // namespace facsim
