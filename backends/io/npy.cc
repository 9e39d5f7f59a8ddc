// SPDX-License-Identifier: Apache-2.0
#include "backends/io/npy.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>

#include "backends/io/file-internal.h"
#include "backends/io/npy_codec-internal.h"

static_assert(std::endian::native == std::endian::little,
              "the .npy codec copies little-endian elements as they are");

namespace facsim::backends {

namespace detail {

/// How a numpy type is stored and which DType holds its values.
struct ElementType {
  std::string_view descr;
  size_t bytes;
  DType dtype;
  bool converted;  ///< stored otherwise than the DType
};

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr uint64_t kMaxHeaderBytes = 65536;

[[noreturn]] void fail(std::string_view place, uint64_t byte, std::string found,
                       std::string expected = "") {
  throw Error({ErrorCode::bad_value, std::string(place) + "@" + std::to_string(byte),
               std::move(found), std::move(expected), ""});
}

constexpr std::array<ElementType, 11> kElementTypes{{
    {"|i1", 1, DType::int8, false},
    {"|u1", 1, DType::uint8, false},
    {"<i2", 2, DType::int16, false},
    {"<u2", 2, DType::uint16, false},
    {"<i4", 4, DType::int32, false},
    {"<i8", 8, DType::int64, false},
    {"<f4", 4, DType::float32, false},
    {"|b1", 1, DType::uint8, true},
    {"<u4", 4, DType::int64, true},
    {"<u8", 8, DType::int64, true},
    {"<f8", 8, DType::float32, true},
}};

const ElementType& element_type(const std::string& descr, std::string_view place) {
  for (const ElementType& type : kElementTypes) {
    if (type.descr == descr) return type;
  }
  throw Error({ErrorCode::unsupported, std::string(place), "dtype \"" + descr + "\"",
               "a little-endian integer, float32 or float64 type", ""});
}

std::string_view descr_of(DType dtype) {
  for (const ElementType& type : kElementTypes) {
    if (type.dtype == dtype && !type.converted) return type.descr;
  }
  return "";
}

/// Reads exactly `count` bytes at `byte` of the file.
void read_exactly(const ReadBytes& read, void* buffer, size_t count, std::string_view place,
                  uint64_t byte) {
  const size_t got = read(buffer, count);
  if (got != count) {
    fail(place, byte + got, "data end here",
         std::to_string(count - got) + " more bytes (file truncated)");
  }
}

/// The value of one stored element in `dtype`, or nothing if it would change.
template <class Stored, class Held>
bool convert_exactly(Stored value, Held& out) {
  if constexpr (std::is_same_v<Stored, double>) {
    out = static_cast<float>(value);
    return static_cast<double>(out) == value || value != value;
  } else {
    if (value > static_cast<uint64_t>(std::numeric_limits<Held>::max())) return false;
    out = static_cast<Held>(value);
    return true;
  }
}

template <class Stored, class Held>
void convert_all(const std::vector<std::byte>& stored, Tensor& tensor, std::string_view place) {
  Held* out = tensor.data<Held>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    Stored value;
    std::memcpy(&value, stored.data() + static_cast<size_t>(i) * sizeof(Stored), sizeof(Stored));
    if (!convert_exactly(value, out[i])) {
      throw Error({ErrorCode::bad_value, std::string(place),
                   "element " + std::to_string(i) + " is not exact in " +
                       std::string(to_string(tensor.dtype())),
                   "", "store it as " + std::string(to_string(tensor.dtype()))});
    }
  }
}

Tensor convert(const std::vector<std::byte>& stored, const ElementType& type, const Shape& shape,
               std::string_view place) {
  Tensor tensor = Tensor::uninitialized(type.dtype, shape);
  if (type.descr == "|b1") {
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      const auto value = static_cast<uint8_t>(stored[static_cast<size_t>(i)]);
      if (value > 1)
        fail(place, static_cast<uint64_t>(i), "bool " + std::to_string(value), "0 or 1");
      tensor.data<uint8_t>()[i] = value;
    }
  } else if (type.descr == "<u4") {
    convert_all<uint32_t, int64_t>(stored, tensor, place);
  } else if (type.descr == "<u8") {
    convert_all<uint64_t, int64_t>(stored, tensor, place);
  } else {
    convert_all<double, float>(stored, tensor, place);
  }
  return tensor;
}

