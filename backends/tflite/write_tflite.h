// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

#include "backends/graph/int_graph.h"

namespace facsim::backends {

/// Writes a quantized network as a TensorFlow Lite file (schema version 3), atomically.
///
/// Tensors keep their names; the batch is axis 0 of every activation, 1 in the shape and -1 in the
/// shape's signature. What the format has no word for becomes several operators:
/// - padding that is neither SAME nor VALID: PAD (PADV2 with the lowest code for a maximum);
/// - average pools that count their padding: PAD and a VALID pool;
/// - reshapes of a channel-first network: TRANSPOSE and RESHAPE;
/// - linear layers with a scale per channel: 1 x 1 convolutions between RESHAPEs, since XNNPACK's
///   delegate leaves such FULLY_CONNECTED to TFLite's kernel, which rounds differently;
/// - layers without bias get one of zeros, since XNNPACK's delegate takes no others.
/// uint8 activations are written as int8, scale and zero point - 128 (unsigned weights only with
/// zero point 128), where TFLite's rule for the op depends on code - zero_point alone.
/// Errors: unsupported with the node's or tensor's name for what the format cannot say: other
/// widths than int8, int16 (zero point 0) and int4 weights, codes narrower than their type, a scale
/// per channel of an activation, biases that are not in accumulator units, tables, scales that
/// TFLite fixes (sigmoid, tanh, softmax) or demands to be equal; and what check() finds; io.
void write_tflite(const std::filesystem::path& file, const IntGraph& graph);
std::string tflite_bytes(const IntGraph& graph);

}  // namespace facsim::backends
