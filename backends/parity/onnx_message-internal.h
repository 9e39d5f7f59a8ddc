// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace facsim::backends::detail {

/// Walks the fields of one message of an ONNX file, in the protobuf wire format. Error bad_value
/// "PLACE@BYTE" for damaged data.
class OnnxMessage {
 public:
  /// `bytes` start at byte `offset` of what `place` names; both must outlive the walk.
  OnnxMessage(std::string_view bytes, size_t offset, std::string_view place)
      : bytes_(bytes), offset_(offset), place_(place) {}

  /// Moves to the next field; false at the end.
  bool next();

  uint64_t field() const { return field_; }
  uint64_t number() const { return number_; }      ///< of a varint, else 0
  std::string_view data() const { return data_; }  ///< of a field with bytes, else empty
  std::string text() const { return std::string(data_); }
  /// The field's bytes as a message.
  OnnxMessage message() const { return {data_, offset_ + at_ - data_.size(), place_}; }
  /// A field of packed or single integers.
  void append_integers(std::vector<int64_t>& out) const;

 private:
  [[noreturn]] void fail(std::string found) const;
  void take(uint64_t count);
  uint64_t varint();

  std::string_view bytes_;
  size_t offset_;
  std::string_view place_;
  size_t at_ = 0;
  uint64_t field_ = 0;
  uint64_t number_ = 0;
  std::string_view data_;
  bool has_bytes_ = false;
};

}  // namespace facsim::backends::detail
