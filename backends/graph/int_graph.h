// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "quant/qparams.h"
#include "sim/core/tensor.h"
#include "sim/ops/conv2d.h"
#include "sim/ops/reshape.h"

namespace facsim::backends {

/// A tensor of a quantized network: an activation, or a constant when `data` is set.
struct IntTensor {
  std::string name;
  DType dtype = DType::int8;  ///< float32 for float inputs/outputs and float biases
  Shape shape;                ///< activations NHWC with batch 1; weights OHWI or [O, I]
  std::optional<quant::QParams> qparams;
  std::optional<Tensor> data;
};

enum class Activation { none, relu, relu6, relu_n1_to_1 };
std::string_view to_string(Activation activation);
std::optional<Activation> activation_from_string(std::string_view word);

/// How `resize` finds a source coordinate and which value it takes there.
struct ResizeAttributes {
  enum class Mode { nearest, bilinear };
  std::array<int64_t, 2> size{1, 1};  ///< OH, OW
  Mode mode = Mode::nearest;
  bool align_corners = false;       ///< corner pixels' centres coincide
  bool half_pixel_centers = false;  ///< pixel centres at i + 1/2
  friend bool operator==(const ResizeAttributes&, const ResizeAttributes&) = default;
};

/// Attributes of all ops; each op reads the ones it names in int_ops.cc's table. Axes count from
/// 0, the batch, which no op may move or cut.
struct NodeAttributes {
  sim::Window2d window{};  ///< padding explicit; resolved from same/valid when read
  int64_t groups = 1;
  Activation activation = Activation::none;
  bool count_include_pad = false;
  std::vector<int64_t> extents{-1};                                   ///< reshape
  sim::ReshapeParams::Order order = sim::ReshapeParams::Order::nhwc;  ///< reshape/flatten
  std::vector<int64_t> table;                                         ///< lut
  std::array<int64_t, 2> output_padding{0,
                                        0};    ///< transpose_conv2d: rows, columns added at the end
  int64_t axis = -1;                           ///< concat
  std::vector<int64_t> axes;                   ///< mean: reduced axes, ascending
  bool keep_dims = true;                       ///< mean: reduced axes stay with extent 1
  std::vector<int64_t> permutation;            ///< transpose: output axis i is input axis [i]
  std::vector<int64_t> begin, end, strides;    ///< slice: begin + k * stride < end, strides >= 1
  std::vector<int64_t> pad_before, pad_after;  ///< pad
  std::optional<int64_t> pad_value;            ///< pad: the code around; absent: that of real 0
  float alpha = 0.01f;                         ///< leaky_relu: slope of negative values
  float beta = 1.0f;                           ///< softmax over the last axis: exp(beta * x)
  bool transpose_lhs = false, transpose_rhs = false;  ///< batch_matmul: last two axes swapped
  ResizeAttributes resize;
  int64_t rank = 1;                     ///< svdf: filters of a unit
  std::optional<quant::QParams> state;  ///< svdf: of its states; lstm: of its cells
  float cell_clip = 0.0f;               ///< lstm: real bound of a cell's magnitude
};

/// Ops and their inputs: conv2d, depthwise_conv2d (one filter or more per channel, groups =
/// channels), transpose_conv2d, linear [x, w, bias?]; batch_matmul, add, sub, mul, minimum, maximum
/// [a, b]; prelu [x, alpha]; concat [x, ...]; svdf [x, feature weights, time weights, bias?]; lstm
/// [x, 4 weights of x, 4 weights of y, 4 biases], gates in the order input, forget, cell, output;
/// all others of int_ops.cc [x]. linear takes (1, …) of as many elements as its weights' rows, or
/// rows of that many on the last axis; svdf and lstm take (1, T, I), T steps of one run, whose
/// states are real 0 before the first.
struct IntNode {
  std::string name;
  std::string op;
  std::vector<int> inputs;  ///< tensor numbers
  int output = -1;
  NodeAttributes attributes;
  std::string profile;  ///< another profile for this node; empty: the network's
};

/// How raw data become the network's float input: real = (raw / 255 - mean) / std per channel.
struct Preprocessing {
  std::vector<float> mean;
  std::vector<float> std;
};

/// A quantized network without platform rules: what a .tflite or a facsim .json holds. A profile
/// turns it into a sim::Graph (backends/lower).
struct IntGraph {
  std::string name;
  std::string profile;              ///< the profile it was made for
  std::string profile_fingerprint;  ///< of the resolved profile
  std::vector<IntTensor> tensors;
  std::vector<IntNode> nodes;  ///< in topological order
  std::vector<int> inputs;
  std::vector<int> outputs;
  std::optional<Preprocessing> preprocessing;
  enum class Layout { nhwc, nchw };
  Layout layout = Layout::nhwc;  ///< layout of the file's own tensors (what `run` writes)
};

/// Error with the node's or tensor's name: unknown op, wrong number of inputs, order, shapes,
/// types.
void check(const IntGraph& graph);

}  // namespace facsim::backends
