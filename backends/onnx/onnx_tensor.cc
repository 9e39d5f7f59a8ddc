// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/onnx_tensor-internal.h"

#include <charconv>
#include <cstring>
#include <limits>

namespace facsim::backends::detail {

namespace {

constexpr uint64_t kMaxTensorBytes = uint64_t{1} << 32;  ///< of all tensors of a model
constexpr size_t kMaxTensorRank = 32;

[[noreturn]] void fail_tensor(const std::string& where, std::string found, std::string expected,
                              ErrorCode code = ErrorCode::bad_value) {
  throw Error({code, where, std::move(found), std::move(expected), ""});
}

template <class T>
T load_element(std::string_view bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

uint64_t external_number(const std::string& text, std::string_view key, const std::string& where) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty() ||
      value > static_cast<uint64_t>(INT64_MAX)) {
    fail_tensor(where, "external data's " + std::string(key) + " \"" + text + "\"",
                "a number of bytes");
  }
  return value;
}

uint64_t packed_bytes(int64_t elements, int bits) {
  return (static_cast<uint64_t>(elements) * static_cast<uint64_t>(bits) + 7) / 8;
}

/// The range of values an element may have in a field of wider integers.
struct ElementRange {
  int64_t min = 0, max = 0;
};

ElementRange element_range(OnnxType type) {
  if (const auto codes = code_type(type)) return {codes->min(), codes->max()};
  if (type == OnnxType::boolean) return {0, 1};
  if (type == OnnxType::uint64) return {0, INT64_MAX};
  return {INT64_MIN, INT64_MAX};
}

void check_element(int64_t value, const ElementRange& range, int64_t index, OnnxType type,
                   const std::string& where) {
  if (value >= range.min && value <= range.max) return;
  fail_tensor(
      where, "value " + std::to_string(value) + " at element " + std::to_string(index),
      to_string(type) + ", " + std::to_string(range.min) + ".." + std::to_string(range.max));
}

bool is_half_float(OnnxType type) {
  return type == OnnxType::float16 || type == OnnxType::bfloat16;
}

float from_half(OnnxType type, uint16_t bits) {
  return type == OnnxType::float16 ? from_float16(bits) : from_bfloat16(bits);
}

/// Codes of less than 8 bits, the first in the lowest bits of a byte.
void unpack_codes(std::string_view raw, int bits, Tensor& out, bool is_signed) {
  const int per_byte = 8 / bits;
  for (int64_t i = 0; i < out.numel(); ++i) {
    const auto byte = static_cast<unsigned char>(raw[static_cast<size_t>(i / per_byte)]);
    int64_t code = byte >> (i % per_byte * bits) & ((1 << bits) - 1);
    if (is_signed && code >> (bits - 1) != 0) code -= int64_t{1} << bits;
    out.set_int(i, code);
  }
}

std::string pack_codes(const Tensor& values, int bits) {
  const int per_byte = 8 / bits;
  std::string raw(static_cast<size_t>(packed_bytes(values.numel(), bits)), '\0');
  for (int64_t i = 0; i < values.numel(); ++i) {
    auto& byte = raw[static_cast<size_t>(i / per_byte)];
    const auto code = static_cast<unsigned>(values.int_at(i)) & ((1u << bits) - 1);
    byte = static_cast<char>(static_cast<unsigned char>(byte) | code << (i % per_byte * bits));
  }
  return raw;
}

}  // namespace

void decode_raw(std::string_view raw, OnnxTensor& out, const std::string& where) {
  const int bits = raw_bits(out.type);
  Tensor& values = out.values;
  const uint64_t expected = packed_bytes(values.numel(), bits);
  if (raw.size() != expected) {
    fail_tensor(
        where, "data of " + std::to_string(raw.size()) + " bytes",
        std::to_string(expected) + " for " + to_string(out.type) + " " + to_string(values.shape()));
  }
  if (values.empty()) return;
  if (bits < 8) {
    unpack_codes(raw, bits, values, code_type(out.type)->is_signed);
    return;
  }
  const ElementRange range = element_range(out.type);
  for (int64_t i = 0; i < values.numel(); ++i) {
    const auto at = static_cast<size_t>(i);
    if (is_half_float(out.type)) {
      values.data<float>()[i] = from_half(out.type, load_element<uint16_t>(raw, at));
    } else if (out.type == OnnxType::float64) {
      values.data<float>()[i] = static_cast<float>(load_element<double>(raw, at));
    } else if (out.type == OnnxType::uint32) {
      values.data<int64_t>()[i] = load_element<uint32_t>(raw, at);
    } else {
      std::memcpy(values.raw(), raw.data(), raw.size());
      break;
    }
  }
  if (out.type == OnnxType::boolean || out.type == OnnxType::uint64) {
    for (int64_t i = 0; i < values.numel(); ++i) {
      check_element(values.int_at(i), range, i, out.type, where);
    }
  }
}

