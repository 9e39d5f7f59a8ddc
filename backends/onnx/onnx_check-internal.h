// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backends/onnx/onnx_model.h"

namespace facsim::backends::detail {

/// What a model must be whatever its operators mean: versions that exist, domains that are
/// imported, names that are there, each value with one maker. Puts the nodes into topological order
/// (the file's, where that is one). Errors with `place` or the node's name.
void check_and_sort(OnnxModel& model, const std::string& place);

/// Error unsupported for a list of more than 1024 integers: a file of many nodes that read one long
/// list must not cost more than its size.
void check_list_length(const OnnxNode& node, std::string_view name, int64_t count);

/// Throws what is wrong with a network: its first 100 findings and the number of the others.
[[noreturn]] void throw_findings(std::vector<ErrorInfo> findings);

}  // namespace facsim::backends::detail
