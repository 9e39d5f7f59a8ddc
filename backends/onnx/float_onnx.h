// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/graph/float_graph.h"
#include "backends/onnx/onnx_model.h"

namespace facsim::backends {

/// A float network with its parameters as an ONNX model (opset 14): what float_network() reads
/// back, any batch. Batch norms stay layers of their own. Error missing_key names a node whose
/// parameters the network does not bring, unsupported a user's own op.
OnnxModel float_onnx(const FloatGraph& graph);

}  // namespace facsim::backends
