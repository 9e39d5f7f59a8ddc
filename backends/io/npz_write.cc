// SPDX-License-Identifier: Apache-2.0
#include <zlib.h>

#include <limits>
#include <set>

#include "backends/io/npy.h"
#include "backends/io/npy_codec-internal.h"
#include "backends/io/npz_write-internal.h"

namespace facsim::backends {

namespace {

// A .npz without compression is a zip of stored members: for each a local header and the data, then
// the central directory (PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3).
// Written directly so that arrays stream to the disk without a second copy in memory, and so that
// the same tensors give the same bytes.
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr uint32_t kCentralSignature = 0x02014b50;
constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kZip64EndSignature = 0x06064b50;
constexpr uint32_t kZip64LocatorSignature = 0x07064b50;
constexpr uint16_t kZip64Version = 45;
constexpr uint16_t kUtf8Names = 0x0800;
constexpr uint16_t kDosDate = 0x0021;  // 1980-01-01, numpy's constant date
constexpr uint32_t kInZip64Extra = std::numeric_limits<uint32_t>::max();

/// Little-endian fields one after the other.
class Record {
 public:
  Record& u16(uint64_t v) { return bytes(v, 2); }
  Record& u32(uint64_t v) { return bytes(v, 4); }
  Record& u64(uint64_t v) { return bytes(v, 8); }
  Record& text(std::string_view v) {
    data_ += v;
    return *this;
  }
  const std::string& data() const { return data_; }

 private:
  Record& bytes(uint64_t v, int count) {
    for (int i = 0; i < count; ++i) data_ += static_cast<char>(v >> (8 * i) & 0xff);
    return *this;
  }
  std::string data_;
};

struct WrittenMember {
  std::string name;
  uint64_t size = 0;
  uint64_t offset = 0;
  uint32_t crc = 0;
};

uint32_t crc_of(std::string_view header, const Tensor& tensor) {
  uLong crc = crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
  if (tensor.bytes() > 0) {
    crc = crc32_z(crc, static_cast<const Bytef*>(tensor.raw()), tensor.bytes());
  }
  return static_cast<uint32_t>(crc);
}

std::string local_header(const WrittenMember& entry) {
  return Record()
      .u32(kLocalSignature)
      .u16(kZip64Version)
      .u16(kUtf8Names)
      .u16(0)  // stored
      .u16(0)
      .u16(kDosDate)
      .u32(entry.crc)
      .u32(kInZip64Extra)
      .u32(kInZip64Extra)
      .u16(entry.name.size())
      .u16(20)  // the zip64 extra field: id, length, both sizes
      .text(entry.name)
      .u16(1)
      .u16(16)
      .u64(entry.size)
      .u64(entry.size)
      .data();
}

std::string central_header(const WrittenMember& entry) {
  return Record()
      .u32(kCentralSignature)
      .u16(kZip64Version)
      .u16(kZip64Version)
      .u16(kUtf8Names)
      .u16(0)
      .u16(0)
      .u16(kDosDate)
      .u32(entry.crc)
      .u32(kInZip64Extra)
      .u32(kInZip64Extra)
      .u16(entry.name.size())
      .u16(28)  // the zip64 extra field: id, length, both sizes, offset
      .u16(0)   // comment
      .u16(0)   // disk
      .u16(0)   // internal attributes
      .u32(0)   // external attributes
      .u32(kInZip64Extra)
      .text(entry.name)
      .u16(1)
      .u16(24)
      .u64(entry.size)
      .u64(entry.size)
      .u64(entry.offset)
      .data();
}

std::string end_of_directory(uint64_t entries, uint64_t size, uint64_t offset,
                             std::string_view comment) {
  const uint64_t end = offset + size;
  return Record()
      .u32(kZip64EndSignature)
      .u64(44)  // bytes of this record that follow
      .u16(kZip64Version)
      .u16(kZip64Version)
      .u32(0)
      .u32(0)
      .u64(entries)
      .u64(entries)
      .u64(size)
      .u64(offset)
      .u32(kZip64LocatorSignature)
      .u32(0)
      .u64(end)
      .u32(1)
      .u32(kEndSignature)
      .u16(0)
      .u16(0)
      .u16(0xffff)
      .u16(0xffff)
      .u32(kInZip64Extra)
      .u32(kInZip64Extra)
      .u16(comment.size())
      .text(comment)
      .data();
}

}  // namespace

namespace detail {

void write_npz(AtomicFile& out, const std::filesystem::path& file, const NamedTensors& tensors,
               std::string_view comment) {
  FACSIM_CHECK(comment.size() <= 0xffff);
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    if (!is_array_name(name) || !names.insert(name).second) {
      throw Error({ErrorCode::bad_value, file.string(), "array name \"" + name + "\"",
                   "distinct names of 1 to 60000 bytes without NUL, .. and \\", ""});
    }
  }
  std::string directory;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const std::string header = encode_npy_header(tensor);
    const WrittenMember entry{name + ".npy", header.size() + tensor.bytes(), offset,
                              crc_of(header, tensor)};
    const std::string local = local_header(entry);
    out.write(local);
    out.write(header);
    out.write(tensor.raw(), tensor.bytes());
    offset += local.size() + entry.size;
    directory += central_header(entry);
  }
  out.write(directory);
  out.write(end_of_directory(tensors.size(), directory.size(), offset, comment));
}

}  // namespace detail

void write_npz(const std::filesystem::path& file, const NamedTensors& tensors) {
  write_npz(file, tensors, {});
}

void write_npz(const std::filesystem::path& file, const NamedTensors& tensors,
               std::string_view comment) {
  detail::AtomicFile out(file);
  detail::write_npz(out, file, tensors, comment);
  out.commit();
}

}  // namespace facsim::backends
