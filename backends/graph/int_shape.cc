// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/int_shape.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "sim/core/error.h"

namespace facsim::backends {

namespace {

constexpr int64_t kMaxPad = 65536;

/// The shape rules, one function per kind of op.
class ShapeRules {
 public:
  ShapeRules(const IntGraph& graph, const IntNode& node)
      : graph_(graph), node_(node), attributes_(node.attributes) {}

  Shape output() const {
    const std::string& op = node_.op;
    const Shape& x = input(0);
    if (op == "conv2d") return conv2d(x);
    if (op == "depthwise_conv2d") return depthwise_conv2d(x);
    if (op == "transpose_conv2d") return transpose_conv2d(x);
    if (op == "linear") return linear(x);
    if (op == "batch_matmul") return batch_matmul(x, input(1));
    if (op == "add" || op == "sub" || op == "mul" || op == "minimum" || op == "maximum") {
      return broadcast(x, input(1));
    }
    if (op == "prelu") return one_way_broadcast(x, input(1));
    if (op == "max_pool2d" || op == "avg_pool2d") return pool2d(x);
    if (op == "global_avg_pool") {
      need_rank(x, 4);
      return {1, 1, 1, x[3]};
    }
    if (op == "mean") return mean(x);
    if (op == "pad") return pad(x);
    if (op == "concat") return concat(x);
    if (op == "slice") return slice(x);
    if (op == "transpose") return transpose(x);
    if (op == "resize") {
      need_rank(x, 4);
      return {1, attributes_.resize.size[0], attributes_.resize.size[1], x[3]};
    }
    if (op == "svdf") return svdf(x);
    if (op == "lstm") return lstm(x);
    if (op == "flatten") return {1, x.numel()};
    if (op == "reshape") return reshaped(x);
    return x;
  }

 private:
  [[noreturn]] void fail(std::string found, std::string expected,
                         ErrorCode code = ErrorCode::shape_mismatch) const {
    throw Error({code, "node \"" + node_.name + "\"", std::move(found), std::move(expected), ""});
  }

  const Shape& input(size_t i) const {
    return graph_.tensors[static_cast<size_t>(node_.inputs[i])].shape;
  }

  void need_rank(const Shape& shape, int rank) const {
    if (shape.rank() != rank) {
      fail("tensor of shape " + to_string(shape), fmt::format("rank {}", rank));
    }
  }

  /// One entry per axis of x.
  void need_entries(std::string_view what, const std::vector<int64_t>& list, const Shape& x) const {
    if (static_cast<int>(list.size()) != x.rank()) {
      fail(fmt::format("{} {} for a tensor of shape {}", list.size(), what, to_string(x)),
           fmt::format("{}, one per axis", x.rank()));
    }
  }

  void check_bias(int64_t channels) const {
    if (node_.inputs.size() < 3) return;
    if (input(2) != Shape{channels}) {
      fail("bias of shape " + to_string(input(2)), to_string(Shape{channels}));
    }
  }

  Shape pool2d(const Shape& x) const {
    need_rank(x, 4);
    const auto [oh, ow] = extent_after(x);
    return {1, oh, ow, x[3]};
  }

  std::array<int64_t, 2> extent_after(const Shape& x) const {
    try {
      return attributes_.window.output_extent(x[1], x[2]);
    } catch (const Error& error) {
      fail(error.infos().front().found, error.infos().front().expected);
    }
  }

  /// Weights (OC, KH, KW, C / groups) that fit the input and the window.
  void check_weights(const Shape& x, const Shape& w) const {
    need_rank(x, 4);
    need_rank(w, 4);
    const int64_t groups = attributes_.groups;
    if (groups < 1 || groups > x[3] || w[3] * groups != x[3] || w[0] % groups != 0) {
      fail(fmt::format("weights {} with {} groups on {} channels", to_string(w), groups, x[3]),
           "(OC, KH, KW, channels / groups), OC a multiple of groups");
    }
    if (attributes_.window.kernel != std::array<int64_t, 2>{w[1], w[2]}) {
      fail("kernel differs from the weights' shape " + to_string(w), "", ErrorCode::bad_value);
    }
    check_bias(w[0]);
  }

