// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "backends/onnx/onnx_model.h"

namespace facsim::backends {

/// Which DequantizeLinear-op-QuantizeLinear groups of a network become one op on codes.
enum class QdqGroups {
  onnxruntime,  ///< those that ONNX Runtime's CPU provider fuses; a group it leaves in float is
                ///< refused, unless its float result has an exact rule here
  every,        ///< all whose op facsim has on codes: what compilers for accelerators do
};

struct QuantizedNetworkOptions {
  QdqGroups groups = QdqGroups::onnxruntime;
  std::map<std::string, int64_t> dims;  ///< extents of symbolic dimensions, by their name
  std::map<std::string, std::vector<int64_t>> shapes;  ///< of graph inputs, by name, batch included
};

/// The integer network of an ONNX file in QOperator or QDQ form (or a mixture), with ONNX Runtime's
/// meaning; which ops, types and groups: README.md beside this file. Axis 0 of every input is the
/// batch, of any size. Codes keep the file's names; tensors of rank 4 are NHWC inside (`layout` is
/// nchw), tensors of other ranks keep their order.
///
/// Errors: unsupported, one finding for each node that cannot be run, with its name, op and reason;
/// bad_value or shape_mismatch with the node's name for what no ONNX operator means; bad_value for
/// a symbolic dimension without an extent.
IntGraph quantized_network(const OnnxModel& model, const QuantizedNetworkOptions& options = {});

}  // namespace facsim::backends
