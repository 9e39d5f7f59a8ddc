// SPDX-License-Identifier: Apache-2.0
// Parts of an output: what a node must read to compute a range of one axis, as before.
#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "backends/graph/int_ops.h"
#include "backends/graph/int_shape.h"
#include "backends/parity/reduce-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using detail::input_of;
using detail::node_of;
using detail::output_tensor;

/// Indices of an axis.
struct Range {
  int axis = 0;
  int64_t begin = 0, count = 0;
};

Tensor part_of(const Tensor& all, const Range& range) {
  Shape shape = all.shape();
  int64_t inner = static_cast<int64_t>(size_of(all.dtype()));
  for (int axis = range.axis + 1; axis < shape.rank(); ++axis) inner *= shape[axis];
  const int64_t extent = shape[range.axis];
  shape[range.axis] = range.count;
  Tensor part = Tensor::uninitialized(all.dtype(), shape);
  const auto* from = static_cast<const std::byte*>(all.raw());
  auto* to = static_cast<std::byte*>(part.raw());
  const auto bytes = static_cast<size_t>(range.count * inner);
  for (size_t at = 0; at < part.bytes(); at += bytes, from += extent * inner) {
    std::memcpy(to + at, from + range.begin * inner, bytes);
  }
  return part;
}

bool is_one_of(const std::string& op, std::initializer_list<std::string_view> ops) {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

/// Ops that compute each element from those at its place (or broadcast to it).
bool is_elementwise(const std::string& op) {
  return is_one_of(op, {"add", "sub", "mul", "minimum", "maximum", "quantize", "dequantize",
                        "requantize", "relu", "relu6", "clamp", "lut", "leaky_relu", "prelu",
                        "hard_swish", "sigmoid", "tanh"});
}

bool has_window(const std::string& op) {
  return is_one_of(op, {"conv2d", "depthwise_conv2d", "max_pool2d", "avg_pool2d"});
}

/// A reproduction being cut: nothing of the original is written to.
class Cut {
 public:
  Cut(const Reproduction& from, const Range& range) : r_(from), range_(range) {}

  /// Nothing where the op cannot be cut there.
  std::optional<Reproduction> run() {
    if (range_.axis == 0 ? !cut_images() : !cut_axis()) return std::nullopt;
    if (r_.recorded) {
      r_.recorded = {part_of(r_.recorded->ours, range_), part_of(r_.recorded->theirs, range_)};
    }
    try {
      output_tensor(r_).shape = int_output_shape(r_.graph, node_of(r_));
    } catch (const Error&) {
      return std::nullopt;
    }
    return std::move(r_);
  }

 private:
  bool cut_images() {
    for (Tensor& input : r_.inputs) input = part_of(input, range_);
    return true;
  }

  bool cut_axis() {
    const std::string& op = node_of(r_).op;
    const int last = output_tensor(r_).shape.rank() - 1;
    if (is_elementwise(op)) return cut_elementwise();
    if (range_.axis == last && (detail::is_weighted(node_of(r_)) || op == "transpose_conv2d")) {
      return cut_channels();
    }
    if (has_window(op) && range_.axis < last) return cut_window();
    if (!keeps_axis() || input_of(r_, 0).shape.rank() != last + 1) return false;
    cut_tensor(node_of(r_).inputs[0], range_);
    return true;
  }

  /// Whether an index of the output's axis reads the same index of the input's alone.
  bool keeps_axis() const {
    const IntNode& node = node_of(r_);
    const bool is_last = range_.axis == output_tensor(r_).shape.rank() - 1;
    if (is_one_of(node.op, {"max_pool2d", "avg_pool2d", "global_avg_pool", "resize"}))
      return is_last;
    if (is_one_of(node.op, {"softmax", "linear"})) return !is_last;
    const auto& reduced = node.attributes.axes;
    return node.op == "mean" && node.attributes.keep_dims &&
           std::find(reduced.begin(), reduced.end(), range_.axis) == reduced.end();
  }

  /// A constant, or a network input with its images.
  void cut_tensor(int number, const Range& range) {
    IntTensor& tensor = r_.graph.tensors[static_cast<size_t>(number)];
    if (tensor.data) tensor.data = part_of(*tensor.data, range);
    for (size_t i = 0; i < r_.inputs.size(); ++i) {
      if (r_.graph.inputs[i] == number) r_.inputs[i] = part_of(r_.inputs[i], range);
    }
    tensor.shape[range.axis] = range.count;
    cut_qparams(tensor, range);
  }

  static void cut_qparams(IntTensor& tensor, const Range& range) {
    auto& q = tensor.qparams;
    if (!q || q->scale.size() <= 1 || q->channel_axis != range.axis) return;
    const auto begin = static_cast<std::ptrdiff_t>(range.begin);
    const auto end = begin + static_cast<std::ptrdiff_t>(range.count);
    q->scale = {q->scale.begin() + begin, q->scale.begin() + end};
    q->zero_point = {q->zero_point.begin() + begin, q->zero_point.begin() + end};
  }

  /// Inputs are broadcast: trailing axes belong together, an extent of 1 is every index.
  bool cut_elementwise() {
    const IntNode& node = node_of(r_);
    const Shape out = output_tensor(r_).shape;
    std::vector<int> inputs = node.inputs;
    std::sort(inputs.begin(), inputs.end());
    inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
    for (const int number : inputs) {
      const Shape& shape = r_.graph.tensors[static_cast<size_t>(number)].shape;
      const int axis = range_.axis - (out.rank() - shape.rank());
      if (axis < 0 || shape[axis] != out[range_.axis]) continue;
      cut_tensor(number, {axis, range_.begin, range_.count});
    }
    cut_qparams(output_tensor(r_), range_);
    return true;
  }

  /// Output channels of a weighted layer, of whole groups if it has several.
  bool cut_channels() {
    IntNode& node = node_of(r_);
    Range outputs{0, range_.begin, range_.count};
    if (node.op != "linear" && node.attributes.groups > 1) {
      const Shape& weights = input_of(r_, 1).shape;
      const int64_t unit = weights[0] / node.attributes.groups;
      if (range_.begin % unit != 0 || range_.count % unit != 0) return false;
      const Range inputs{3, range_.begin / unit * weights[3], range_.count / unit * weights[3]};
      // A convolution of one channel is another op to a profile than a depthwise one.
      if (node.op == "conv2d" && weights[3] == 1) node.op = "depthwise_conv2d";
      node.attributes.groups = range_.count / unit;
      cut_tensor(node.inputs[0], inputs);
    }
    for (size_t i = 1; i < node.inputs.size(); ++i) cut_tensor(node.inputs[i], outputs);
    return true;
  }

  /// Rows or columns: the part of the image that their windows cover, and what of the padding.
  bool cut_window() {
    sim::Window2d& window = node_of(r_).attributes.window;
    const auto w = static_cast<size_t>(range_.axis - 1);
    int64_t& before = w == 0 ? window.padding.top : window.padding.left;
    int64_t& after = w == 0 ? window.padding.bottom : window.padding.right;
    const int64_t extent = input_of(r_, 0).shape[range_.axis];
    const int64_t first = range_.begin * window.stride[w] - before;
    const int64_t end = first + (range_.count - 1) * window.stride[w] +
                        (window.kernel[w] - 1) * window.dilation[w] + 1;
    const int64_t begin_inside = std::clamp<int64_t>(first, 0, extent);
    const int64_t end_inside = std::clamp<int64_t>(end, 0, extent);
    if (begin_inside >= end_inside) return false;  // nothing but padding
    before = begin_inside - first;
    after = end - end_inside;
    cut_tensor(node_of(r_).inputs[0], {range_.axis, begin_inside, end_inside - begin_inside});
    return true;
  }

  Reproduction r_;
  Range range_;
};

int64_t extent_of(const Reproduction& r, int axis) {
  return axis == 0 ? r.inputs[0].shape()[0] : output_tensor(r).shape[axis];
}

/// A range of output channels must be a multiple of this.
int64_t unit_of(const Reproduction& r, int axis) {
  const IntNode& node = node_of(r);
  const IntOp* op = find_int_op(node.op);
  const bool channels = axis == output_tensor(r).shape.rank() - 1;
  if (!channels || !op->has(Attribute::groups) || node.attributes.groups <= 1) return 1;
  return input_of(r, 1).shape[0] / node.attributes.groups;
}

}  // namespace

bool detail::is_weighted(const IntNode& node) {
  return is_one_of(node.op, {"conv2d", "depthwise_conv2d", "linear"});
}

bool detail::still_shows(const Reproduction& candidate, const StillShows& shows) {
  try {
    check(candidate.graph);
    return shows(candidate);
  } catch (const Error&) {
    return false;
  }
}

Reproduction cut_to_one_output(Reproduction now, const StillShows& shows) {
  const auto attempt = [&](const Range& range) {
    std::optional<Reproduction> candidate = Cut(now, range).run();
    if (!candidate || !detail::still_shows(*candidate, shows)) return false;
    now = std::move(*candidate);
    return true;
  };
  for (int axis = 0; axis < output_tensor(now).shape.rank(); ++axis) {
    while (true) {
      const int64_t extent = extent_of(now, axis), unit = unit_of(now, axis);
      const int64_t half = (extent / unit + 1) / 2 * unit;
      if (half >= extent) break;
      if (!attempt({axis, 0, half}) && !attempt({axis, half, extent - half})) break;
    }
  }
  return now;
}

}  // namespace facsim::backends