std::string encode_raw(const OnnxTensor& tensor, const std::string& where) {
  const Tensor& values = tensor.values;
  const int bits = raw_bits(tensor.type);
  if (bits == 0) {
    fail_tensor(where, "tensor of " + to_string(tensor.type), "a type that facsim holds",
                ErrorCode::unsupported);
  }
  if (values.dtype() != *storage_of(tensor.type)) {
    fail_tensor(where,
                std::string(to_string(values.dtype())) + " values for " + to_string(tensor.type),
                std::string(to_string(*storage_of(tensor.type))));
  }
  if (values.dtype() != DType::float32) {
    const ElementRange range = element_range(tensor.type);
    for (int64_t i = 0; i < values.numel(); ++i) {
      check_element(values.int_at(i), range, i, tensor.type, where);
    }
  }
  if (bits < 8) return pack_codes(values, bits);
  std::string raw(static_cast<size_t>(packed_bytes(values.numel(), bits)), '\0');
  const auto store = [&](int64_t i, auto value) {
    std::memcpy(raw.data() + static_cast<size_t>(i) * sizeof value, &value, sizeof value);
  };
  for (int64_t i = 0; i < values.numel(); ++i) {
    if (tensor.type == OnnxType::float16) {
      store(i, to_float16(values.data<float>()[i]));
    } else if (tensor.type == OnnxType::bfloat16) {
      store(i, to_bfloat16(values.data<float>()[i]));
    } else if (tensor.type == OnnxType::float64) {
      store(i, static_cast<double>(values.data<float>()[i]));
    } else if (tensor.type == OnnxType::uint32) {
      store(i, static_cast<uint32_t>(values.int_at(i)));
    } else {
      std::memcpy(raw.data(), values.raw(), raw.size());
      break;
    }
  }
  return raw;
}

/// What a TensorProto says; elements are decoded in a second walk, when their number is known.
struct OnnxTensorReader::Fields {
  std::string name;
  std::vector<int64_t> dims;
  uint64_t type = 0;
  std::optional<std::string_view> raw;
  uint64_t typed_bytes = 0;  ///< of the fields with one element type
  uint64_t typed_field = 0;
  bool is_external = false;
  OnnxExternal external;
};

OnnxTensorReader::Fields OnnxTensorReader::fields_of(OnnxMessage message) const {
  Fields out;
  const auto read_entry = [&](OnnxMessage entry) {
    std::string key, value;
    while (entry.next()) {
      if (entry.field() == 1) key = entry.text();
      if (entry.field() == 2) value = entry.text();
    }
    const std::string where = place_ + ": tensor \"" + out.name + "\"";
    if (key == "location") out.external.location = value;
    if (key == "offset") out.external.offset = external_number(value, key, where);
    if (key == "length") out.external.length = external_number(value, key, where);
  };
  while (message.next()) {
    switch (message.field()) {
      case 1:
        message.each_integer([&](int64_t extent) {
          if (out.dims.size() == kMaxTensorRank)
            message.fail("a tensor of more than 32 dimensions");
          out.dims.push_back(extent);
        });
        break;
      case 2:
        out.type = message.number();
        break;
      case 3:
        message.fail("a tensor in segments");
      case 4:
      case 5:
      case 6:
      case 7:
      case 10:
      case 11:
        if (out.typed_bytes > 0 && out.typed_field != message.field()) {
          message.fail("a tensor with elements in two fields");
        }
        out.typed_field = message.field();
        out.typed_bytes += message.encoded_bytes();
        break;
      case 8:
        out.name = message.text();
        break;
      case 9:
        out.raw = message.data();
        break;
      case 13:
        read_entry(message.message());
        break;
      case 14:
        if (message.number() > 1) message.fail("data location " + std::to_string(message.number()));
        out.is_external = message.number() == 1;
        break;
      default:
        break;
    }
  }
  return out;
}

void OnnxTensorReader::allocate(OnnxTensor& out, const Shape& shape, const std::string& where) {
  const DType dtype = *storage_of(out.type);
  const uint64_t bytes = static_cast<uint64_t>(shape.numel()) * size_of(dtype);
  if (bytes > kMaxTensorBytes - bytes_) {
    fail_tensor(where, "tensors of more than " + std::to_string(kMaxTensorBytes) + " bytes", "");
  }
  bytes_ += bytes;
  out.values = Tensor(dtype, shape);
}

