// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "sim/core/error.h"

namespace facsim::backends::detail {

/// Bytes that one byte of deflated data can become at most (zlib's technical notes: 1032:1).
inline constexpr uint64_t kLargestDeflateExpansion = 1032;

/// An open POSIX file descriptor; closed at the end of its life.
class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor();
  int get() const { return fd_; }
  /// Takes `fd`; nothing may be open yet.
  void reset(int fd) { fd_ = fd; }
  /// The caller closes it from now on.
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

struct RegularFile {
  FileDescriptor fd;
  uint64_t size;
};

/// Opens for reading. Error io if absent, unreadable or not a regular file: a FIFO or a device is
/// refused without blocking.
RegularFile open_regular_file(const std::filesystem::path& file);

/// Reads up to `count` bytes; fewer only at the end of the file. Error io.
size_t read_fully(int fd, void* buffer, size_t count, const std::filesystem::path& file);

/// A file that appears under its name only when it is complete: bytes go to a temporary beside it,
/// `commit` flushes them to the disk and renames. Without commit the temporary is removed and an
/// old file of that name stays as it was. Error io.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path file);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void write(const void* data, size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  void commit();
  /// Where the bytes are until then.
  const std::filesystem::path& temporary() const { return temporary_; }

 private:
  std::filesystem::path file_;
  std::filesystem::path temporary_;
  FileDescriptor fd_{-1};
};

/// Error io: "FILE: cannot ACTION: REASON" with the text of errno.
[[noreturn]] void throw_io(const std::filesystem::path& file, std::string_view action, int error);

}  // namespace facsim::backends::detail
