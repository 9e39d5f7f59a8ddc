// SPDX-License-Identifier: Apache-2.0
// The smallest output of small layers that two profiles compute differently.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "backends/parity/compare.h"
#include "backends/parity/profile_diff-internal.h"
#include "backends/parity/reduce.h"
#include "backends/parity/vectors_gen-internal.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

constexpr int kLayersPerStrategy = 12;
constexpr int kEnough = 16;  // layers that differ

/// Smaller is better: the accumulator, then the layer.
struct VectorSize {
  uint64_t accumulator = UINT64_MAX;
  int64_t elements = 0;
  auto operator<=>(const VectorSize&) const = default;
};

std::string element(const Tensor& tensor, int64_t i) {
  return tensor.dtype() == DType::float32 ? fmt::format("{}", tensor.data<float>()[i])
                                          : fmt::format("{}", tensor.int_at(i));
}

/// Of two tensors of one type and shape.
bool are_equal_at(const Tensor& a, const Tensor& b, int64_t i) {
  if (a.dtype() == DType::float32) return a.data<float>()[i] == b.data<float>()[i];
  return a.int_at(i) == b.int_at(i);
}

/// Outputs of another type or shape are not compared, so nothing in them differs.
bool same_outputs(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return true;
  for (int64_t i = 0; i < a.numel(); ++i) {
    if (!are_equal_at(a, b, i)) return false;
  }
  return true;
}

/// Of an input or a constant; nothing for an output.
const Tensor* values_of(const VectorLayer& layer, size_t tensor) {
  const auto& inputs = layer.graph.inputs;
  const auto at = std::find(inputs.begin(), inputs.end(), static_cast<int>(tensor));
  if (at != inputs.end()) return &layer.inputs[static_cast<size_t>(at - inputs.begin())];
  const auto& data = layer.graph.tensors[tensor].data;
  return data ? &*data : nullptr;
}

/// "x int8[1,1,1,2] = [1,0] scale 0.5 zero_point 3; …": values where they are few.
std::string describe(const VectorLayer& layer) {
  constexpr int64_t kShown = 16;
  std::vector<std::string> parts;
  for (size_t t = 0; t < layer.graph.tensors.size(); ++t) {
    const IntTensor& tensor = layer.graph.tensors[t];
    std::string part =
        fmt::format("{} {}{}", tensor.name, to_string(tensor.dtype), to_string(tensor.shape));
    const Tensor* values = values_of(layer, t);
    if (values != nullptr && values->numel() <= kShown) {
      std::vector<std::string> list;
      for (int64_t i = 0; i < values->numel(); ++i) list.push_back(element(*values, i));
      part += fmt::format(" = [{}]", fmt::join(list, ","));
    }
    if (tensor.qparams && tensor.qparams->scale.size() == 1) {
      part += fmt::format(" scale {} zero_point {}", tensor.qparams->scale.front(),
                          tensor.qparams->zero_point.front());
    } else if (tensor.qparams) {
      part += fmt::format(" {} scales", tensor.qparams->scale.size());
    }
    parts.push_back(std::move(part));
  }
  return fmt::format("{}: {}", layer.graph.nodes.front().op, fmt::join(parts, "; "));
}

/// |accumulator|, or of the first integer of a chain that has none.
uint64_t magnitude_of(const sim::Explanation& how) {
  sim::int128 value = 0;
  if (how.accumulator) {
    value = *how.accumulator;
  } else if (!how.steps.empty() && !how.steps.front().is_real) {
    value = how.steps.front().integer;
  } else {
    return UINT64_MAX;
  }
  if (value < 0) value = -value;
  return value > UINT64_MAX ? UINT64_MAX : static_cast<uint64_t>(value);
}

/// The layer with fewer and smaller numbers, as `facsim reduce` finds them, of which an output
/// still differs.
VectorLayer shrunk(const VectorLayer& layer, const Profile& a, const Profile& b) {
  Reproduction small = reduce({layer.graph, layer.inputs}, [&](const Reproduction& at) {
    return !same_outputs(compute_layer({at.graph, at.inputs}, a),
                         compute_layer({at.graph, at.inputs}, b));
  });
  return {std::move(small.graph), std::move(small.inputs)};
}

class LayerPair {
 public:
  LayerPair(const Profile& a, const Profile& b, DiffCount& count) : a_(a), b_(b), count_(count) {}

