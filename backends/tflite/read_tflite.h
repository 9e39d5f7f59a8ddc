// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "backends/graph/int_graph.h"

namespace facsim::backends {

/// A quantized TensorFlow Lite network: the first subgraph of a .tflite (schema version 3).
///
/// Tensors keep the file's names (a second one of a name gets "#<number>"); nodes are called
/// <OPERATOR>_<number in the file>. The batch is axis 0 of the first input: a file of batch B is
/// read as one of batch 1. Where a file has the batch and another axis in one ((B * T, F)), or none
/// at batch 1, the tensor gets an axis of 1 in front. Weights become OHWI; operators with several
/// outputs become several nodes (SPLIT: slices), and integers that only describe shapes (SHAPE and
/// what is computed from it) are evaluated.
///
/// The file is hostile until flatbuffers' verifier (depth 64, 10^6 tables) and the checks here have
/// passed: Error bad_value or shape_mismatch names file and tensor or operator; unsupported for
/// operators, types and options that an integer network does not have; io.
IntGraph read_tflite(const std::filesystem::path& file);

/// The same from memory; `place` stands for the file in errors.
IntGraph parse_tflite(std::string_view bytes, const std::string& place);

}  // namespace facsim::backends
