// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/onnx_message-internal.h"

#include <cstring>

#include "backends/text/utf8.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

bool OnnxMessage::next() {
  if (at_ == bytes_.size()) return false;
  const uint64_t key = varint();
  field_ = key >> 3;
  wire_ = key & 7;
  number_ = 0;
  data_ = {};
  if (field_ == 0) fail("field number 0");
  switch (wire_) {
    case kVarint:
      number_ = varint();
      break;
    case kFixed64:
      take(8);
      break;
    case kBytes:
      take(varint());
      break;
    case kFixed32:
      take(4);
      break;
    default:
      fail("wire type " + std::to_string(wire_));
  }
  return true;
}

uint64_t OnnxMessage::number() const {
  need(kVarint);
  return number_;
}

float OnnxMessage::real() const {
  need(kFixed32);
  float value = 0;
  std::memcpy(&value, data_.data(), sizeof value);
  return value;
}

std::string_view OnnxMessage::data() const {
  need(kBytes);
  return data_;
}

std::string OnnxMessage::text(size_t limit) const {
  need(kBytes);
  if (data_.size() > limit) {
    fail("text of " + std::to_string(data_.size()) + " bytes", "at most " + std::to_string(limit));
  }
  if (!is_utf8(data_)) fail("text that is not UTF-8");
  return std::string(data_);
}

std::string_view OnnxMessage::fixed_width(size_t width) const {
  if (wire_ == (width == 4 ? kFixed32 : kFixed64)) return data_;
  need(kBytes);
  if (data_.size() % width != 0) {
    fail(std::to_string(data_.size()) + " bytes of values of " + std::to_string(width));
  }
  return data_;
}

void OnnxMessage::fail(std::string found, std::string expected) const {
  throw Error({ErrorCode::bad_value, std::string(place_) + "@" + std::to_string(offset_ + at_),
               "not an ONNX model: " + std::move(found), std::move(expected), ""});
}

void OnnxMessage::need(Wire wire) const {
  if (wire_ != wire) {
    fail("field " + std::to_string(field_) + " has wire type " + std::to_string(wire_),
         std::to_string(wire));
  }
}

void OnnxMessage::take(uint64_t count) {
  if (count > bytes_.size() - at_) {
    fail("truncated: field " + std::to_string(field_) + " of " + std::to_string(count) +
         " bytes reaches past the end");
  }
  data_ = bytes_.substr(at_, static_cast<size_t>(count));
  at_ += static_cast<size_t>(count);
}

uint64_t OnnxMessage::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (at_ == bytes_.size()) fail("truncated");
    const auto byte = static_cast<unsigned char>(bytes_[at_++]);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  fail("number of more than 10 bytes");
}

}  // namespace facsim::backends::detail
