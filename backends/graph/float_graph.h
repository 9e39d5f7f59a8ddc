// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "backends/graph/int_graph.h"
#include "sim/core/tensor.h"

namespace facsim::backends {

/// One layer of a float network. `op` is the PyTorch class name: Conv2d, ConvTranspose2d, Linear,
/// BatchNorm2d, BatchNorm1d, ReLU, ReLU6, LeakyReLU, Hardswish, Sigmoid, Add, Concat (of channels),
/// MaxPool2d, AvgPool2d, AdaptiveAvgPool2d (to 1x1), Upsample, ZeroPad2d, Flatten, or a user's own
/// word with a dot in it ("acme.Swish"), taken as elementwise. Field names are PyTorch's.
struct FloatNode {
  std::string name;
  std::string op;
  std::vector<std::string> inputs;  ///< names of nodes, or "input"
  int64_t in_channels = 0;          ///< in_features of Linear, num_features of BatchNorm
  int64_t out_channels = 0;         ///< out_features
  std::array<int64_t, 2> kernel_size{1, 1}, stride{1, 1}, padding{0, 0}, dilation{1, 1};
  int64_t groups = 1;
  bool bias = true;
  float eps = 1e-5f;
  std::optional<float> momentum = 0.1f;  ///< null: cumulative average
  float negative_slope = 0.01f;
  std::array<int64_t, 2> output_padding{0, 0};  ///< ConvTranspose2d: rows, columns at the end
  std::array<int64_t, 4> pad{0, 0, 0, 0};       ///< ZeroPad2d: left, right, top, bottom
  std::array<int64_t, 2> scale_factor{1, 1};    ///< Upsample
  ResizeAttributes::Mode mode = ResizeAttributes::Mode::nearest;  ///< Upsample
  bool align_corners = false;                                     ///< Upsample, bilinear
  std::string profile;  ///< another profile for this layer; empty: the network's
  std::string place;    ///< file:line:column of the node, for errors
};

/// The values of a node's tensors, float32, by PyTorch's names: weights output channel first (OHWI,
/// [O, I], [C]). An absent one starts as PyTorch initialises it.
struct FloatParameters {
  std::optional<Tensor> weight, bias, running_mean, running_var;
};

/// A float network as a DAG, nodes in the file's order.
struct FloatGraph {
  std::string name;
  std::array<int64_t, 3> input_shape{1, 1, 1};  ///< C, H, W
  Preprocessing preprocessing;
  std::vector<FloatNode> nodes;
  std::vector<std::string> outputs;
  std::map<std::string, FloatParameters, std::less<>> parameters{};  ///< by node; trained networks

  bool trained() const { return !parameters.empty(); }
};

/// Checks the values that a network brings for a node. Error, at the node's name: shape_mismatch
/// for a shape other than `expected`'s, bad_value for a number that is not finite, a variance below
/// 0, or one of 0 with eps 0. All findings at once.
void check_parameters(const FloatNode& node, const FloatParameters& parameters);
/// Hexadecimal digits that change with any bit of the parameters a network brings; empty for a
/// network without any.
std::string parameters_hash(const FloatGraph& graph);

/// Reads a float network (configs/networks/*.json):
///
///   {"format": "facsim-float-network", "version": 1, "name": "example",
///    "input": {"shape": [1, 28, 28], "mean": [0.2860], "std": [0.3530]},
///    "nodes": [
///      {"name": "conv1", "op": "Conv2d", "in_channels": 1, "out_channels": 32, "kernel_size": 3},
///      {"name": "relu1", "op": "ReLU"},
///      {"name": "sum", "op": "Add", "inputs": ["relu1", "conv1"]}],
///    "outputs": ["sum"]}
///
/// Keys and defaults are PyTorch's; comments are allowed. `inputs` is the node before when absent,
/// `outputs` the last node. `mean` and `std` are 0 and 1 when absent. Error: bad JSON, unknown or
/// duplicate key, cycle, missing input, mismatched channels, window that does not fit: all found at
/// once, each with file:line:column and JSON pointer. Nodes come out in topological order.
FloatGraph read_float_graph(const std::filesystem::path& file);

}  // namespace facsim::backends
