// SPDX-License-Identifier: Apache-2.0
#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>

#include "backends/io/file-internal.h"
#include "backends/io/npy.h"

namespace facsim::backends {

namespace {

constexpr uint64_t kMaxBytes = uint64_t{1} << 30;

using GzFile = std::unique_ptr<gzFile_s, decltype(&gzclose)>;

[[noreturn]] void fail(const std::filesystem::path& file, std::string found,
                       std::string expected = "") {
  throw Error({ErrorCode::bad_value, file.string(), std::move(found), std::move(expected), ""});
}

/// Throws if zlib has met damaged data, a wrong checksum or an end inside the gzip stream.
void check_stream(gzFile_s* in, const std::filesystem::path& file) {
  int code = Z_OK;
  const char* message = gzerror(in, &code);
  if (code != Z_OK && code != Z_STREAM_END) {
    fail(file, std::string("damaged gzip data: ") + (message == nullptr ? "" : message));
  }
}

/// Reads up to `count` bytes of a plain or gzip file; fewer only at its end, whose checksum is then
/// verified.
size_t read_some(gzFile_s* in, void* buffer, size_t count, const std::filesystem::path& file) {
  constexpr size_t kChunk = size_t{1} << 20;
  size_t done = 0;
  while (done < count) {
    const int got = gzread(in, static_cast<char*>(buffer) + done,
                           static_cast<unsigned>(std::min(count - done, kChunk)));
    if (got <= 0) {
      check_stream(in, file);
      break;
    }
    done += static_cast<size_t>(got);
  }
  return done;
}

}  // namespace

Tensor read_idx(const std::filesystem::path& file) {
  detail::RegularFile opened = detail::open_regular_file(file);
  const GzFile in(gzdopen(opened.fd.get(), "rb"), &gzclose);
  if (!in) fail(file, "cannot be opened by zlib");
  opened.fd.release();  // gzclose closes it

  std::array<uint8_t, 4> magic{};
  if (read_some(in.get(), magic.data(), magic.size(), file) != magic.size()) {
    fail(file, "fewer than 4 bytes", "an IDX header");
  }
  if (magic[0] != 0 || magic[1] != 0) fail(file, "bad magic", "an IDX file (00 00 type rank)");
  constexpr uint8_t kUnsignedByte = 8;
  if (magic[2] != kUnsignedByte) {
    throw Error({ErrorCode::unsupported, file.string(),
                 "IDX element type " + std::to_string(magic[2]), "8 (unsigned byte)", ""});
  }
  const size_t rank = magic[3];
  if (rank < 1 || rank > 4) fail(file, "IDX rank " + std::to_string(rank), "1 to 4");

  std::vector<int64_t> extents;
  uint64_t bytes = 1;
  for (size_t axis = 0; axis < rank; ++axis) {
    std::array<uint8_t, 4> word{};
    if (read_some(in.get(), word.data(), word.size(), file) != word.size()) {
      fail(file, "header ends in extent " + std::to_string(axis));
    }
    const uint64_t extent = uint64_t{word[0]} << 24 | uint64_t{word[1]} << 16 |
                            uint64_t{word[2]} << 8 | uint64_t{word[3]};
    if (extent == 0) fail(file, "extent " + std::to_string(axis) + " is 0", "at least 1");
    if (bytes > kMaxBytes / extent) {
      fail(file, "extents multiply to more than " + std::to_string(kMaxBytes));
    }
    bytes *= extent;
    extents.push_back(static_cast<int64_t>(extent));
  }
  const uint64_t reachable =
      gzdirect(in.get()) != 0 ? opened.size : opened.size * detail::kLargestDeflateExpansion;
  if (bytes > reachable) {
    fail(file, "file of " + std::to_string(opened.size) + " bytes",
         std::to_string(bytes) + " data bytes as the header says (truncated or lying)");
  }
  Tensor tensor = Tensor::uninitialized(DType::uint8, Shape(std::move(extents)));
  const size_t got = read_some(in.get(), tensor.raw(), tensor.bytes(), file);
  if (got != tensor.bytes()) {
    fail(file, "data: " + std::to_string(got) + " bytes",
         std::to_string(tensor.bytes()) + " for shape " + to_string(tensor.shape()));
  }
  char extra = 0;
  if (read_some(in.get(), &extra, 1, file) != 0) {
    fail(file, "more data than the header says",
         std::to_string(tensor.bytes()) + " bytes for shape " + to_string(tensor.shape()));
  }
  return tensor;
}

}  // namespace facsim::backends