/// Elements stored first axis fastest, brought to C order.
Tensor from_fortran_order(const Tensor& stored, const Shape& shape) {
  Tensor tensor = Tensor::uninitialized(stored.dtype(), shape);
  const size_t bytes = size_of(stored.dtype());
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()), 0);
  const auto* from = static_cast<const std::byte*>(stored.raw());
  auto* to = static_cast<std::byte*>(tensor.raw());
  for (int64_t i = 0; i < stored.numel(); ++i) {
    int64_t flat = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      flat = flat * shape[axis] + index[static_cast<size_t>(axis)];
    }
    std::memcpy(to + static_cast<size_t>(flat) * bytes, from + static_cast<size_t>(i) * bytes,
                bytes);
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (++index[static_cast<size_t>(axis)] < shape[axis]) break;
      index[static_cast<size_t>(axis)] = 0;
    }
  }
  return tensor;
}

}  // namespace

OpenedNpy open_npy(const ReadBytes& read, uint64_t size, std::string_view place) {
  if (size < 10) fail(place, 0, "file of " + std::to_string(size) + " bytes", "a .npy header");
  std::array<unsigned char, 12> prefix{};
  read_exactly(read, prefix.data(), 8, place, 0);
  if (std::memcmp(prefix.data(), kMagic.data(), kMagic.size()) != 0) {
    fail(place, 0, "bad magic", "\\x93NUMPY");
  }
  const int version = prefix[6];
  if (version < 1 || version > 3 || prefix[7] != 0) {
    fail(place, 6, "version " + std::to_string(version) + "." + std::to_string(prefix[7]),
         "1.0, 2.0 or 3.0");
  }
  const size_t length_bytes = version == 1 ? 2 : 4;
  read_exactly(read, prefix.data() + 8, length_bytes, place, 8);
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < length_bytes; ++i) header_bytes |= uint64_t{prefix[8 + i]} << (8 * i);
  const uint64_t header_at = 8 + length_bytes;
  if (header_bytes > size - std::min(size, header_at)) {
    fail(place, 8, "header of " + std::to_string(header_bytes) + " bytes reaches past the end",
         "at most " + std::to_string(size - std::min(size, header_at)));
  }
  if (header_bytes > kMaxHeaderBytes) {
    fail(place, 8, "header of " + std::to_string(header_bytes) + " bytes",
         "at most " + std::to_string(kMaxHeaderBytes));
  }
  std::string text(static_cast<size_t>(header_bytes), '\0');
  read_exactly(read, text.data(), text.size(), place, header_at);
  NpyHeader header = parse_npy_header(text, place, header_at);
  const ElementType& type = element_type(header.descr, place);

  uint64_t data_bytes = type.bytes;
  bool zero_size = false;
  for (const int64_t extent : header.shape) zero_size |= extent == 0;
  if (zero_size) data_bytes = 0;
  for (const int64_t extent : header.shape) {
    if (zero_size) break;
    if (data_bytes > kMaxArrayBytes / static_cast<uint64_t>(extent)) {
      fail(place, header_at, "shape " + to_string(header.shape) + " is too large",
           "at most " + std::to_string(kMaxArrayBytes) + " bytes");
    }
    data_bytes *= static_cast<uint64_t>(extent);
  }
  const uint64_t data_at = header_at + header_bytes;
  if (size - data_at != data_bytes) {
    fail(place, data_at, "data: " + std::to_string(size - data_at) + " bytes",
         std::to_string(data_bytes) + " for shape " + to_string(header.shape));
  }
  const bool as_stored = !type.converted && (!header.fortran_order || header.shape.rank() <= 1);
  return {std::move(header), &type, type.dtype, as_stored, data_at, data_bytes};
}

