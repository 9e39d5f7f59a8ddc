// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/tensor.h"

namespace facsim::backends {

/// numpy .npy (versions 1-3, little endian, C order; int8 uint8 int16 uint16 int32 int64 float32,
/// and float64/uint32/uint64/bool only where exactly representable). Untrusted input: bounded,
/// checked, Error io/bad_value with file!member@byte.
Tensor read_npy(const std::filesystem::path& file);
void write_npy(const std::filesystem::path& file, const Tensor& tensor);  ///< atomic: temp + rename

/// numpy .npz (zip, stored or deflated, zip64). Members in file order.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
NamedTensors read_npz(const std::filesystem::path& file);
void write_npz(const std::filesystem::path& file, const NamedTensors& tensors);  ///< stored, atomic
/// With a text of at most 65535 bytes as the archive's comment, which numpy and unzip pass over.
void write_npz(const std::filesystem::path& file, const NamedTensors& tensors,
               std::string_view comment);

/// One array of a file, read in pieces: an array larger than memory can be compared. What numpy
/// stores otherwise than a Tensor (Fortran order, float64, bool, …) is decoded whole by the first
/// read.
class ArrayStream {
 public:
  explicit ArrayStream(const std::filesystem::path& npy);  ///< errors as read_npy
  ~ArrayStream();
  ArrayStream(ArrayStream&&) noexcept;
  ArrayStream& operator=(ArrayStream&&) noexcept;

  DType dtype() const;
  const Shape& shape() const;
  /// The next `count` elements in C order, or all that are left; returns how many. The checksum of
  /// an archive's member is verified when the last element is read. Error bad_value, io.
  int64_t read(void* elements, int64_t count);

 private:
  friend class NpzFile;
  struct Impl;
  explicit ArrayStream(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A .npz from which single arrays are read: for archives that also hold what a Tensor cannot
/// (text, float64), or more than is wanted at once. Same checks as read_npz.
class NpzFile {
 public:
  explicit NpzFile(const std::filesystem::path& file);
  /// An archive in memory, which must outlive this; `place` names it in errors.
  static NpzFile from_bytes(std::string_view bytes, std::string place);
  ~NpzFile();
  NpzFile(NpzFile&&) noexcept;
  NpzFile& operator=(NpzFile&&) noexcept;

  const std::vector<std::string>& names() const;    ///< in file order
  Tensor read(std::string_view name) const;         ///< Error missing_key
  ArrayStream stream(std::string_view name) const;  ///< must not outlive this; Error missing_key
  std::vector<double> read_float64(std::string_view name) const;  ///< a float64 vector, unchanged
  NamedTensors read_all() const;
  std::string comment() const;  ///< of the archive; empty if it has none

 private:
  struct Impl;
  explicit NpzFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// A member by name; Error missing_key.
const Tensor& member(const NamedTensors& tensors, std::string_view name, std::string_view file);

/// IDX (.gz or plain): MNIST and Fashion-MNIST images [N, H, W] or labels [N], uint8.
Tensor read_idx(const std::filesystem::path& file);

/// Writes bytes to file.tmp-XXXX in the same folder, fsyncs, renames over `file`. On any error
/// (disk full) the old file stays and the temporary is removed. Error io.
void write_file_atomically(const std::filesystem::path& file, std::string_view bytes);
/// Whole file, at most `limit` bytes, regular files only. Error io.
std::string read_file(const std::filesystem::path& file, uint64_t limit = uint64_t{1} << 30);

}  // namespace facsim::backends
