// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <cstring>
#include <vector>

#include "backends/io/npy.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

using test::contains;
using test::error_text;
using test::TempFolder;

std::string npy(std::string_view header, std::string_view data, char version = 1) {
  std::string file = "\x93NUMPY";
  file += version;
  file += '\0';
  file += static_cast<char>(header.size() & 0xff);
  file += static_cast<char>(header.size() >> 8 & 0xff);
  if (version > 1) file.append(2, '\0');
  file += header;
  file += data;
  return file;
}

std::string dict(std::string_view descr, std::string_view shape, std::string_view order = "False") {
  return "{'descr': '" + std::string(descr) + "', 'fortran_order': " + std::string(order) +
         ", 'shape': " + std::string(shape) + ", }\n";
}

template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  std::string out(values.size() * sizeof(T), '\0');
  std::memcpy(out.data(), values.begin(), out.size());
  return out;
}

TEST_CASE("npy: a stream gives the same elements in pieces of any size") {
  const TempFolder folder;
  Tensor tensor(DType::int16, {7, 11});
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, i * 1237 % 30011);
  write_npy(folder / "a.npy", tensor);
  write_npz(folder / "a.npz", {{"other", Tensor(DType::int8, {3})}, {"a", tensor}});
  const NpzFile archive(folder / "a.npz");
  for (const int64_t piece : {1, 10, 77, 1000}) {
    CAPTURE(piece);
    ArrayStream streams[] = {ArrayStream(folder / "a.npy"), archive.stream("a")};
    for (ArrayStream& stream : streams) {
      CHECK(stream.dtype() == DType::int16);
      CHECK(stream.shape() == Shape{7, 11});
      std::vector<int16_t> all, buffer(static_cast<size_t>(piece));
      while (const int64_t count = stream.read(buffer.data(), piece)) {
        all.insert(all.end(), buffer.begin(), buffer.begin() + count);
      }
      REQUIRE(all.size() == 77);
      for (int64_t i = 0; i < 77; ++i) CHECK(all[static_cast<size_t>(i)] == tensor.int_at(i));
    }
  }
  CHECK(contains(error_text(ErrorCode::missing_key, [&] { archive.stream("b"); }), "\"b\""));
}

TEST_CASE("npy: a stream decodes what is stored otherwise, and refuses what is cut short") {
  const TempFolder folder;
  folder.write("f.npy", npy(dict("<f8", "(3,)"), bytes_of({1.5, -2.0, 0.25})));
  ArrayStream real(folder / "f.npy");
  CHECK(real.dtype() == DType::float32);
  float values[3] = {};
  CHECK(real.read(values, 2) == 2);
  CHECK(real.read(values + 2, 5) == 1);
  CHECK(values[0] == 1.5f);
  CHECK(values[2] == 0.25f);
  folder.write("fortran.npy", npy(dict("|i1", "(2, 3)", "True"), std::string("\1\4\2\5\3\6")));
  ArrayStream columns(folder / "fortran.npy");
  int8_t codes[6] = {};
  CHECK(columns.read(codes, 6) == 6);
  for (int i = 0; i < 6; ++i) CHECK(codes[i] == i + 1);
  folder.write("short.npy", npy(dict("|i1", "(5,)"), "abc"));
  CHECK(contains(error_text(ErrorCode::bad_value, [&] { ArrayStream(folder / "short.npy"); }),
                 "short.npy"));
}

TEST_CASE("npy: every DType and shape reads back as written") {
  const TempFolder folder;
  for (const DType dtype : {DType::int8, DType::uint8, DType::int16, DType::uint16, DType::int32,
                            DType::int64, DType::float32}) {
    for (const Shape& shape : {Shape{}, Shape{0}, Shape{3}, Shape{2, 0, 5}, Shape{2, 3, 1, 4}}) {
      CAPTURE(to_string(dtype));
      CAPTURE(to_string(shape));
      Tensor tensor(dtype, shape);
      for (size_t i = 0; i < tensor.bytes(); ++i) {
        static_cast<uint8_t*>(tensor.raw())[i] = static_cast<uint8_t>(i * 37 + 11);
      }
      write_npy(folder / "a.npy", tensor);
      const Tensor read = read_npy(folder / "a.npy");
      CHECK(read.dtype() == dtype);
      CHECK(read.shape() == shape);
      CHECK(std::string(static_cast<const char*>(read.raw()), read.bytes()) ==
            std::string(static_cast<const char*>(tensor.raw()), tensor.bytes()));
      CHECK(std::filesystem::file_size(folder / "a.npy") % 64 == tensor.bytes() % 64);
    }
  }
}