  Shape conv2d(const Shape& x) const {
    const Shape& w = input(1);
    check_weights(x, w);
    const auto [oh, ow] = extent_after(x);
    return {1, oh, ow, w[0]};
  }

  Shape depthwise_conv2d(const Shape& x) const {
    need_rank(x, 4);
    if (attributes_.groups != x[3]) {
      fail(fmt::format("{} groups on {} channels", attributes_.groups, x[3]),
           "a group per channel");
    }
    return conv2d(x);
  }

  /// (in - 1) * stride + (kernel - 1) * dilation + 1 + output_padding - padding on both sides.
  Shape transpose_conv2d(const Shape& x) const {
    const Shape& w = input(1);
    check_weights(x, w);
    const sim::Window2d& window = attributes_.window;
    const std::array<int64_t, 2> cut{window.padding.top + window.padding.bottom,
                                     window.padding.left + window.padding.right};
    std::array<int64_t, 2> out{};
    for (size_t axis = 0; axis < 2; ++axis) {
      const int64_t in = x[static_cast<int>(axis) + 1];
      if (in > (int64_t{1} << 32)) fail(fmt::format("extent {}", in), "at most 2^32");
      out[axis] = (in - 1) * window.stride[axis] +
                  (window.kernel[axis] - 1) * window.dilation[axis] + 1 +
                  attributes_.output_padding[axis] - cut[axis];
      if (out[axis] < 1) fail(fmt::format("output extent {}", out[axis]), ">= 1");
    }
    return {1, out[0], out[1], w[0]};
  }

  Shape linear(const Shape& x) const {
    const Shape& w = input(1);
    need_rank(w, 2);
    check_bias(w[0]);
    if (x.rank() >= 2 && x.numel() == w[1]) return {1, w[0]};
    if (x.rank() < 3 || x[x.rank() - 1] != w[1]) {
      fail(fmt::format("input {} for weights {}", to_string(x), to_string(w)),
           "trailing extents that multiply to the weights' second, or rows of that many");
    }
    std::vector<int64_t> extents = x.extents();
    extents.back() = w[0];
    return Shape(std::move(extents));
  }

  void need_shape(size_t i, std::string_view what, const Shape& expected) const {
    if (input(i) != expected) {
      fail(fmt::format("{} of shape {}", what, to_string(input(i))), to_string(expected));
    }
  }

  Shape svdf(const Shape& x) const {
    const Shape& features = input(1);
    need_rank(x, 3);
    need_rank(features, 2);
    need_rank(input(2), 2);
    const int64_t filters = features[0], rank = attributes_.rank;
    if (features[1] != x[2] || input(2)[0] != filters || rank < 1 || filters % rank != 0) {
      fail(fmt::format("weights {} and {}, rank {} on input {}", to_string(features),
                       to_string(input(2)), rank, to_string(x)),
           "(F, I) and (F, M), F a multiple of the rank");
    }
    if (node_.inputs.size() > 3) need_shape(3, "bias", Shape{filters / rank});
    return {1, x[1], filters / rank};
  }

  Shape lstm(const Shape& x) const {
    need_rank(x, 3);
    need_rank(input(1), 2);
    const int64_t hidden = input(1)[0];
    for (size_t gate = 0; gate < 4; ++gate) {
      need_shape(1 + gate, "weights", Shape{hidden, x[2]});
      need_shape(5 + gate, "weights of the output", Shape{hidden, hidden});
      need_shape(9 + gate, "bias", Shape{hidden});
    }
    return {1, x[1], hidden};
  }

  /// numpy's rule: trailing axes align, an extent of 1 stretches.
  Shape broadcast(const Shape& a, const Shape& b) const {
    const int rank = std::max(a.rank(), b.rank());
    std::vector<int64_t> extents(static_cast<size_t>(rank), 1);
    for (int i = 0; i < rank; ++i) {
      const int64_t ea = i < a.rank() ? a[a.rank() - 1 - i] : 1;
      const int64_t eb = i < b.rank() ? b[b.rank() - 1 - i] : 1;
      if (ea != eb && ea != 1 && eb != 1) {
        fail(fmt::format("inputs {} and {}", to_string(a), to_string(b)),
             "extents that are equal or 1 on every axis");
      }
      extents[static_cast<size_t>(rank - 1 - i)] = std::max(ea, eb);
    }
    return Shape(std::move(extents));
  }

