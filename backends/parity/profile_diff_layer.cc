// SPDX-License-Identifier: Apache-2.0
// The smallest output of small layers that two profiles compute differently.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "backends/parity/profile_diff-internal.h"
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

std::vector<int64_t> unflatten(int64_t flat, const Shape& shape) {
  std::vector<int64_t> index(static_cast<size_t>(shape.rank()));
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    index[static_cast<size_t>(axis)] = flat % shape[axis];
    flat /= shape[axis];
  }
  return index;
}

/// "x int8[1,3,3,2] scale 0.5 zero_point 3; …".
std::string describe(const VectorLayer& layer) {
  std::vector<std::string> parts;
  for (const IntTensor& tensor : layer.graph.tensors) {
    std::string part =
        fmt::format("{} {}{}", tensor.name, to_string(tensor.dtype), to_string(tensor.shape));
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
      const bool is_real = out_a.dtype() == DType::float32;
      const bool equal = is_real ? out_a.data<float>()[i] == out_b.data<float>()[i]
                                 : out_a.int_at(i) == out_b.int_at(i);
      if (equal) continue;
      any = true;
      ++count_.differing;
      consider(layer, i, out_a, out_b);
    }
    return any;
  }

  std::optional<DifferingVector> best() { return std::move(best_); }
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
    best_size_ = size;
  }

  static constexpr int kMostConsidered = 4096;  // explanations cost a layer's lowering each
  const Profile &a_, &b_;
  DiffCount& count_;
  std::optional<DifferingVector> best_;
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
  return pair.best();
}

}  // namespace facsim::backends::detail
