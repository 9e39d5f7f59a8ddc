// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace facsim::backends::detail {

/// Op type and integer attributes of a node of an ONNX graph.
struct OnnxNode {
  std::string op;
  std::map<std::string, std::vector<int64_t>, std::less<>> integers;
};

/// The nodes of the main graph, in file order. Reads the protobuf wire format directly and skips
/// all else (onnx.proto: ModelProto.graph 7, GraphProto.node 1, NodeProto.op_type 4 and attribute
/// 5, AttributeProto.name 1, i 3, ints 8). Error bad_value "PLACE@BYTE" for damaged data.
std::vector<OnnxNode> read_onnx_nodes(std::string_view model, const std::string& place);

}  // namespace facsim::backends::detail