  /// The second operand stretches to the first.
  Shape one_way_broadcast(const Shape& x, const Shape& alpha) const {
    if (broadcast(x, alpha) != x) {
      fail("alpha of shape " + to_string(alpha), "a shape that broadcasts to " + to_string(x));
    }
    return x;
  }

  Shape batch_matmul(const Shape& a, const Shape& b) const {
    if (a.rank() < 2 || b.rank() < 2) {
      fail(fmt::format("inputs {} and {}", to_string(a), to_string(b)), "rank 2 or more");
    }
    const auto matrix = [](const Shape& s, bool swapped) {
      std::array<int64_t, 2> out{s[s.rank() - 2], s[s.rank() - 1]};
      if (swapped) std::swap(out[0], out[1]);
      return out;
    };
    const auto lhs = matrix(a, attributes_.transpose_lhs);
    const auto rhs = matrix(b, attributes_.transpose_rhs);
    if (lhs[1] != rhs[0]) {
      fail(fmt::format("{} columns times {} rows", lhs[1], rhs[0]), "the same number");
    }
    const auto batch = [](const Shape& s) {
      return Shape(std::vector<int64_t>(s.extents().begin(), s.extents().end() - 2));
    };
    std::vector<int64_t> extents = broadcast(batch(a), batch(b)).extents();
    extents.push_back(lhs[0]);
    extents.push_back(rhs[1]);
    return Shape(std::move(extents));
  }

  Shape mean(const Shape& x) const {
    std::vector<int64_t> extents;
    const std::vector<int64_t>& axes = attributes_.axes;
    for (size_t i = 0; i < axes.size(); ++i) {
      if (axes[i] < 1 || axes[i] >= x.rank() || (i > 0 && axes[i] <= axes[i - 1])) {
        fail(fmt::format("axis {}", axes[i]), fmt::format("ascending axes of 1..{}", x.rank() - 1));
      }
    }
    for (int axis = 0; axis < x.rank(); ++axis) {
      if (std::find(axes.begin(), axes.end(), axis) == axes.end()) {
        extents.push_back(x[axis]);
      } else if (attributes_.keep_dims) {
        extents.push_back(1);
      }
    }
    return Shape(std::move(extents));
  }

  Shape pad(const Shape& x) const {
    need_entries("pad_before", attributes_.pad_before, x);
    need_entries("pad_after", attributes_.pad_after, x);
    std::vector<int64_t> extents;
    for (int axis = 0; axis < x.rank(); ++axis) {
      const int64_t before = attributes_.pad_before[static_cast<size_t>(axis)];
      const int64_t after = attributes_.pad_after[static_cast<size_t>(axis)];
      if (std::min(before, after) < 0 || std::max(before, after) > kMaxPad ||
          (axis == 0 && before + after != 0)) {
        fail(fmt::format("{} and {} on axis {}", before, after, axis), "0..65536, 0 on the batch");
      }
      extents.push_back(before + x[axis] + after);
    }
    return Shape(std::move(extents));
  }

  Shape concat(const Shape& x) const {
    const int64_t axis = attributes_.axis;
    if (axis < 1 || axis >= x.rank()) {
      fail(fmt::format("axis {}", axis), fmt::format("1..{}", x.rank() - 1));
    }
    std::vector<int64_t> extents = x.extents();
    const auto along = static_cast<size_t>(axis);
    for (size_t i = 1; i < node_.inputs.size(); ++i) {
      std::vector<int64_t> other = input(i).extents();
      if (other.size() == extents.size()) {
        extents[along] += other[along];
        other[along] = extents[along];
      }
      if (other != extents) {
        fail(fmt::format("inputs {} and {}", to_string(x), to_string(input(i))),
             fmt::format("equal shapes outside axis {}", axis));
      }
    }
    return Shape(std::move(extents));
  }

