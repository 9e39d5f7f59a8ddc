// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>
#include <variant>

#include "backends/graph/float_graph.h"
#include "backends/graph/int_graph.h"
#include "backends/onnx/quantized_network.h"

namespace facsim::backends {

/// What a network file is. A JSON is facsim's deployed or float network by its member "format".
enum class NetworkFile { facsim, facsim_float, tflite, onnx };
std::string_view to_string(NetworkFile kind);  ///< "facsim", "facsim float", "TFLite", "ONNX"

/// By the first bytes (a brace or a comment; TFLite's identifier in bytes 4..7; ONNX's first
/// field), and only where they say nothing by the file's extension. Error io, or bad_value for a
/// file that is none of them.
NetworkFile network_file_kind(const std::filesystem::path& file);

/// A network of any format. An ONNX file is quantized if one of its operators takes or gives codes
/// (QuantizeLinear, DequantizeLinear, QLinear…, …Integer). `onnx` is for ONNX files only (float
/// ones need its `dims`). Errors: everything that the format's reader throws.
std::variant<IntGraph, FloatGraph> read_any_network(const std::filesystem::path& file,
                                                    const QuantizedNetworkOptions& onnx = {});
/// The same where only one kind will do; Error bad_value for the other.
IntGraph read_network(const std::filesystem::path& file, const QuantizedNetworkOptions& onnx = {});
FloatGraph read_float_network(const std::filesystem::path& file);

}  // namespace facsim::backends