TEST_CASE("npy: headers of all versions and spellings of numpy") {
  const TempFolder folder;
  const std::string data = bytes_of<int16_t>({1, -2, 3, 4, 5, 6});
  for (const std::string& file :
       {npy(dict("<i2", "(2, 3)"), data), npy(dict("<i2", "(2, 3)"), data, 2),
        npy(dict("<i2", "(2, 3)"), data, 3), npy(dict("<i2", "(2,3,)"), data),
        npy("{\"shape\":(2, 3),\"fortran_order\":False,\"descr\":\"<i2\"}", data)}) {
    const Tensor tensor = read_npy(folder.write("a.npy", file));
    CHECK(tensor.shape() == Shape{2, 3});
    CHECK(tensor.int_at(1) == -2);
  }
}

TEST_CASE("npy: fortran order is brought to C order") {
  const TempFolder folder;
  const Tensor tensor = read_npy(folder.write(
      "a.npy", npy(dict("<i4", "(2, 3)", "True"), bytes_of<int32_t>({0, 10, 1, 11, 2, 12}))));
  CHECK(tensor.shape() == Shape{2, 3});
  const std::vector<int64_t> expected{0, 1, 2, 10, 11, 12};
  for (int64_t i = 0; i < 6; ++i) CHECK(tensor.int_at(i) == expected[static_cast<size_t>(i)]);
}

TEST_CASE("npy: foreign element types convert where every value stays exact") {
  const TempFolder folder;
  const auto read = [&](std::string_view descr, std::string_view data) {
    return read_npy(folder.write("a.npy", npy(dict(descr, "(2,)"), data)));
  };
  CHECK(read("<f8", bytes_of<double>({0.5, -3})).values<float>()[1] == -3.0f);
  CHECK(read("<u4", bytes_of<uint32_t>({0, 4294967295u})).int_at(1) == 4294967295);
  CHECK(read("<u8", bytes_of<uint64_t>({0, INT64_MAX})).int_at(1) == INT64_MAX);
  CHECK(read("|b1", bytes_of<uint8_t>({0, 1})).dtype() == DType::uint8);
  const auto refused = [&](std::string_view descr, std::string_view data) {
    return error_text(ErrorCode::bad_value, [&] { read(descr, data); });
  };
  CHECK(test::contains(refused("<f8", bytes_of<double>({0.5, 0.1})), "element 1 is not exact"));
  CHECK(test::contains(refused("<u8", bytes_of<uint64_t>({0, uint64_t{1} << 63})), "element 1"));
  CHECK(test::contains(refused("|b1", bytes_of<uint8_t>({0, 2})), "bool 2"));
}

