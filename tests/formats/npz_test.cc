// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <zip.h>

#include <cstring>
#include <vector>

#include "backends/io/npy.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

using test::contents;
using test::error_text;
using test::TempFolder;

Tensor counting(DType dtype, Shape shape) {
  Tensor tensor(dtype, std::move(shape));
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, i % 100);
  return tensor;
}

std::string npy_bytes(const TempFolder& folder, const Tensor& tensor) {
  write_npy(folder / "member.npy", tensor);
  return contents(folder / "member.npy");
}

struct RawMember {
  std::string name;
  std::string bytes;
  int method = ZIP_CM_STORE;
};

/// A zip written by libzip.
std::filesystem::path zip(const TempFolder& folder, const std::vector<RawMember>& members) {
  const std::filesystem::path file = folder / "a.npz";
  int code = 0;
  zip_t* archive = zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  REQUIRE(archive != nullptr);
  for (const RawMember& member : members) {
    zip_source_t* source = zip_source_buffer(archive, member.bytes.data(), member.bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, member.name.c_str(), source, 0);
    REQUIRE(index >= 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), member.method, 9);
  }
  REQUIRE(zip_close(archive) == 0);
  return file;
}

/// Overwrites bytes found by a pattern (its last or first occurrence).
std::string patched(std::string file, std::string_view pattern, size_t offset,
                    std::string_view replacement) {
  const size_t at = file.rfind(pattern);
  REQUIRE(at != std::string::npos);
  return file.replace(at + offset, replacement.size(), replacement);
}

TEST_CASE("npz: members read back in order, and the same tensors give the same bytes") {
  const TempFolder folder;
  const NamedTensors tensors{{"layer/weights", counting(DType::int8, {2, 3})},
                             {"empty", Tensor(DType::float32, {0, 4})},
                             {"scalar", counting(DType::int64, {})}};
  write_npz(folder / "a.npz", tensors);
  const NamedTensors read = read_npz(folder / "a.npz");
  REQUIRE(read.size() == tensors.size());
  for (size_t i = 0; i < read.size(); ++i) {
    CHECK(read[i].first == tensors[i].first);
    CHECK(read[i].second.dtype() == tensors[i].second.dtype());
    CHECK(read[i].second.shape() == tensors[i].second.shape());
  }
  CHECK(read[0].second.int_at(5) == 5);
  const std::string first = contents(folder / "a.npz");
  write_npz(folder / "a.npz", tensors);
  CHECK(contents(folder / "a.npz") == first);
  CHECK(member(read, "scalar", "a.npz").numel() == 1);
  CHECK(
      test::contains(error_text(ErrorCode::missing_key, [&] { member(read, "weights", "a.npz"); }),
                     "no array \"weights\""));
}

TEST_CASE("npz: single arrays are read from an archive that holds text and float64 as well") {
  const TempFolder folder;
  const std::string good = npy_bytes(folder, counting(DType::int8, {8}));
  const NpzFile file(
      zip(folder, {{"text.npy", patched(good, "'|i1'", 0, "'<U8'")},
                   {"real.npy", patched(patched(good, "'|i1'", 0, "'<f8'"), "(8,)", 0, "(1,)")},
                   {"x.npy", good}}));
  CHECK(file.names() == std::vector<std::string>{"text", "real", "x"});
  CHECK(file.read("x").int_at(7) == 7);
  CHECK(file.read_float64("real").size() == 1);
  error_text(ErrorCode::unsupported, [&] { file.read("text"); });
  error_text(ErrorCode::bad_value, [&] { file.read_float64("x"); });
  error_text(ErrorCode::missing_key, [&] { file.read("y"); });
}

TEST_CASE("npz: no members at all is a valid archive") {
  const TempFolder folder;
  write_npz(folder / "a.npz", {});
  CHECK(read_npz(folder / "a.npz").empty());
}

TEST_CASE("npz: stored and deflated members of other writers") {
  const TempFolder folder;
  const std::string bytes = npy_bytes(folder, counting(DType::int32, {50, 50}));
  const NamedTensors read =
      read_npz(zip(folder, {{"x.npy", bytes}, {"y.npy", bytes, ZIP_CM_DEFLATE}}));
  REQUIRE(read.size() == 2);
  CHECK(read[1].first == "y");
  CHECK(read[1].second.int_at(2499) == 99);
}

TEST_CASE("npz: names are checked when written") {
  const TempFolder folder;
  const Tensor tensor(DType::int8, {1});
  error_text(ErrorCode::bad_value, [&] { write_npz(folder / "a.npz", {{"", tensor}}); });
  error_text(ErrorCode::bad_value, [&] {
    write_npz(folder / "a.npz", {{"x", tensor}, {"x", tensor}});
  });
  CHECK(folder.files() == 0);
}

