// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <zlib.h>

#include "backends/io/npy.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

using test::error_text;
using test::TempFolder;

/// Header 00 00 TYPE RANK and big-endian extents.
std::string idx(unsigned char type, std::initializer_list<uint32_t> extents, size_t data) {
  std::string file{'\0', '\0', static_cast<char>(type), static_cast<char>(extents.size())};
  for (const uint32_t extent : extents) {
    for (int shift = 24; shift >= 0; shift -= 8) file += static_cast<char>(extent >> shift & 0xff);
  }
  for (size_t i = 0; i < data; ++i) file += static_cast<char>(i * 7);
  return file;
}

std::string gzipped(const TempFolder& folder, std::string_view bytes) {
  gzFile out = gzopen((folder / "packed").c_str(), "wb");
  gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size()));
  gzclose(out);
  return test::contents(folder / "packed");
}

TEST_CASE("idx: images and labels, plain and gzipped") {
  const TempFolder folder;
  for (const bool packed : {false, true}) {
    CAPTURE(packed);
    const auto read = [&](const std::string& bytes) {
      return read_idx(folder.write("a", packed ? gzipped(folder, bytes) : bytes));
    };
    const Tensor images = read(idx(8, {3, 2, 4}, 24));
    CHECK(images.dtype() == DType::uint8);
    CHECK(images.shape() == Shape{3, 2, 4});
    CHECK(images.int_at(23) == 161);
    CHECK(read(idx(8, {5}, 5)).shape() == Shape{5});
  }
}

TEST_CASE("idx: bad files give one error that names the file") {
  const TempFolder folder;
  struct Row {
    std::string what;
    std::string file;
    ErrorCode code;
    const char* message;
  };
  const std::string good = idx(8, {3, 2, 4}, 24);
  std::string damaged = gzipped(folder, good);
  damaged[damaged.size() - 6] ^= 1;  // its checksum
  const std::string packed = gzipped(folder, good);
  const Row rows[] = {
      {"empty", "", ErrorCode::bad_value, "fewer than 4 bytes"},
      {"magic", "abcdefgh", ErrorCode::bad_value, "bad magic"},
      {"type", idx(0x0d, {3}, 12), ErrorCode::unsupported, "IDX element type 13"},
      {"rank 0", idx(8, {}, 1), ErrorCode::bad_value, "IDX rank 0"},
      {"rank 5", idx(8, {1, 1, 1, 1, 1}, 1), ErrorCode::bad_value, "IDX rank 5"},
      {"header ends", good.substr(0, 10), ErrorCode::bad_value, "header ends in extent 1"},
      {"zero images", idx(8, {0, 2, 4}, 0), ErrorCode::bad_value, "extent 0 is 0"},
      {"product", idx(8, {0xffffffff, 0xffffffff, 0xffffffff}, 10), ErrorCode::bad_value,
       "multiply to more than"},
      {"lying header", idx(8, {1000, 28, 28}, 24), ErrorCode::bad_value, "truncated or lying"},
      {"short by 1", idx(8, {3, 2, 4}, 23), ErrorCode::bad_value, "data: 23 bytes"},
      {"long by 1", idx(8, {3, 2, 4}, 25), ErrorCode::bad_value, "more data than"},
      {"gzip, lying header", gzipped(folder, idx(8, {60000, 28, 28}, 24)), ErrorCode::bad_value,
       "truncated or lying"},
      {"gzip, short by 1", gzipped(folder, idx(8, {3, 2, 4}, 23)), ErrorCode::bad_value,
       "data: 23 bytes"},
      {"gzip, long by 1", gzipped(folder, idx(8, {3, 2, 4}, 25)), ErrorCode::bad_value,
       "more data than"},
      {"gzip, checksum", damaged, ErrorCode::bad_value, "damaged gzip data"},
      {"gzip, truncated", packed.substr(0, packed.size() - 12), ErrorCode::bad_value, "a"},
      {"gzip, cut in the checksum", packed.substr(0, packed.size() - 5), ErrorCode::bad_value, "a"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto file = folder.write("a.idx", row.file);
    const std::string text = error_text(row.code, [&] { read_idx(file); });
    CHECK_MESSAGE(test::contains(text, row.message), text);
    CHECK_MESSAGE(test::contains(text, file.string()), text);
  }
  error_text(ErrorCode::io, [&] { read_idx(folder / "absent"); });
}

}  // namespace
}  // namespace facsim::backends
