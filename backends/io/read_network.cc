// SPDX-License-Identifier: Apache-2.0
#include "backends/io/read_network.h"

#include <algorithm>
#include <string>
#include <utility>

#include "backends/io/file-internal.h"
#include "backends/io/network_file.h"
#include "backends/io/network_json-internal.h"
#include "backends/json/positioned_json-internal.h"
#include "backends/onnx/float_network.h"
#include "backends/tflite/read_tflite.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

constexpr std::string_view kFloatFormat = "facsim-float-network";

std::string first_bytes(const std::filesystem::path& file, size_t count) {
  const detail::RegularFile opened = detail::open_regular_file(file);
  std::string bytes(count, '\0');
  bytes.resize(detail::read_fully(opened.fd.get(), bytes.data(), count, file));
  return bytes;
}

/// Which of facsim's two documents a JSON file is; their readers check it again.
NetworkFile json_kind(const std::filesystem::path& file) {
  const json::Document document = json::read_json(
      file, {.max_bytes = uint64_t{64} << 20, .max_depth = 8, .comments = json::Comments::allowed});
  if (!document.value.is_object()) return NetworkFile::facsim;
  const auto format = document.value.find("format");
  return format != document.value.end() && *format == kFloatFormat ? NetworkFile::facsim_float
                                                                   : NetworkFile::facsim;
}

/// True if an operator takes or gives codes.
bool is_quantized(const OnnxModel& model) {
  return std::any_of(model.graph.nodes.begin(), model.graph.nodes.end(), [](const OnnxNode& node) {
    const std::string_view op = node.op_type;
    return op.ends_with("QuantizeLinear") || op.ends_with("DequantizeLinear") ||
           op.starts_with("QLinear") || op == "QGemm" || op.ends_with("Integer");
  });
}

}  // namespace

std::string_view to_string(NetworkFile kind) {
  switch (kind) {
    case NetworkFile::facsim:
      return "facsim";
    case NetworkFile::facsim_float:
      return "facsim float";
    case NetworkFile::tflite:
      return "TFLite";
    case NetworkFile::onnx:
      return "ONNX";
  }
  return "?";
}

NetworkFile network_file_kind(const std::filesystem::path& file) {
  constexpr size_t kIdentifierEnd = 8;
  const std::string bytes = first_bytes(file, kIdentifierEnd);
  if (bytes.size() == kIdentifierEnd && bytes.substr(4) == "TFL3") return NetworkFile::tflite;
  const std::string extension = file.extension().string();
  if (extension == ".tflite") return NetworkFile::tflite;
  if (extension == ".onnx") return NetworkFile::onnx;
  const size_t text = bytes.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  const bool is_json = text != std::string::npos && (bytes[text] == '{' || bytes[text] == '/');
  if (is_json || extension == ".json") return json_kind(file);
  // ModelProto begins with ir_version: field 1, a varint (any order is legal, none other is seen).
  if (!bytes.empty() && bytes[0] == '\x08') return NetworkFile::onnx;
  throw Error({ErrorCode::bad_value, file.string(), "not a network file",
               "facsim's .json, .tflite or .onnx", ""});
}

std::variant<IntGraph, FloatGraph> read_any_network(const std::filesystem::path& file,
                                                    const QuantizedNetworkOptions& onnx) {
  switch (network_file_kind(file)) {
    case NetworkFile::facsim:
      return read_int_graph(file);
    case NetworkFile::facsim_float:
      return read_float_graph(file);
    case NetworkFile::tflite:
      return read_tflite(file);
    case NetworkFile::onnx: {
      const OnnxModel model = read_onnx_model(file);
      if (is_quantized(model)) return quantized_network(model, onnx);
      return float_network(model, {onnx.dims});
    }
  }
  throw Error({ErrorCode::bad_value, file.string(), "not a network file", "", ""});
}

IntGraph read_network(const std::filesystem::path& file, const QuantizedNetworkOptions& onnx) {
  auto network = read_any_network(file, onnx);
  if (IntGraph* graph = std::get_if<IntGraph>(&network)) return std::move(*graph);
  throw Error({ErrorCode::bad_value, file.string(), "a float network", "a quantized network",
               "facsim qat makes one of it"});
}

FloatGraph read_float_network(const std::filesystem::path& file) {
  auto network = read_any_network(file);
  if (FloatGraph* graph = std::get_if<FloatGraph>(&network)) return std::move(*graph);
  throw Error({ErrorCode::bad_value, file.string(), "a quantized network", "a float network",
               "facsim run executes it"});
}

}  // namespace facsim::backends