void OnnxTensorReader::read_elements(OnnxMessage message, const Fields& fields, OnnxTensor& out,
                                     const std::string& where) const {
  // onnx.proto: which field has the elements of a type.
  const auto field_of = [](OnnxType type) -> uint64_t {
    switch (type) {
      case OnnxType::float32:
        return 4;
      case OnnxType::int64:
        return 7;
      case OnnxType::float64:
        return 10;
      case OnnxType::uint32:
      case OnnxType::uint64:
        return 11;
      default:
        return 5;
    }
  };
  if (fields.typed_field != field_of(out.type)) {
    fail_tensor(where,
                to_string(out.type) + " elements in field " + std::to_string(fields.typed_field),
                "field " + std::to_string(field_of(out.type)) + " of TensorProto");
  }
  Tensor& values = out.values;
  const int bits = raw_bits(out.type);
  const int64_t expected =
      bits < 8 ? static_cast<int64_t>(packed_bytes(values.numel(), bits)) : values.numel();
  std::string bytes;  // of codes of less than 8 bits
  int64_t count = 0;
  const auto fail_count = [&] {
    fail_tensor(where,
                (count > expected ? "more than " : std::to_string(count) + " of ") +
                    std::to_string(expected) + " elements",
                "as many as fill " + to_string(values.shape()));
  };
  const ElementRange range = bits < 8                  ? ElementRange{-128, 255}
                             : is_half_float(out.type) ? ElementRange{0, 65535}
                                                       : element_range(out.type);
  const auto put_integer = [&](int64_t value) {
    if (count++ >= expected) fail_count();
    check_element(value, range, count - 1, out.type, where);
    if (bits < 8) {
      bytes.push_back(static_cast<char>(value));
    } else if (is_half_float(out.type)) {
      values.data<float>()[count - 1] = from_half(out.type, static_cast<uint16_t>(value));
    } else {
      values.set_int(count - 1, value);
    }
  };
  const auto put_reals = [&]<class T>(std::string_view data, T) {
    for (size_t i = 0; i < data.size() / sizeof(T); ++i) {
      if (count++ >= expected) fail_count();
      values.data<float>()[count - 1] = static_cast<float>(load_element<T>(data, i));
    }
  };
  while (message.next()) {
    if (message.field() != fields.typed_field) continue;
    if (message.field() == 4) {
      put_reals(message.fixed_width(4), float{});
    } else if (message.field() == 10) {
      put_reals(message.fixed_width(8), double{});
    } else {
      message.each_integer(put_integer);
    }
  }
  if (count != expected) fail_count();
  if (bits < 8) decode_raw(bytes, out, where);
}

OnnxTensor OnnxTensorReader::read(OnnxMessage message, std::string_view what) {
  const Fields fields = fields_of(message);
  OnnxTensor out;
  out.name = fields.name;
  const std::string where =
      place_ + ": " +
      (fields.name.empty() ? std::string(what) : std::string(what) + " \"" + fields.name + "\"");
  out.type = fields.type > 1000 ? OnnxType{1000} : static_cast<OnnxType>(fields.type);
  if (!is_known(out.type)) {
    fail_tensor(where, "element type number " + std::to_string(fields.type), "one of 1..26");
  }
  if (!storage_of(out.type)) return out;
  const Shape shape{fields.dims};
  int64_t elements = 0;
  try {
    elements = shape.numel();
  } catch (const Error& error) {
    fail_tensor(where, error.infos().front().place + ": " + error.infos().front().found,
                error.infos().front().expected);
  }
  if ((fields.raw && fields.typed_bytes > 0) ||
      (fields.is_external && (fields.raw || fields.typed_bytes > 0))) {
    fail_tensor(where, "elements in two places", "raw data, a typed field or external data");
  }
  const uint64_t bytes = packed_bytes(elements, raw_bits(out.type));
  if (fields.is_external) {
    if (folder_ == nullptr) {
      fail_tensor(where, "external data \"" + fields.external.location + "\"",
                  "a model in a file, with its data beside it", ErrorCode::unsupported);
    }
    if (bytes > kMaxTensorBytes)
      fail_tensor(where, "tensor of " + std::to_string(bytes) + " bytes", "");
    const std::string raw = folder_->read(fields.external, bytes, where);
    allocate(out, shape, where);
    decode_raw(raw, out, where);
  } else if (fields.typed_bytes > 0) {
    // At least a byte an element, or a byte for a few of them: checked before anything is
    // allocated.
    if (fields.typed_bytes < (raw_bits(out.type) < 8 ? bytes : static_cast<uint64_t>(elements))) {
      fail_tensor(where, "too few elements", "as many as fill " + to_string(shape));
    }
    allocate(out, shape, where);
    read_elements(message, fields, out, where);
  } else {
    const std::string_view raw = fields.raw.value_or(std::string_view());
    if (raw.size() != bytes) {
      fail_tensor(where, "data of " + std::to_string(raw.size()) + " bytes",
                  std::to_string(bytes) + " for " + to_string(out.type) + " " + to_string(shape));
    }
    allocate(out, shape, where);
    decode_raw(raw, out, where);
  }
  return out;
}

}  // namespace facsim::backends::detail
