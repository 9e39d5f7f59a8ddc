// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/onnx_message-internal.h"

#include "sim/core/error.h"

namespace facsim::backends::detail {

bool OnnxMessage::next() {
  if (at_ == bytes_.size()) return false;
  const uint64_t key = varint();
  field_ = key >> 3;
  number_ = 0;
  data_ = {};
  has_bytes_ = (key & 7) == 2;
  switch (key & 7) {
    case 0:
      number_ = varint();
      break;
    case 1:
      take(8);
      break;
    case 2:
      take(varint());
      break;
    case 5:
      take(4);
      break;
    default:
      fail("wire type " + std::to_string(key & 7));
  }
  return true;
}

void OnnxMessage::append_integers(std::vector<int64_t>& out) const {
  if (!has_bytes_) {
    out.push_back(static_cast<int64_t>(number_));
    return;
  }
  OnnxMessage packed = message();
  while (packed.at_ < packed.bytes_.size()) out.push_back(static_cast<int64_t>(packed.varint()));
}

void OnnxMessage::fail(std::string found) const {
  throw Error({ErrorCode::bad_value, std::string(place_) + "@" + std::to_string(offset_ + at_),
               "not an ONNX model: " + std::move(found), "", ""});
}

void OnnxMessage::take(uint64_t count) {
  if (count > bytes_.size() - at_) fail("field reaches past the end");
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
