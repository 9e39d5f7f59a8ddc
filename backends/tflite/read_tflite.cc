// SPDX-License-Identifier: Apache-2.0
#include "backends/tflite/read_tflite.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backends/io/npy.h"
#include "backends/tflite/tflite_node-internal.h"

namespace facsim::backends {

namespace {

using detail::TfliteFile;
using detail::TfliteGraph;
using detail::TfliteNode;
using detail::TfliteOperator;

constexpr size_t kBufferAlignment = 16;  // of a buffer's data inside the file

void read_tflite_operator(TfliteGraph& graph, const TfliteOperator& op) {
  TfliteNode node(graph, op);
  if (detail::evaluate_tflite_constants(node)) return;
  const detail::TfliteOpReader read = detail::find_tflite_op(op.code);
  if (read == nullptr) {
    std::string name = "operator " + detail::operator_name(op);
    if (op.code == tflite::BuiltinOperator::CUSTOM) {
      name += " \"" + std::string(op.custom_code) + "\"";
    }
    node.unsupported("unsupported " + name, "an operator of an integer network");
  }
  read(node);
}

IntGraph read_tflite_graph(const TfliteFile& file) {
  TfliteGraph graph(file);
  for (const int input : file.inputs()) {
    const detail::TfliteTensor& tensor = graph.tensor(input);
    if (tensor.is_constant) {
      throw Error({ErrorCode::bad_value, file.place_of(tensor), "an input with data", "", ""});
    }
    graph.graph().inputs.push_back(graph.result(input));
  }
  for (const TfliteOperator& op : file.operators()) read_tflite_operator(graph, op);
  for (const int output : file.outputs()) {
    const int number = graph.operand(output);
    if (graph.int_tensor(number).data) {
      throw Error({ErrorCode::unsupported, file.place_of(graph.tensor(output)),
                   "an output that is constant", "one that depends on the input", ""});
    }
    graph.graph().outputs.push_back(number);
  }
  try {
    check(graph.graph());
  } catch (const Error& error) {
    std::vector<ErrorInfo> infos = error.infos();
    for (ErrorInfo& info : infos) info.place = file.place() + ": " + info.place;
    throw Error(std::move(infos));
  }
  return std::move(graph.graph());
}

}  // namespace

IntGraph parse_tflite(std::string_view bytes, const std::string& place) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % kBufferAlignment == 0) {
    return read_tflite_graph(TfliteFile(bytes, place));
  }
  struct alignas(kBufferAlignment) Block {
    char bytes[kBufferAlignment];
  };
  std::vector<Block> aligned(bytes.size() / kBufferAlignment + 1);
  char* copy = aligned.front().bytes;
  std::copy(bytes.begin(), bytes.end(), copy);
  return read_tflite_graph(TfliteFile({copy, bytes.size()}, place));
}

IntGraph read_tflite(const std::filesystem::path& file) {
  return parse_tflite(read_file(file), file.string());
}

}  // namespace facsim::backends