TEST_CASE("npy: bad files give one error that names the place") {
  const TempFolder folder;
  struct Row {
    std::string what;
    std::string file;
    ErrorCode code;
    const char* message;
  };
  const std::string six = bytes_of<uint8_t>({1, 2, 3, 4, 5, 6});
  const auto shape = [&](const char* text, const char* message) {
    return Row{text, npy(dict("|u1", text), six), ErrorCode::bad_value, message};
  };
  const auto type = [&](const char* descr) {
    return Row{descr, npy(dict(descr, "(6,)"), six), ErrorCode::unsupported, descr};
  };
  std::string long_rank = "(";
  for (int i = 0; i < 10000; ++i) long_rank += "1,";
  const Row rows[] = {
      {"empty", "", ErrorCode::bad_value, "file of 0 bytes"},
      {"9 bytes", npy("", "").substr(0, 9), ErrorCode::bad_value, "file of 9 bytes"},
      {"magic", std::string(12, 'N'), ErrorCode::bad_value, "bad magic"},
      {"version 0", npy(dict("|u1", "(6,)"), six, 0), ErrorCode::bad_value, "version 0.0"},
      {"version 4", npy(dict("|u1", "(6,)"), six, 4), ErrorCode::bad_value, "version 4.0"},
      {"version 255", npy(dict("|u1", "(6,)"), six, '\xff'), ErrorCode::bad_value, "version 255.0"},
      {"header past end", std::string("\x93NUMPY\x01\0\xff\xff", 10) + six, ErrorCode::bad_value,
       "header of 65535 bytes reaches past the end"},
      {"header past end, version 2", std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12) + six,
       ErrorCode::bad_value, "header of 4294967295 bytes reaches past the end"},
      {"huge header", std::string("\x93NUMPY\x02\0\0\0\x02\0", 12) + std::string(131072, ' '),
       ErrorCode::bad_value, "header of 131072 bytes"},
      {"no shape", npy("{'descr': '|u1', 'fortran_order': False}", six), ErrorCode::bad_value,
       "header without shape"},
      {"no descr", npy("{'shape': (6,), 'fortran_order': False}", six), ErrorCode::bad_value,
       "header without descr"},
      {"two shapes", npy("{'shape': (6,), 'shape': (6,)}", six), ErrorCode::bad_value,
       "key 'shape' twice"},
      {"foreign key", npy("{'shape': (6,), 'x': 1}", six), ErrorCode::bad_value, "key 'x'"},
      {"no dict", npy("[1]", six), ErrorCode::bad_value, "expected '{'"},
      {"text behind", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (6,)} 1", six),
       ErrorCode::bad_value, "closing brace"},
      {"order", npy(dict("|u1", "(6,)", "0"), six), ErrorCode::bad_value, "True or False"},
      shape("(6", "shape"),
      shape("(2,,3)", "shape"),
      shape("(2,-3)", "shape"),
      shape("(2.0,)", "'.'"),
      shape("('a',)", "shape"),
      shape("(True,)", "shape"),
      shape("((6,),)", "shape"),
      shape("(6)", "no tuple"),
      shape("6", "expected '('"),
      shape("__import__('os').system('true')", "expected '('"),
      shape("(4294967296,4294967296)", "too large"),
      shape("(65536,65536)", "too large"),
      shape("(4611686018427387904,4)", "extent too large"),
      shape("(99999999999999999999999,)", "extent too large"),
      {"rank 33",
       npy(dict("|u1", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,6)"), six),
       ErrorCode::bad_value, "rank above 32"},
      {"rank 10000", npy(dict("|u1", long_rank + ")"), six), ErrorCode::bad_value, "rank above 32"},
      {"shorter by 1", npy(dict("|u1", "(7,)"), six), ErrorCode::bad_value,
       "data: 6 bytes; expected 7"},
      {"longer by 1", npy(dict("|u1", "(5,)"), six), ErrorCode::bad_value,
       "data: 6 bytes; expected 5"},
      type("|O"),
      type("|V6"),
      type("<U4"),
      type(">i4"),
      type("<f2"),
      type("<c8"),
      {"structured", npy("{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (6,)}", six),
       ErrorCode::unsupported, "structured dtype"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const auto file = folder.write("bad.npy", row.file);
    const std::string text = error_text(row.code, [&] { read_npy(file); });
    CHECK_MESSAGE(test::contains(text, row.message), text);
    CHECK_MESSAGE(test::contains(text, file.string()), text);
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("npy: every truncation of a valid file is refused") {
  const TempFolder folder;
  const std::string file = npy(dict("<i2", "(3,)"), bytes_of<int16_t>({1, 2, 3}));
  for (size_t size = 0; size < file.size(); ++size) {
    CAPTURE(size);
    error_text(ErrorCode::bad_value,
               [&] { read_npy(folder.write("a.npy", std::string_view(file).substr(0, size))); });
  }
}

}  // namespace
}  // namespace facsim::backends