  Shape slice(const Shape& x) const {
    need_entries("begin", attributes_.begin, x);
    need_entries("end", attributes_.end, x);
    need_entries("strides", attributes_.strides, x);
    std::vector<int64_t> extents;
    for (int axis = 0; axis < x.rank(); ++axis) {
      const auto i = static_cast<size_t>(axis);
      const int64_t begin = attributes_.begin[i];
      const int64_t end = attributes_.end[i];
      const int64_t stride = attributes_.strides[i];
      if (begin < 0 || end > x[axis] || begin >= end || stride < 1) {
        fail(fmt::format("{}:{}:{} on axis {}", begin, end, stride, axis),
             fmt::format("0 <= begin < end <= {}, stride >= 1", x[axis]));
      }
      extents.push_back((end - begin - 1) / stride + 1);
    }
    return Shape(std::move(extents));
  }

  Shape transpose(const Shape& x) const {
    need_entries("entries of permutation", attributes_.permutation, x);
    std::vector<int64_t> extents;
    std::vector<bool> seen(static_cast<size_t>(x.rank()), false);
    for (const int64_t axis : attributes_.permutation) {
      if (axis < 0 || axis >= x.rank() || seen[static_cast<size_t>(axis)]) {
        fail(fmt::format("axis {} in the permutation", axis),
             fmt::format("each of 0..{} once", x.rank() - 1));
      }
      seen[static_cast<size_t>(axis)] = true;
      extents.push_back(x[static_cast<int>(axis)]);
    }
    if (!extents.empty() && attributes_.permutation[0] != 0) {
      fail("a permutation that moves the batch", "axis 0 first");
    }
    return Shape(std::move(extents));
  }

  Shape reshaped(const Shape& x) const {
    std::vector<int64_t> extents{1};
    int64_t known = 1;
    size_t open = 0;
    for (const int64_t extent : attributes_.extents) {
      if (extent == -1 && open == 0) {
        open = extents.size();
      } else if (extent < 1 || extent > x.numel()) {
        fail(fmt::format("extent {}", extent), "positive, or one -1");
      } else {
        known = extent > x.numel() / known ? x.numel() + 1 : known * extent;
      }
      extents.push_back(extent);
    }
    if (open != 0) {
      extents[open] = x.numel() / known;
      known *= extents[open];
    }
    if (known != x.numel()) {
      fail("reshape of " + to_string(x), "extents with the same number of elements");
    }
    return Shape(std::move(extents));
  }

  const IntGraph& graph_;
  const IntNode& node_;
  const NodeAttributes& attributes_;
};

}  // namespace

Shape int_output_shape(const IntGraph& graph, const IntNode& node) {
  return ShapeRules(graph, node).output();
}

int64_t int_macs(const IntGraph& graph, const IntNode& node) {
  const auto shape = [&](int tensor) -> const Shape& {
    return graph.tensors[static_cast<size_t>(tensor)].shape;
  };
  const Shape& out = shape(node.output);
  if (node.op == "batch_matmul") {
    const Shape& lhs = shape(node.inputs[0]);
    return out.numel() * lhs[lhs.rank() - (node.attributes.transpose_lhs ? 2 : 1)];
  }
  if (node.inputs.size() < 2) return 0;
  const Shape& weights = shape(node.inputs[1]);
  if (node.op == "transpose_conv2d") {  // each input element meets one filter per output channel
    const Shape& x = shape(node.inputs[0]);
    return x[1] * x[2] * weights.numel();
  }
  if (node.op == "svdf" || node.op == "lstm") {  // every weight once in each step
    int64_t elements = 0;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (shape(node.inputs[i]).rank() == 2) elements += shape(node.inputs[i]).numel();
    }
    return shape(node.inputs[0])[1] * elements;
  }
  const bool is_layer = node.op.ends_with("conv2d") || node.op == "linear";
  return is_layer ? out.numel() * (weights.numel() / weights[0]) : 0;
}

}  // namespace facsim::backends