Tensor decode_npy(const ReadBytes& read, uint64_t size, std::string_view place) {
  return decode_elements(read, open_npy(read, size, place), place);
}

Tensor decode_elements(const ReadBytes& read, const OpenedNpy& opened, std::string_view place) {
  const auto& [header, type, dtype, as_stored, data_at, data_bytes] = opened;
  Shape stored_shape = header.shape;
  if (header.fortran_order && stored_shape.rank() > 1) stored_shape = Shape{header.shape.numel()};
  Tensor tensor;
  if (type->converted) {
    std::vector<std::byte> stored(static_cast<size_t>(data_bytes));
    read_exactly(read, stored.data(), stored.size(), place, data_at);
    tensor = convert(stored, *type, stored_shape, place);
  } else {
    tensor = Tensor::uninitialized(type->dtype, stored_shape);
    read_exactly(read, tensor.raw(), static_cast<size_t>(data_bytes), place, data_at);
  }
  if (header.fortran_order && header.shape.rank() > 1) {
    return from_fortran_order(tensor, header.shape);
  }
  return tensor;
}

std::vector<double> decode_npy_float64(const ReadBytes& read, uint64_t size,
                                       std::string_view place) {
  const auto [header, type, dtype, as_stored, data_at, data_bytes] = open_npy(read, size, place);
  if (header.descr != "<f8" || header.shape.rank() > 1) {
    fail(place, 0, "dtype \"" + header.descr + "\" of shape " + to_string(header.shape),
         "a float64 vector");
  }
  std::vector<double> values(static_cast<size_t>(data_bytes) / sizeof(double));
  read_exactly(read, values.data(), static_cast<size_t>(data_bytes), place, data_at);
  return values;
}

bool is_array_name(std::string_view name) {
  constexpr size_t kMaxBytes = 60000;  // a zip holds names of up to 65535 bytes
  const std::string padded = "/" + std::string(name) + "/";
  return !name.empty() && name.size() <= kMaxBytes &&
         name.find_first_of(std::string_view("\\\0", 2)) == std::string_view::npos &&
         padded.find("/../") == std::string::npos;
}

std::string encode_npy_header(const Tensor& tensor) {
  std::string shape = "(";
  for (const int64_t extent : tensor.shape()) shape += std::to_string(extent) + ", ";
  if (tensor.shape().rank() == 1) shape.pop_back();               // "(3,)"
  if (tensor.shape().rank() > 1) shape.resize(shape.size() - 2);  // "(3, 4)"
  shape += ")";
  std::string text = "{'descr': '" + std::string(descr_of(tensor.dtype())) +
                     "', 'fortran_order': False, 'shape': " + shape + ", }";
  constexpr size_t kAlignment = 64;  // numpy aligns the data so that a file can be mapped
  const size_t unpadded = kMagic.size() + 4 + text.size() + 1;
  text.append((kAlignment - unpadded % kAlignment) % kAlignment, ' ');
  text += '\n';
  std::string header(kMagic);
  header += '\x01';
  header += '\0';
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

}  // namespace detail

Tensor read_npy(const std::filesystem::path& file) {
  const detail::RegularFile in = detail::open_regular_file(file);
  return detail::decode_npy(
      [&](void* buffer, size_t count) {
        return detail::read_fully(in.fd.get(), buffer, count, file);
      },
      in.size, file.string());
}

void write_npy(const std::filesystem::path& file, const Tensor& tensor) {
  detail::AtomicFile out(file);
  out.write(detail::encode_npy_header(tensor));
  out.write(tensor.raw(), tensor.bytes());
  out.commit();
}

}  // namespace facsim::backends
