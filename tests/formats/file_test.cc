// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>

#include "backends/io/npy.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

using test::contents;
using test::error_text;
using test::TempFolder;

/// Makes every write past `bytes` of a file fail, as a full disk does.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int);
};

TEST_CASE("write_file_atomically: new and replaced files hold the bytes, nothing else is left") {
  const TempFolder folder;
  write_file_atomically(folder / "a", "first");
  CHECK(contents(folder / "a") == "first");
  write_file_atomically(folder / "a", std::string_view("\0second", 7));
  CHECK(contents(folder / "a") == std::string_view("\0second", 7));
  CHECK(folder.files() == 1);
}

TEST_CASE("write_file_atomically: a failing write leaves the old file and no temporary") {
  const TempFolder folder;
  write_file_atomically(folder / "a", "old");
  const std::string large(100000, 'x');
  {
    const FileSizeLimit full(4096);
    CHECK(test::contains(
        error_text(ErrorCode::io, [&] { write_file_atomically(folder / "a", large); }),
        "cannot write"));
    error_text(ErrorCode::io, [&] { write_npy(folder / "a", Tensor(DType::int8, {100000})); });
    error_text(ErrorCode::io, [&] {
      write_npz(folder / "a", {{"x", Tensor(DType::int8, {100000})}});
    });
    error_text(ErrorCode::io, [&] { write_file_atomically(folder / "new", large); });
  }
  CHECK(contents(folder / "a") == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("write_file_atomically: targets that are no regular file are refused") {
  const TempFolder folder;
  for (const std::filesystem::path& target :
       {folder.path(), std::filesystem::path("/dev/full"), folder / "absent" / "a"}) {
    CAPTURE(target);
    error_text(ErrorCode::io, [&] { write_file_atomically(target, "x"); });
  }
  CHECK(folder.files() == 0);
}

TEST_CASE("write_file_atomically: a symbolic link keeps pointing at the file it replaces") {
  const TempFolder folder;
  folder.write("target", "old");
  std::filesystem::create_symlink("target", folder / "link");
  write_file_atomically(folder / "link", "new");
  CHECK(std::filesystem::is_symlink(folder / "link"));
  CHECK(contents(folder / "target") == "new");
}

TEST_CASE("read_file: whole regular files up to the limit") {
  const TempFolder folder;
  folder.write("a", "12345");
  CHECK(read_file(folder / "a", 5) == "12345");
  CHECK(
      test::contains(error_text(ErrorCode::io, [&] { read_file(folder / "a", 4); }), "at most 4"));
  error_text(ErrorCode::io, [&] { read_file(folder / "absent"); });
  error_text(ErrorCode::io, [&] { read_file(folder.path()); });
  error_text(ErrorCode::io, [&] { read_file("/dev/zero"); });
  REQUIRE(mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK(test::contains(error_text(ErrorCode::io, [&] { read_file(folder / "fifo"); }),
                       "not a regular file"));
}

}  // namespace
}  // namespace facsim::backends
