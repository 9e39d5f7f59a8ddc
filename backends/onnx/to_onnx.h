// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/graph/int_graph.h"
#include "backends/onnx/onnx_model.h"

namespace facsim::backends {

/// How a quantized network is spelled in ONNX.
enum class OnnxForm {
  qdq,        ///< real operators between DequantizeLinear and QuantizeLinear
  qoperator,  ///< QLinearConv, QGemm, QLinearAdd, …: operators on codes (partly com.microsoft's)
};

/// A quantized network as an ONNX model, in the patterns that ONNX Runtime executes on integers.
///
/// Activations are NCHW with the batch "N", weights OIHW; values are named as the tensors are.
/// - Layers: weights and int32 biases as codes (qdq: a bias has scale_x * scale_w and zero point
/// 0).
/// - Ops that move codes without changing scales (pools by maximum, reshape, transpose, slice, pad,
///   concat of equal scales): on the codes, in qdq between DequantizeLinear and QuantizeLinear.
/// - A fused activation that the output's type already enforces is written as Relu or Clip before
///   QuantizeLinear (qdq) or not at all; another one clips the codes behind the operator, since
///   ONNX Runtime would execute a Clip between real values in float.
/// - qoperator: ops without an operator on codes are real operators between DequantizeLinear and
///   QuantizeLinear, as in the other form.
/// - lut: Gather from the table.
/// The opset is 13 or the first that has the operators and types in use.
/// Errors: unsupported with the node's name for what ONNX cannot say: codes narrower than their
/// type, activations with a scale per channel, biases that are no int32 codes in accumulator units,
/// grouped transposed convolutions; and what check() finds.
OnnxModel to_onnx(const IntGraph& graph, OnnxForm form);

}  // namespace facsim::backends