  /// True if the layer differs.
  bool compare(const VectorLayer& layer) {
    Tensor out_a, out_b;
    try {
      out_a = compute_layer(layer, a_);
      out_b = compute_layer(layer, b_);
    } catch (const Error& error) {
      reason_ = to_string(error.infos().front());
      return false;
    }
    if (out_a.dtype() != out_b.dtype() || out_a.shape() != out_b.shape()) {
      reason_ =
          fmt::format("outputs {}{} and {}{}", to_string(out_a.dtype()), to_string(out_a.shape()),
                      to_string(out_b.dtype()), to_string(out_b.shape()));
      return false;
    }
    count_.compared += out_a.numel();
    bool any = false;
    for (int64_t i = 0; i < out_a.numel(); ++i) {
      if (are_equal_at(out_a, out_b, i)) continue;
      any = true;
      ++count_.differing;
      consider(layer, i, out_a, out_b);
    }
    return any;
  }

  std::optional<DifferingVector> best() { return std::move(best_); }
  /// Where best() is from.
  const VectorLayer& best_layer() const { return best_layer_; }
  const std::string& reason() const { return reason_; }

 private:
  DifferingVector::Side side_of(const VectorLayer& layer, const Profile& profile, int64_t i,
                                const Tensor& output) {
    DifferingVector::Side side;
    side.output = element(output, i);
    magnitude_ = UINT64_MAX;
    std::vector<const Tensor*> inputs;
    for (const Tensor& x : layer.inputs) inputs.push_back(&x);
    try {
      const sim::Explanation how = lower_layer(layer, profile)->explain(inputs, i);
      side.accumulator = how.accumulator;
      side.steps = step_texts(how.steps);
      magnitude_ = magnitude_of(how);
    } catch (const Error&) {
      // an op that has nothing to tell
    }
    return side;
  }

  void consider(const VectorLayer& layer, int64_t i, const Tensor& out_a, const Tensor& out_b) {
    if (considered_ == kMostConsidered) return;
    ++considered_;
    DifferingVector found;
    found.a = side_of(layer, a_, i, out_a);
    VectorSize size;
    size.accumulator = magnitude_;
    for (const Tensor& x : layer.inputs) size.elements += x.numel();
    if (best_ && size >= best_size_) return;
    found.b = side_of(layer, b_, i, out_b);
    found.layer = describe(layer);
    found.index = unflatten(i, out_a.shape());
    best_ = std::move(found);
    best_layer_ = layer;
    best_size_ = size;
  }

  static constexpr int kMostConsidered = 4096;  // explanations cost a layer's lowering each
  const Profile &a_, &b_;
  DiffCount& count_;
  std::optional<DifferingVector> best_;
  VectorLayer best_layer_;
  VectorSize best_size_;
  uint64_t magnitude_ = UINT64_MAX;  ///< of the last explanation
  int considered_ = 0;
  std::string reason_;
};

}  // namespace

std::optional<DifferingVector> differing_layer(const Profile& a, const Profile& b,
                                               const std::string& phrase, VectorDice& dice,
                                               DiffCount& count, std::string& reason) {
  constexpr std::array kStrategies{VectorStrategy::ties, VectorStrategy::edges,
                                   VectorStrategy::overflow, VectorStrategy::random};
  LayerPair pair(a, b, count);
  int separating = 0;
  for (const Profile* maker : {&a, &b}) {
    std::optional<VectorTarget> target;
    try {
      target.emplace(vector_target(*maker, phrase));
    } catch (const Error& error) {
      if (reason.empty()) reason = to_string(error.infos().front());
      continue;
    }
    for (const VectorStrategy strategy : kStrategies) {
      for (int i = 0; i < kLayersPerStrategy && separating < kEnough; ++i) {
        try {
          separating += pair.compare(make_layer(*target, dice, strategy)) ? 1 : 0;
        } catch (const Error& error) {  // nothing of this kind under this profile
          if (reason.empty()) reason = to_string(error.infos().front());
          break;
        }
      }
    }
  }
  if (!pair.reason().empty()) reason = pair.reason();
  std::optional<DifferingVector> found = pair.best();
  if (!found) return found;
  DiffCount not_counted;  // what shrinking tries is no evidence
  LayerPair small(a, b, not_counted);
  if (small.compare(shrunk(pair.best_layer(), a, b))) return small.best();
  return found;
}

}  // namespace facsim::backends::detail
