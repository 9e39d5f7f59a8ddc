// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/onnx_external-internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace facsim::backends::detail {

namespace {

[[noreturn]] void refuse_location(const std::string& where, const OnnxExternal& external,
                                  std::string_view cause) {
  throw Error({ErrorCode::bad_value, where,
               "external data \"" + external.location + "\": " + std::string(cause),
               "external data must be inside the model's directory", ""});
}

/// "a/b.bin" -> a, b.bin. Error for anything but a relative path of plain names.
std::vector<std::string> components_of(const OnnxExternal& external, const std::string& where) {
  const std::string& location = external.location;
  if (location.empty()) refuse_location(where, external, "no location");
  if (location.front() == '/') refuse_location(where, external, "an absolute path");
  if (location.find('\0') != std::string::npos || location.find('\\') != std::string::npos) {
    refuse_location(where, external, "a path with NUL or backslash");
  }
  std::vector<std::string> components(1);
  for (const char letter : location) {
    if (letter == '/') {
      components.emplace_back();
    } else {
      components.back() += letter;
    }
  }
  for (const std::string& component : components) {
    if (component == "..") refuse_location(where, external, "a path with \"..\"");
    if (component.empty() || component == ".") {
      refuse_location(where, external, "a path with an empty component or \".\"");
    }
  }
  return components;
}

}  // namespace

OnnxFolder::OnnxFolder(const std::filesystem::path& model_file)
    : folder_(model_file.has_parent_path() ? model_file.parent_path() : ".") {}

RegularFile OnnxFolder::open(const OnnxExternal& external, const std::string& where) const {
  const std::vector<std::string> components = components_of(external, where);
  int fd = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (size_t i = 0; fd >= 0 && i < components.size(); ++i) {
    const FileDescriptor parent(fd);
    const int kind = i + 1 < components.size() ? O_DIRECTORY : O_NONBLOCK;
    fd = ::openat(parent.get(), components[i].c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | kind);
    // A link in the middle gives ENOTDIR, like a file there.
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR)) {
      refuse_location(where, external, "\"" + components[i] + "\" is a symbolic link or no folder");
    }
  }
  if (fd < 0) {
    const int error = errno;
    throw_io(folder_ / external.location, "read the external data of " + where, error);
  }
  FileDescriptor file(fd);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) throw_io(folder_ / external.location, "read", errno);
  if (!S_ISREG(status.st_mode)) refuse_location(where, external, "not a regular file");
  if (status.st_nlink > 1)
    refuse_location(where, external, "a file with several names (hard link)");
  return {std::move(file), static_cast<uint64_t>(status.st_size)};
}

std::string OnnxFolder::read(const OnnxExternal& external, uint64_t count,
                             const std::string& where) const {
  const RegularFile file = open(external, where);
  const auto refuse = [&](std::string found, std::string expected) {
    throw Error({ErrorCode::bad_value, where,
                 "external data \"" + external.location + "\": " + std::move(found),
                 std::move(expected), ""});
  };
  if (external.length && *external.length != count) {
    refuse("length " + std::to_string(*external.length), std::to_string(count) + " bytes");
  }
  if (external.offset > file.size || count > file.size - external.offset) {
    refuse("offset " + std::to_string(external.offset) + " and " + std::to_string(count) +
               " bytes reach past the end",
           "at most " + std::to_string(file.size) + " bytes");
  }
  std::string bytes(static_cast<size_t>(count), '\0');
  if (::lseek(file.fd.get(), static_cast<off_t>(external.offset), SEEK_SET) < 0) {
    throw_io(folder_ / external.location, "read", errno);
  }
  if (read_fully(file.fd.get(), bytes.data(), bytes.size(), folder_ / external.location) !=
      bytes.size()) {
    refuse("shorter than when it was opened", std::to_string(count) + " bytes");
  }
  return bytes;
}

}  // namespace facsim::backends::detail
