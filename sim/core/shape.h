// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace facsim {

/// Extents of a tensor, outermost first. Rank 0 has one element; an extent may be 0.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> extents) : extents_(extents) {}
  explicit Shape(std::vector<int64_t> extents) : extents_(std::move(extents)) {}

  int rank() const { return static_cast<int>(extents_.size()); }
  int64_t operator[](int axis) const { return extents_[static_cast<size_t>(axis)]; }
  int64_t& operator[](int axis) { return extents_[static_cast<size_t>(axis)]; }
  auto begin() const { return extents_.begin(); }
  auto end() const { return extents_.end(); }
  const std::vector<int64_t>& extents() const { return extents_; }

  /// Product of the extents. Error bad_value if an extent is negative or the product passes 2^40.
  int64_t numel() const;

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::vector<int64_t> extents_;
};

/// "(1, 28, 28, 3)".
std::string to_string(const Shape& shape);

}  // namespace facsim
