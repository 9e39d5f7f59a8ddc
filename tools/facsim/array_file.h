// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/io/npy.h"
#include "backends/io/provenance.h"
#include "backends/parity/match_names.h"

namespace facsim::cli {

/// Arrays of an .npz, or the one of an .npy under the file's stem, read one at a time or in pieces:
/// two big archives need not be in memory as a whole.
class ArrayFile {
 public:
  explicit ArrayFile(const std::filesystem::path& file);
  std::string name() const { return file_.string(); }
  bool is_single() const { return !npz_; }
  const std::vector<std::string>& names() const { return names_; }
  /// Types and shapes, from the headers alone. Arrays of a type that no Tensor holds (text) are
  /// left out; reading one says what it is.
  std::vector<backends::NamedShape> shapes() const;
  std::optional<backends::Provenance> provenance() const;
  Tensor read(const std::string& name) const;
  backends::ArrayStream stream(const std::string& name) const;

 private:
  std::filesystem::path file_;
  std::optional<backends::NpzFile> npz_;
  std::vector<std::string> names_;
};

/// Tensors that --layers and --ignore choose by globs (* ? [...]), which also match "/".
class NameFilter {
 public:
  std::vector<std::string> layers, ignore;

  bool selects(const std::string& name) const;
  /// UsageError for a pattern that matches none of `names`.
  void require_use(const std::vector<std::string>& names) const;
};

}  // namespace facsim::cli
