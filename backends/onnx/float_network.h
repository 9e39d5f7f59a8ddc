// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "backends/graph/float_graph.h"
#include "backends/onnx/onnx_model.h"

namespace facsim::backends {

struct FloatNetworkOptions {
  std::map<std::string, int64_t> dims;  ///< extents of symbolic dimensions, by their name
};

/// A float network as layers to fuse and train, with its parameters: one input of images
/// [batch, C, H, W], any batch, one output.
///
/// Conv (any groups, 2-d; sides of unequal padding become a ZeroPad2d before it), ConvTranspose,
/// BatchNormalization, Relu, Clip(0, 6) and Clip(0, none), LeakyRelu, Sigmoid, HardSwish (also
/// written x * HardSigmoid(x)), Gemm, MatMul [+ Add] with constant weights, Add, Concat of
/// channels, MaxPool, AveragePool, GlobalAveragePool and ReduceMean over height and width, Resize
/// and Upsample by whole factors (nearest, linear), Pad with 0, Flatten, and Reshape and Squeeze
/// to [batch, features]. Identity, Dropout and float casts vanish, arithmetic on shapes and
/// constants is done. Nodes that reach no output are left out.
///
/// Names are the nodes' with anything but letters, digits and _ replaced by _. The preprocessing
/// is empty unless the model's metadata have it ("facsim.mean", "facsim.std": numbers with commas
/// between them, one per channel).
///
/// Error: all findings, each with its node: unsupported names op and reason; bad_value and
/// shape_mismatch for attributes and parameters that are wrong by ONNX's own rules.
/// bad_value for a symbolic channel, height or width without an extent.
FloatGraph float_network(const OnnxModel& model, const FloatNetworkOptions& options = {});

}  // namespace facsim::backends
