// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "backends/onnx/onnx_model.h"

namespace facsim::backends::detail {

/// What a model must be whatever its operators mean: versions that exist, domains that are
/// imported, names that are there, each value with one maker. Puts the nodes into topological order
/// (the file's, where that is one). Errors with `place` or the node's name.
void check_and_sort(OnnxModel& model, const std::string& place);

}  // namespace facsim::backends::detail
