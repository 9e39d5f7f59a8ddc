// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/reduce.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include "sim/core/error.h"
#include "sim/graph/executor.h"

namespace facsim::backends {

namespace {

sim::RunResult run_all(const IntGraph& graph, const Profile& profile, std::vector<Tensor> inputs) {
  sim::ExecutorOptions options;
  options.threads = 1;
  options.isa = sim::Isa::scalar;
  options.trace = true;
  return sim::Executor(lower(graph, profile), options).run(std::move(inputs));
}

bool same_bytes(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

/// One node of a graph as a network of its own.
IntGraph node_alone(const IntGraph& graph, const IntNode& node) {
  IntGraph alone;
  alone.name = "reduced";
  alone.profile = graph.profile;
  IntNode copy = node;
  for (int& t : copy.inputs) {
    alone.tensors.push_back(graph.tensors[static_cast<size_t>(t)]);
    t = static_cast<int>(alone.tensors.size()) - 1;
    if (!alone.tensors.back().data) alone.inputs.push_back(t);
  }
  alone.tensors.push_back(graph.tensors[static_cast<size_t>(node.output)]);
  copy.output = static_cast<int>(alone.tensors.size()) - 1;
  alone.outputs = {copy.output};
  alone.nodes = {std::move(copy)};
  return alone;
}

/// With elements of its own: a copied Tensor shares them.
Reproduction deep_copy(const Reproduction& from) {
  Reproduction copy = from;
  for (Tensor& input : copy.inputs) input = input.clone();
  for (IntTensor& tensor : copy.graph.tensors) {
    if (tensor.data) tensor.data = tensor.data->clone();
  }
  return copy;
}

/// A reproduction of one node and what may be changed about it.
class Reducer {
 public:
  Reducer(Reproduction start, const StillShows& shows) : now_(std::move(start)), shows_(shows) {}

  Reproduction run() {
    if (is_layer()) {
      if (one_output_of_layer()) {
        if (canonical_layer()) return std::move(now_);
        remove_taps();
      }
    } else {
      one_element();
    }
    attempt([](Reproduction& r) { r.graph.nodes[0].attributes.activation = Activation::none; });
    if (is_layer()) attempt([](Reproduction& r) { r.graph.nodes[0].inputs.resize(2); });
    zero_points();
    canonical_scales();
    for (int round = 0; round < 4 && smaller_integers(); ++round) {
    }
    remove_unused();
    return std::move(now_);
  }

 private:
  static const std::string& op_of(const Reproduction& r) { return r.graph.nodes[0].op; }
  static IntTensor& tensor(Reproduction& r, size_t input) {
    return r.graph.tensors[static_cast<size_t>(r.graph.nodes[0].inputs[input])];
  }
  static IntTensor& output(Reproduction& r) {
    return r.graph.tensors[static_cast<size_t>(r.graph.nodes[0].output)];
  }
  bool is_layer() const {
    const std::string& op = op_of(now_);
    return op == "conv2d" || op == "depthwise_conv2d" || op == "linear";
  }

  bool still_shows(const Reproduction& candidate) const {
    try {
      check(candidate.graph);
      return shows_(candidate);
    } catch (const Error&) {
      return false;
    }
  }

  template <class Change>
  bool attempt(const Change& change) {
    Reproduction candidate = deep_copy(now_);
    change(candidate);
    if (!still_shows(candidate)) return false;
    now_ = std::move(candidate);
    return true;
  }

  // --- shape ---

  static void keep_channel(std::optional<quant::QParams>& q, int64_t channel) {
    if (!q || q->scale.size() <= 1) return;
    const auto c = static_cast<size_t>(channel);
    q->scale = {q->scale[c]};
    q->zero_point = {q->zero_point[std::min(c, q->zero_point.size() - 1)]};
  }

  /// The taps of output element (y, x, channel) in a row: input [1, 1, 1, K] and weights
  /// [1, 1, 1, K], of a depthwise layer [1, 1, K, 1] both, of a linear one [1, K]. Padded taps are
  /// left out.
  static Reproduction layer_of_element(const Reproduction& from, int64_t y, int64_t x,
                                       int64_t channel) {
    Reproduction r = from;
    IntNode& node = r.graph.nodes[0];
    const IntTensor& input = tensor(r, 0);
    const Tensor& codes = from.inputs[0];
    const Tensor weights = *tensor(r, 1).data;
    std::vector<int64_t> xs, ws;
    const int64_t per_output = weights.numel() / weights.shape()[0];
    if (node.op == "linear") {
      for (int64_t i = 0; i < per_output; ++i) {
        xs.push_back(codes.int_at(y * per_output + i));
        ws.push_back(weights.int_at(channel * per_output + i));
      }
    } else {
      const sim::Window2d& window = node.attributes.window;
      const Shape& in = codes.shape();
      const int64_t ic = weights.shape()[3];
      const int64_t group_outputs = weights.shape()[0] / node.attributes.groups;
      const int64_t first = channel / group_outputs * ic;
      for (int64_t kh = 0; kh < window.kernel[0]; ++kh) {
        for (int64_t kw = 0; kw < window.kernel[1]; ++kw) {
          const int64_t ih = y * window.stride[0] + kh * window.dilation[0] - window.padding.top;
          const int64_t iw = x * window.stride[1] + kw * window.dilation[1] - window.padding.left;
          if (ih < 0 || iw < 0 || ih >= in[1] || iw >= in[2]) continue;
          for (int64_t c = 0; c < ic; ++c) {
            xs.push_back(codes.int_at((ih * in[2] + iw) * in[3] + first + c));
            ws.push_back(weights.int_at(
                ((channel * window.kernel[0] + kh) * window.kernel[1] + kw) * ic + c));
          }
        }
      }
    }
    const auto taps = static_cast<int64_t>(xs.size());
    const bool depthwise = from.graph.nodes[0].op == "depthwise_conv2d" ||
                           (node.op == "conv2d" && node.attributes.groups > 1);
    if (depthwise) node.op = "depthwise_conv2d";
    node.attributes.groups = 1;
    node.attributes.window = {};
    if (depthwise) node.attributes.window.kernel = {1, taps};
    const Shape shape = node.op == "linear" ? Shape{1, taps}
                        : depthwise         ? Shape{1, 1, taps, 1}
                                            : Shape{1, 1, 1, taps};
    Tensor new_x = Tensor::uninitialized(input.dtype, shape);
    Tensor new_w = Tensor::uninitialized(weights.dtype(), shape);
    for (int64_t i = 0; i < taps; ++i) {
      new_x.set_int(i, xs[static_cast<size_t>(i)]);
      new_w.set_int(i, ws[static_cast<size_t>(i)]);
    }
    tensor(r, 0).shape = shape;
    tensor(r, 1).shape = shape;
    tensor(r, 1).data = std::move(new_w);
    keep_channel(tensor(r, 1).qparams, channel);
    if (node.inputs.size() > 2) {
      IntTensor& bias = tensor(r, 2);
      bias.data = bias.data->slice(channel, 1);
      bias.shape = {1};
      keep_channel(bias.qparams, channel);
    }
    output(r).shape = node.op == "linear" ? Shape{1, 1} : Shape{1, 1, 1, 1};
    r.inputs = {std::move(new_x)};
    return r;
  }

  /// False, and nothing changed, if no single output without the taps outside the image shows it.
  bool one_output_of_layer() {
    const Shape out = output(now_).shape;
    const bool linear = op_of(now_) == "linear";
    const int64_t channels = out[out.rank() - 1];
    const int64_t width = linear || out.rank() != 4 ? 1 : out[2];
    for (int64_t i = 0; i < out.numel(); ++i) {
      const int64_t pixel = i / channels;
      Reproduction candidate =
          linear ? layer_of_element(now_, pixel, 0, i % channels)
                 : layer_of_element(now_, pixel / width, pixel % width, i % channels);
      if (candidate.inputs[0].empty() || !still_shows(candidate)) continue;
      now_ = std::move(candidate);
      return true;
    }
    return false;
  }

  static Reproduction with_taps(const Reproduction& from, const std::vector<size_t>& taps) {
    Reproduction r = from;
    const bool depthwise = r.graph.nodes[0].op == "depthwise_conv2d";
    const auto count = static_cast<int64_t>(taps.size());
    const Shape shape = r.graph.nodes[0].op == "linear" ? Shape{1, count}
                        : depthwise                     ? Shape{1, 1, count, 1}
                                                        : Shape{1, 1, 1, count};
    const auto chosen = [&](const Tensor& all) {
      Tensor out = Tensor::uninitialized(all.dtype(), shape);
      for (int64_t i = 0; i < count; ++i) {
        out.set_int(i, all.int_at(static_cast<int64_t>(taps[static_cast<size_t>(i)])));
      }
      return out;
    };
    if (depthwise) r.graph.nodes[0].attributes.window.kernel = {1, count};
    r.inputs[0] = chosen(from.inputs[0]);
    tensor(r, 0).shape = shape;
    tensor(r, 1).data = chosen(*tensor(r, 1).data);
    tensor(r, 1).shape = shape;
    return r;
  }

  void remove_taps() {
    std::vector<size_t> all(static_cast<size_t>(now_.inputs[0].numel()));
    std::iota(all.begin(), all.end(), size_t{0});
    const std::vector<size_t> fewest = ddmin(all, [&](const std::vector<size_t>& taps) {
      return !taps.empty() && still_shows(with_taps(now_, taps));
    });
    now_ = with_taps(now_, fewest);
  }

  /// Of ops that compute each element from the elements at its place.
  void one_element() {
    const Shape shape = output(now_).shape;
    for (size_t i = 0; i < now_.graph.nodes[0].inputs.size(); ++i) {
      if (tensor(now_, i).shape != shape) return;
    }
    Shape one = shape;
    for (int axis = 0; axis < one.rank(); ++axis) one[axis] = 1;
    for (int64_t i = 0; i < shape.numel(); ++i) {
      Reproduction candidate = now_;
      for (size_t k = 0; k < candidate.graph.nodes[0].inputs.size(); ++k) {
        IntTensor& t = tensor(candidate, k);
        t.shape = one;
        if (t.data) t.data = element(*t.data, i, one);
      }
      for (Tensor& input : candidate.inputs) input = element(input, i, one);
      output(candidate).shape = one;
      if (!still_shows(candidate)) continue;
      now_ = std::move(candidate);
      return;
    }
  }

  static Tensor element(const Tensor& all, int64_t i, const Shape& one) {
    Tensor out = Tensor::uninitialized(all.dtype(), one);
    if (all.dtype() == DType::float32) {
      out.data<float>()[0] = all.data<float>()[i];
    } else {
      out.set_int(0, all.int_at(i));
    }
    return out;
  }

  // --- numbers ---

  void zero_points() {
    for (size_t t = 0; t < now_.graph.tensors.size(); ++t) {
      attempt([&](Reproduction& r) {
        if (auto& q = r.graph.tensors[t].qparams) q->zero_point.assign(q->scale.size(), 0);
      });
    }
  }

  /// Every scale 1, but the output's 2^k.
  static void set_scales(Reproduction& r, int k) {
    for (IntTensor& t : r.graph.tensors) {
      if (t.qparams) t.qparams->scale.assign(t.qparams->scale.size(), 1.0f);
    }
    output(r).qparams->scale.assign(1, std::ldexp(1.0f, k));
  }

  void canonical_scales() {
    for (int k = 1; k <= 8; ++k) {
      if (attempt([k](Reproduction& r) { set_scales(r, k); })) return;
    }
  }

  /// The simplest layer of all, if it shows the same: one tap of weight 1, no bias, no activation,
  /// zero points 0, whole multiplier 2^-k, the input as small as possible. Leaving single taps away
  /// does not lead there, because each changes the sum.
  bool canonical_layer() {
    Reproduction start = deep_copy(with_taps(now_, {0}));
    start.graph.nodes[0].inputs.resize(2);
    start.graph.nodes[0].attributes.activation = Activation::none;
    for (IntTensor& t : start.graph.tensors) {
      if (t.qparams) t.qparams->zero_point.assign(t.qparams->scale.size(), 0);
    }
    tensor(start, 1).data->set_int(0, 1);
    start.graph = node_alone(IntGraph(start.graph), IntNode(start.graph.nodes[0]));
    const sim::IntType type = tensor(start, 0).qparams->type;
    for (int64_t magnitude = 1; magnitude <= std::min<int64_t>(type.max(), 127); ++magnitude) {
      for (const int64_t value : {magnitude, -magnitude}) {
        if (value < type.min()) continue;
        for (int k = 1; k <= 8; ++k) {
          Reproduction candidate = deep_copy(start);
          candidate.inputs[0].set_int(0, value);
          set_scales(candidate, k);
          if (!still_shows(candidate)) continue;
          now_ = std::move(candidate);
          return true;
        }
      }
    }
    return false;
  }

  /// Each integer to 0, else to ±1, else to a magnitude that shows it while one less does not.
  bool smaller_integers() {
    bool changed = false;
    for (size_t i = 0; i < now_.inputs.size(); ++i) {
      changed |= smaller([i](Reproduction& r) -> Tensor& { return r.inputs[i]; });
    }
    for (size_t t = 0; t < now_.graph.tensors.size(); ++t) {
      const IntTensor& constant = now_.graph.tensors[t];
      if (!constant.data || constant.dtype == DType::float32) continue;
      changed |= smaller([t](Reproduction& r) -> Tensor& { return *r.graph.tensors[t].data; });
    }
    return changed;
  }

  template <class Where>
  bool smaller(const Where& where) {
    bool changed = false;
    if (where(now_).dtype() == DType::float32) return false;
    for (int64_t i = 0; i < where(now_).numel(); ++i) {
      const int64_t value = where(now_).int_at(i);
      if (value == 0) continue;
      const auto attempt_magnitude = [&](uint64_t magnitude) {
        const auto next = static_cast<int64_t>(magnitude);
        return attempt([&](Reproduction& r) { where(r).set_int(i, value < 0 ? -next : next); });
      };
      uint64_t shows =
          value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
      const uint64_t before = shows;
      if (attempt_magnitude(0)) {
        shows = 0;
      } else if (shows > 1 && attempt_magnitude(1)) {
        shows = 1;
      } else {
        for (uint64_t fails = 1; shows > fails + 1;) {
          const uint64_t middle = fails + (shows - fails) / 2;
          (attempt_magnitude(middle) ? shows : fails) = middle;
        }
      }
      changed |= shows != before;
    }
    return changed;
  }

  /// A tensor that the node no longer names (a bias taken away).
  void remove_unused() {
    if (now_.graph.nodes[0].inputs.size() + 1 == now_.graph.tensors.size()) return;
    now_.graph = node_alone(now_.graph, now_.graph.nodes[0]);
  }

  Reproduction now_;
  const StillShows& shows_;
};

}  // namespace

bool differs(const Reproduction& at, const Profile& a, const Profile& b) {
  const sim::RunResult ours = run_all(at.graph, a, at.inputs);
  const sim::RunResult theirs = run_all(at.graph, b, at.inputs);
  for (size_t i = 0; i < ours.outputs.size(); ++i) {
    if (!same_bytes(ours.outputs[i], theirs.outputs[i])) return true;
  }
  return false;
}

Reproduction first_differing_node(const IntGraph& graph, const std::vector<Tensor>& inputs,
                                  const Profile& a, const Profile& b) {
  if (inputs.empty() || inputs[0].empty()) {
    throw Error({ErrorCode::shape_mismatch, "inputs", "no image", "one or more", ""});
  }
  const sim::Graph executable = lower(graph, a);
  const sim::RunResult run = run_all(graph, a, inputs);
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const IntGraph alone = node_alone(graph, graph.nodes[n]);
    for (int64_t image = 0; image < inputs[0].shape()[0]; ++image) {
      Reproduction candidate{alone, {}};
      for (const int t : executable.nodes[n].inputs) {
        candidate.inputs.push_back(run.tensors[static_cast<size_t>(t)].slice(image, 1));
      }
      if (differs(candidate, a, b)) return candidate;
    }
  }
  throw Error({ErrorCode::bad_value, "network \"" + graph.name + "\"",
               "profiles " + a.name + " and " + b.name + " compute the same on these inputs",
               "inputs on which they differ", "facsim vectors gen makes some"});
}

std::vector<size_t> ddmin(std::vector<size_t> all,
                          const std::function<bool(const std::vector<size_t>&)>& shows) {
  size_t parts = 2;
  while (all.size() >= 2) {
    bool found = false;
    for (size_t part = 0; part < parts && !found; ++part) {
      const size_t begin = all.size() * part / parts, end = all.size() * (part + 1) / parts;
      const auto at = [&](size_t i) { return all.begin() + static_cast<std::ptrdiff_t>(i); };
      std::vector<size_t> subset(at(begin), at(end));
      std::vector<size_t> rest(all.begin(), at(begin));
      rest.insert(rest.end(), at(end), all.end());
      if (!subset.empty() && subset.size() < all.size() && shows(subset)) {
        all = std::move(subset);
        parts = 2;
        found = true;
      } else if (!rest.empty() && rest.size() < all.size() && shows(rest)) {
        all = std::move(rest);
        parts = std::max<size_t>(parts - 1, 2);
        found = true;
      }
    }
    if (found) continue;
    if (parts >= all.size()) break;
    parts = std::min(all.size(), parts * 2);
  }
  return all;
}

Reproduction reduce(Reproduction start, const StillShows& shows) {
  if (start.graph.nodes.size() != 1) {
    throw Error({ErrorCode::bad_value, "network \"" + start.graph.name + "\"", "several nodes",
                 "one: cut the network first", ""});
  }
  return Reducer(std::move(start), shows).run();
}

}  // namespace facsim::backends
