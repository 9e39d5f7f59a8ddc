// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace facsim {

/// How an element is stored. Names are numpy's.
enum class DType : uint8_t { int8, uint8, int16, uint16, int32, int64, float32 };

std::string_view to_string(DType dtype);
constexpr size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::int8:
    case DType::uint8:
      return 1;
    case DType::int16:
    case DType::uint16:
      return 2;
    case DType::int32:
    case DType::float32:
      return 4;
    case DType::int64:
      return 8;
  }
  return 0;
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<int8_t> {
  static constexpr DType value = DType::int8;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::uint8;
};
template <>
struct DTypeOf<int16_t> {
  static constexpr DType value = DType::int16;
};
template <>
struct DTypeOf<uint16_t> {
  static constexpr DType value = DType::uint16;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::int32;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::int64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::float32;
};

namespace sim {

/// A logical integer type: two's complement if signed, 1..64 bits (unsigned: 1..63). Values are
/// kept in the smallest DType that holds them (int4 in int8).
struct IntType {
  int bits = 8;
  bool is_signed = true;

  constexpr int64_t min() const { return is_signed ? -max() - 1 : 0; }
  constexpr int64_t max() const {
    const int magnitude_bits = is_signed ? bits - 1 : bits;
    return magnitude_bits >= 63 ? INT64_MAX : (int64_t{1} << magnitude_bits) - 1;
  }
  constexpr DType storage() const {
    if (bits <= 8) return is_signed ? DType::int8 : DType::uint8;
    if (bits <= 16) return is_signed ? DType::int16 : DType::uint16;
    if (bits <= 32 && is_signed) return DType::int32;
    return DType::int64;
  }
  friend constexpr bool operator==(const IntType&, const IntType&) = default;
};

/// "int8", "uint4".
std::string to_string(IntType type);
/// The reverse; 1..64 bits (unsigned: 1..63), nothing for any other text.
std::optional<IntType> int_type_from_string(std::string_view word);

inline constexpr IntType kInt8{8, true};
inline constexpr IntType kUint8{8, false};
inline constexpr IntType kInt16{16, true};
inline constexpr IntType kInt32{32, true};

/// The IntType that fills an integer DType.
constexpr IntType full_range(DType dtype) {
  switch (dtype) {
    case DType::int8:
      return {8, true};
    case DType::uint8:
      return {8, false};
    case DType::int16:
      return {16, true};
    case DType::uint16:
      return {16, false};
    case DType::int32:
      return {32, true};
    default:
      return {64, true};
  }
}

}  // namespace sim
}  // namespace facsim
