// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace facsim::backends::detail {

/// Walks the fields of one message of an ONNX file, in the protobuf wire format. Error bad_value
/// "PLACE@BYTE" for damaged data, and for a field read as what it is not.
class OnnxMessage {
 public:
  static constexpr size_t kMaxName = 65535;

  /// `bytes` start at byte `offset` of what `place` names; both must outlive the walk.
  OnnxMessage(std::string_view bytes, size_t offset, std::string_view place)
      : bytes_(bytes), offset_(offset), place_(place) {}

  /// Moves to the next field; false at the end.
  bool next();

  uint64_t field() const { return field_; }
  size_t size() const { return bytes_.size(); }
  uint64_t number() const;        ///< of a varint
  float real() const;             ///< of 4 bytes
  std::string_view data() const;  ///< of a field with bytes
  /// UTF-8 of at most `limit` bytes.
  std::string text(size_t limit = kMaxName) const;
  /// The field's bytes as a message.
  OnnxMessage message() const { return {data(), offset_ + at_ - data_.size(), place_}; }

  /// Calls visit(int64_t) for each number of a field of packed or single varints.
  template <class Visit>
  void each_integer(const Visit& visit) const {
    if (wire_ == kVarint) {
      visit(static_cast<int64_t>(number_));
      return;
    }
    OnnxMessage packed = message();
    while (packed.at_ < packed.bytes_.size()) visit(static_cast<int64_t>(packed.varint()));
  }
  void append_integers(std::vector<int64_t>& out) const {
    each_integer([&](int64_t value) { out.push_back(value); });
  }
  /// Not less than the number of values in a field of packed or single numbers.
  size_t encoded_bytes() const { return wire_ == kVarint ? 1 : data_.size(); }
  /// The bytes of a field of packed or single values of `width` bytes each (4 or 8).
  std::string_view fixed_width(size_t width) const;

  /// Error bad_value at the place reached.
  [[noreturn]] void fail(std::string found, std::string expected = "") const;

 private:
  enum Wire : uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };
  void take(uint64_t count);
  void need(Wire wire) const;
  uint64_t varint();

  std::string_view bytes_;
  size_t offset_;
  std::string_view place_;
  size_t at_ = 0;
  uint64_t field_ = 0;
  uint64_t number_ = 0;
  std::string_view data_;
  uint64_t wire_ = kVarint;
};

}  // namespace facsim::backends::detail
