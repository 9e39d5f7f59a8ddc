// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "backends/io/file-internal.h"

namespace facsim::backends::detail {

/// What a TensorProto says about data outside the model's file.
struct OnnxExternal {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;  ///< else as many bytes as the tensor has
};

/// The folder of a model, from which external data are read. A location is a relative path of
/// plain names; it is opened one component at a time below the folder, and no component may be a
/// symbolic link, nor the file have a second name (hard link): so nothing outside the folder can be
/// reached, whatever changes meanwhile. These are the classes that ONNX's
/// docs/ExternalDataSecurity.md lists.
class OnnxFolder {
 public:
  explicit OnnxFolder(const std::filesystem::path& model_file);

  /// `count` bytes of the file. Errors, with `where`: bad_value "external data must be inside the
  /// model's directory", or a length or an offset that does not fit the file; io.
  std::string read(const OnnxExternal& external, uint64_t count, const std::string& where) const;

 private:
  RegularFile open(const OnnxExternal& external, const std::string& where) const;

  std::filesystem::path folder_;
};

}  // namespace facsim::backends::detail
