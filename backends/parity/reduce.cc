// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/reduce.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include "backends/parity/reduce-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using detail::input_of;
using detail::is_weighted;
using detail::node_of;
using detail::output_tensor;

/// With elements of its own: a copied Tensor shares them.
Reproduction deep_copy(const Reproduction& from) {
  Reproduction copy = from;
  for (Tensor& input : copy.inputs) input = input.clone();
  for (IntTensor& tensor : copy.graph.tensors) {
    if (tensor.data) tensor.data = tensor.data->clone();
  }
  return copy;
}

void zero_the_zero_point(IntTensor& tensor) {
  if (auto& q = tensor.qparams) q->zero_point.assign(q->scale.size(), 0);
}

/// Every scale 1, but the output's 2^k. False, and nothing changed, where the output has none.
bool set_scales(Reproduction& r, int k) {
  if (!output_tensor(r).qparams) return false;
  for (IntTensor& t : r.graph.tensors) {
    if (t.qparams) t.qparams->scale.assign(t.qparams->scale.size(), 1.0f);
  }
  auto& scale = output_tensor(r).qparams->scale;
  scale.assign(scale.size(), std::ldexp(1.0f, k));
  return true;
}

/// A tensor that the node no longer names (a bias taken away) goes.
void remove_unused(Reproduction& r) {
  detail::LoneNode alone = detail::lone_node(r.graph, node_of(r));
  r.graph = std::move(alone.graph);
}

/// A reproduction of one node and what may be changed about it.
class Reducer {
 public:
  Reducer(Reproduction start, const StillShows& shows, const ReduceOptions& options)
      : now_(std::move(start)), shows_(shows), options_(options) {}

  Reproduction run() {
    now_ = cut_to_one_output(std::move(now_), shows_);
    now_.recorded.reset();
    if (auto row = detail::taps_in_row(now_); row && detail::still_shows(*row, shows_)) {
      now_ = std::move(*row);
      if (is_weighted(node_of(now_)) && simplest_layer()) return std::move(now_);
      remove_taps();
    }
    attempt([](Reproduction& r) { node_of(r).attributes.activation = Activation::none; });
    if (is_weighted(node_of(now_))) attempt([](Reproduction& r) { node_of(r).inputs.resize(2); });
    for (size_t t = 0; t < now_.graph.tensors.size(); ++t) {
      attempt([t](Reproduction& r) { zero_the_zero_point(r.graph.tensors[t]); });
    }
    power_of_two_scales();
    for_each_tensor([this](const Where& where) { zero_most(where); });
    for (int round = 0; round < 4 && smaller_integers(); ++round) {
    }
    remove_unused(now_);
    return std::move(now_);
  }

 private:
  template <class Change>
  bool attempt(const Change& change) {
    Reproduction candidate = deep_copy(now_);
    change(candidate);
    if (!detail::still_shows(candidate, shows_)) return false;
    now_ = std::move(candidate);
    return true;
  }

  void remove_taps() {
    std::vector<size_t> all(static_cast<size_t>(now_.inputs[0].numel()));
    std::iota(all.begin(), all.end(), size_t{0});
    const std::vector<size_t> fewest = ddmin(all, [&](const std::vector<size_t>& taps) {
      return detail::still_shows(detail::with_taps(now_, taps), shows_);
    });
    now_ = detail::with_taps(now_, fewest);
  }

  void power_of_two_scales() {
    for (int k = 1; k <= 8; ++k) {
      Reproduction candidate = deep_copy(now_);
      if (!set_scales(candidate, k) || !detail::still_shows(candidate, shows_)) continue;
      now_ = std::move(candidate);
      return;
    }
  }

  /// The simplest layer of all, if it shows the same: one tap of weight 1, no bias, no activation,
  /// zero points 0, whole multiplier 2^-k, the input as small as possible. Leaving single taps away
  /// does not lead there, because each changes the sum.
  bool simplest_layer() {
    Reproduction start = deep_copy(detail::with_taps(now_, {0}));
    node_of(start).inputs.resize(2);
    node_of(start).attributes.activation = Activation::none;
    for (IntTensor& t : start.graph.tensors) zero_the_zero_point(t);
    input_of(start, 1).data->set_int(0, 1);
    remove_unused(start);
    if (!input_of(start, 0).qparams) return false;
    const sim::IntType type = input_of(start, 0).qparams->type;
    const int64_t largest = std::min<int64_t>(type.max(), options_.simplest_input);
    for (int64_t magnitude = 1; magnitude <= largest; ++magnitude) {
      for (const int64_t value : {magnitude, -magnitude}) {
        if (value < type.min()) continue;
        for (int k = 1; k <= 8; ++k) {
          Reproduction candidate = deep_copy(start);
          candidate.inputs[0].set_int(0, value);
          if (!set_scales(candidate, k) || !detail::still_shows(candidate, shows_)) continue;
          now_ = std::move(candidate);
          return true;
        }
      }
    }
    return false;
  }

  /// One tensor of a reproduction: an input or a constant.
  using Where = std::function<Tensor&(Reproduction&)>;

  /// Inputs and constants of integers.
  template <class Visit>
  void for_each_tensor(const Visit& visit) {
    for (size_t i = 0; i < now_.inputs.size(); ++i) {
      if (now_.inputs[i].dtype() == DType::float32) continue;
      visit([i](Reproduction& r) -> Tensor& { return r.inputs[i]; });
    }
    for (size_t t = 0; t < now_.graph.tensors.size(); ++t) {
      const auto& data = now_.graph.tensors[t].data;
      if (!data || data->dtype() == DType::float32) continue;
      visit([t](Reproduction& r) -> Tensor& { return *r.graph.tensors[t].data; });
    }
  }

  /// Leaves as few elements other than 0 as ddmin finds: one by one, thousands would take hours.
  void zero_most(const Where& where) {
    std::vector<size_t> others;
    const Tensor before = where(now_);
    for (int64_t i = 0; i < before.numel(); ++i) {
      if (before.int_at(i) != 0) others.push_back(static_cast<size_t>(i));
    }
    const auto only = [&](const std::vector<size_t>& kept) {
      Reproduction candidate = now_;
      Tensor tensor(before.dtype(), before.shape());  // zeros
      for (const size_t i : kept) {
        tensor.set_int(static_cast<int64_t>(i), before.int_at(static_cast<int64_t>(i)));
      }
      where(candidate) = std::move(tensor);
      return candidate;
    };
    now_ = only(ddmin(others, [&](const std::vector<size_t>& kept) {
      return detail::still_shows(only(kept), shows_);
    }));
  }

  /// Each integer to 0, else to ±1, else to a magnitude that shows it while one less does not.
  bool smaller_integers() {
    bool changed = false;
    for_each_tensor([&](const Where& where) { changed |= smaller(where); });
    return changed;
  }

  bool smaller(const Where& where) {
    bool changed = false;
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

  Reproduction now_;
  const StillShows& shows_;
  ReduceOptions options_;
};

}  // namespace

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

Reproduction reduce(Reproduction start, const StillShows& shows, const ReduceOptions& options) {
  if (start.graph.nodes.size() != 1) {
    throw Error({ErrorCode::bad_value, "network \"" + start.graph.name + "\"", "several nodes",
                 "one: cut the network first", ""});
  }
  return Reducer(std::move(start), shows, options).run();
}

}  // namespace facsim::backends