TEST_CASE("npz: bad archives give one error that names the member") {
  const TempFolder folder;
  const std::string good = npy_bytes(folder, counting(DType::int8, {100}));
  const auto archive = [&](const std::vector<RawMember>& members) {
    return contents(zip(folder, members));
  };
  const std::string stored = archive({{"x.npy", good}});
  const std::string packed = archive({{"x.npy", good, ZIP_CM_DEFLATE}});
  // Offsets into a central directory entry (PK 01 02): flags 8, method 10, crc 16, compressed size
  // 20, size 24, local header 42; into the end record (PK 05 06): entries 10, offset 16.
  const std::string_view central("PK\x01\x02", 4);
  const std::string_view end("PK\x05\x06", 4);
  const std::string_view local("PK\x03\x04", 4);
  const std::string_view huge("\xff\xff\xff\x7f", 4);
  std::string wrong_data = stored;
  wrong_data[wrong_data.find("NUMPY") + 140] ^= 1;
  // Claims 1 byte in both headers; the deflated data go on.
  std::string small_claim = patched(packed, central, 24, std::string_view("\x01\0\0\0", 4));
  small_claim = patched(small_claim, local, 22, std::string_view("\x01\0\0\0", 4));
  std::string large_claim = patched(packed, central, 24, std::string_view("\0\0\0\x30", 4));
  large_claim = patched(large_claim, local, 22, std::string_view("\0\0\0\x30", 4));
  // A member called x.npy twice: the second name is patched, libzip refuses to write it.
  std::string twice = archive({{"x.npy", good}, {"y.npy", good}});
  for (size_t at = twice.find("y.npy"); at != std::string::npos; at = twice.find("y.npy")) {
    twice[at] = 'x';
  }
  struct Row {
    std::string what;
    std::string file;
    ErrorCode code;
    const char* message;
  };
  const Row rows[] = {
      {"empty file", "", ErrorCode::bad_value, "not a readable zip"},
      {"no zip", std::string(500, 'x'), ErrorCode::bad_value, "not a readable zip"},
      {"no end of directory", stored.substr(0, stored.size() - 22), ErrorCode::bad_value,
       "not a readable zip"},
      {"directory past the end", patched(stored, end, 16, huge), ErrorCode::bad_value,
       "not a readable zip"},
      {"entry past the end", patched(stored, central, 42, huge), ErrorCode::bad_value, "a.npz"},
      {"more entries than the directory", patched(stored, end, 8, "\x09\0\x09\0"),
       ErrorCode::bad_value, "not a readable zip"},
      {"encrypted", patched(patched(stored, central, 8, "\x01"), local, 6, "\x01"),
       ErrorCode::unsupported, "encrypted"},
      {"method 99", patched(patched(stored, central, 10, "\x63"), local, 8, "\x63"),
       ErrorCode::bad_value, "not a readable zip"},
      {"method 14", patched(patched(stored, central, 10, "\x0e"), local, 8, "\x0e"),
       ErrorCode::unsupported, "compression method 14"},
      {"wrong checksum", wrong_data, ErrorCode::bad_value, "a.npz!x.npy: CRC"},
      {"duplicate name", twice, ErrorCode::duplicate_key, "two members"},
      {"claims 1 byte", small_claim, ErrorCode::bad_value, "a.npz!x.npy"},
      {"claims 768 MiB", large_claim, ErrorCode::bad_value, "a.npz!x.npy"},
      {"path up", archive({{"../../x.npy", good}}), ErrorCode::bad_value, "without .."},
      {"backslash", archive({{"..\\x.npy", good}}), ErrorCode::bad_value, "without .."},
      {"no array", archive({{"readme.txt", "hello"}}), ErrorCode::bad_value, "ends in .npy"},
      {"broken array", archive({{"x.npy", good.substr(0, 150)}}), ErrorCode::bad_value,
       "a.npz!x.npy@128"},
      {"pickle", archive({{"x.npy", patched(good, "|i1'", 0, "|O' ")}}), ErrorCode::unsupported,
       "\"|O\""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto file = folder.write("a.npz", row.file);
    const std::string text = error_text(row.code, [&] { read_npz(file); });
    CHECK_MESSAGE(test::contains(text, row.message), text);
    CHECK_MESSAGE(test::contains(text, "a.npz"), text);
  }
}

TEST_CASE("npz: a bomb is refused before it is inflated") {
  const TempFolder folder;
  // 64 MiB of zeros behind a header that promises 1 element: the sizes disagree.
  std::string bomb = npy_bytes(folder, counting(DType::int8, {1}));
  bomb.append(size_t{64} << 20, '\0');
  const auto file = zip(folder, {{"x.npy", bomb, ZIP_CM_DEFLATE}});
  CHECK(std::filesystem::file_size(file) < 200000);
  CHECK(test::contains(error_text(ErrorCode::bad_value, [&] { read_npz(file); }), "data: "));
}

TEST_CASE("npz: every truncation and every flipped byte is refused or read, never a crash") {
  const TempFolder folder;
  write_npz(folder / "a.npz", {{"x", counting(DType::int16, {7})}});
  const std::string file = contents(folder / "a.npz");
  for (size_t size = 0; size < file.size(); ++size) {
    CAPTURE(size);
    error_text(ErrorCode::bad_value,
               [&] { read_npz(folder.write("b.npz", std::string_view(file).substr(0, size))); });
  }
  int refused = 0;
  for (size_t i = 0; i < file.size(); ++i) {
    std::string changed = file;
    changed[i] = static_cast<char>(changed[i] ^ 0xff);
    folder.write("b.npz", changed);
    try {
      read_npz(folder / "b.npz");
    } catch (const Error&) {
      ++refused;
    }
  }
  CHECK(refused > static_cast<int>(file.size()) / 2);
}

}  // namespace
}  // namespace facsim::backends
