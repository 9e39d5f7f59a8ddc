// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <random>
#include <system_error>
#include <utility>

#include "backends/io/file-internal.h"
#include "backends/io/npy.h"

namespace facsim::backends {

namespace detail {

namespace {

constexpr size_t kLargestRead = size_t{1} << 30;  // Linux transfers at most 2^31 - 4096 per call

/// The file a symbolic link leads to, so that writing replaces the target and not the link.
std::filesystem::path resolve_link(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_symlink(file, error)) return file;
  std::filesystem::path target = std::filesystem::canonical(file, error);
  return error ? file : target;
}

std::string random_suffix() {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  std::string suffix;
  for (int i = 0; i < 8; ++i) suffix += kLetters[random() % kLetters.size()];
  return suffix;
}

}  // namespace

void throw_io(const std::filesystem::path& file, std::string_view action, int error) {
  throw Error({ErrorCode::io, file.string(),
               "cannot " + std::string(action) + ": " + std::generic_category().message(error), "",
               ""});
}

FileDescriptor::~FileDescriptor() {
  if (fd_ >= 0) ::close(fd_);
}

RegularFile open_regular_file(const std::filesystem::path& file) {
  // O_NONBLOCK: opening a FIFO nobody writes to would otherwise wait forever.
  FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0) throw_io(file, "read", errno);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw_io(file, "read", errno);
  if (!S_ISREG(status.st_mode)) {
    throw Error({ErrorCode::io, file.string(), "not a regular file", "", ""});
  }
  return {std::move(fd), static_cast<uint64_t>(status.st_size)};
}

size_t read_fully(int fd, void* buffer, size_t count, const std::filesystem::path& file) {
  size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::read(fd, static_cast<char*>(buffer) + done, std::min(count - done, kLargestRead));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_io(file, "read", errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

AtomicFile::AtomicFile(std::filesystem::path file) : file_(resolve_link(file)) {
  std::error_code error;
  const auto status = std::filesystem::status(file_, error);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error({ErrorCode::io, file_.string(), "cannot write: not a regular file", "", ""});
  }
  constexpr int kAttempts = 16;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    temporary_ = file_;
    temporary_ += ".tmp-" + random_suffix();
    const int fd = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) {
      fd_.reset(fd);
      return;
    }
    if (errno != EEXIST) throw_io(file_, "write", errno);
  }
  throw_io(file_, "write", EEXIST);
}

AtomicFile::~AtomicFile() {
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t count) {
  size_t done = 0;
  while (done < count) {
    const ssize_t put = ::write(fd_.get(), static_cast<const char*>(data) + done,
                                std::min(count - done, kLargestRead));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_io(file_, "write", errno);
    done += static_cast<size_t>(put);
  }
}

void AtomicFile::commit() {
  if (::fsync(fd_.get()) != 0) throw_io(file_, "write", errno);
  if (::close(fd_.release()) != 0) throw_io(file_, "write", errno);
  if (::rename(temporary_.c_str(), file_.c_str()) != 0) throw_io(file_, "write", errno);
  temporary_.clear();
  // The rename itself reaches the disk with the folder. A folder that cannot be opened or flushed
  // (some network file systems) leaves a complete file all the same, so that is no error.
  const std::filesystem::path folder = file_.has_parent_path() ? file_.parent_path() : ".";
  const FileDescriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.get() >= 0) ::fsync(parent.get());
}

}  // namespace detail

void write_file_atomically(const std::filesystem::path& file, std::string_view bytes) {
  detail::AtomicFile out(file);
  out.write(bytes);
  out.commit();
}

std::string read_file(const std::filesystem::path& file, uint64_t limit) {
  const detail::RegularFile in = detail::open_regular_file(file);
  if (in.size > limit) {
    throw Error({ErrorCode::io, file.string(), "file of " + std::to_string(in.size) + " bytes",
                 "at most " + std::to_string(limit), ""});
  }
  std::string bytes(static_cast<size_t>(in.size), '\0');
  bytes.resize(detail::read_fully(in.fd.get(), bytes.data(), bytes.size(), file));
  return bytes;
}

}  // namespace facsim::backends
