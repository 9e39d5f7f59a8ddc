// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

#include "backends/io/file-internal.h"
#include "backends/io/npy.h"

namespace facsim::backends::detail {

/// The bytes of write_npz into `out`, which the caller commits; `file` names it in errors.
void write_npz(AtomicFile& out, const std::filesystem::path& file, const NamedTensors& tensors,
               std::string_view comment);

}  // namespace facsim::backends::detail
