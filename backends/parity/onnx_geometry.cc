// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/onnx_geometry-internal.h"

#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

/// Walks the fields of one protobuf message.
class Message {
 public:
  Message(std::string_view bytes, size_t offset, const std::string& place)
      : bytes_(bytes), offset_(offset), place_(place) {}

  /// Moves to the next field; false at the end.
  bool next() {
    if (at_ == bytes_.size()) return false;
    const uint64_t key = varint();
    field_ = key >> 3;
    number_ = 0;
    data_ = {};
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

  uint64_t field() const { return field_; }
  uint64_t number() const { return number_; }
  std::string_view data() const { return data_; }
  Message message() const { return Message(data_, offset_ + at_ - data_.size(), place_); }

  /// A field of packed or single integers.
  void append_integers(std::vector<int64_t>& out) const {
    if (data_.empty()) {
      out.push_back(static_cast<int64_t>(number_));
      return;
    }
    Message packed = message();
    while (packed.at_ < packed.bytes_.size()) {
      out.push_back(static_cast<int64_t>(packed.varint()));
    }
  }

 private:
  [[noreturn]] void fail(std::string found) const {
    throw Error({ErrorCode::bad_value, place_ + "@" + std::to_string(offset_ + at_),
                 "not an ONNX model: " + std::move(found), "", ""});
  }

  void take(uint64_t count) {
    if (count > bytes_.size() - at_) fail("field reaches past the end");
    data_ = bytes_.substr(at_, static_cast<size_t>(count));
    at_ += static_cast<size_t>(count);
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) fail("truncated");
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
    fail("number of more than 10 bytes");
  }

  std::string_view bytes_;
  size_t offset_;
  const std::string& place_;
  size_t at_ = 0;
  uint64_t field_ = 0;
  uint64_t number_ = 0;
  std::string_view data_;
};

void read_attribute(Message attribute, OnnxNode& node) {
  std::string name;
  std::vector<int64_t> integers;
  while (attribute.next()) {
    if (attribute.field() == 1) name = attribute.data();
    if (attribute.field() == 3 || attribute.field() == 8) attribute.append_integers(integers);
  }
  if (!integers.empty()) node.integers[name] = std::move(integers);
}

OnnxNode read_node(Message message) {
  OnnxNode node;
  while (message.next()) {
    if (message.field() == 4) node.op = message.data();
    if (message.field() == 5) read_attribute(message.message(), node);
  }
  return node;
}

}  // namespace

std::vector<OnnxNode> read_onnx_nodes(std::string_view model, const std::string& place) {
  std::vector<OnnxNode> nodes;
  Message top(model, 0, place);
  while (top.next()) {
    if (top.field() != 7) continue;
    Message graph = top.message();
    while (graph.next()) {
      if (graph.field() == 1) nodes.push_back(read_node(graph.message()));
    }
  }
  return nodes;
}

}  // namespace facsim::backends::detail
