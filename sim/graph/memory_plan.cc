// SPDX-License-Identifier: Apache-2.0
#include "sim/graph/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "sim/core/check.h"
#include "sim/ops/in_place.h"

namespace facsim::sim {

namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kTail = 64;  // kernels may load whole vectors past the last element

/// Nodes [first, last] between which a tensor's bytes must stay.
struct Lifetime {
  int first = -1, last = -1;
  bool overlaps(const Lifetime& o) const { return first <= o.last && o.first <= last; }
};

size_t arena_size(const Graph::TensorInfo& tensor, int64_t images) {
  const size_t bytes = static_cast<size_t>(tensor.shape.numel() * images) * size_of(tensor.dtype);
  return (bytes + kTail + kAlignment - 1) / kAlignment * kAlignment;
}

int root_of(const MemoryPlan& plan, int tensor) {
  while (plan.tensors[static_cast<size_t>(tensor)].home == MemoryPlan::Home::view) {
    tensor = plan.tensors[static_cast<size_t>(tensor)].view_of;
  }
  return tensor;
}

void choose_homes(const Graph& graph, MemoryPlan& plan) {
  plan.tensors.resize(graph.tensors.size());
  for (const int t : graph.outputs) {
    plan.tensors[static_cast<size_t>(t)].home = MemoryPlan::Home::graph_output;
  }
  for (const int t : graph.inputs) {
    plan.tensors[static_cast<size_t>(t)].home = MemoryPlan::Home::graph_input;
  }
  for (const Graph::Node& node : graph.nodes) {
    MemoryPlan::Place& place = plan.tensors[static_cast<size_t>(node.output)];
    if (node.op->is_view() && place.home == MemoryPlan::Home::arena) {
      place.home = MemoryPlan::Home::view;
      place.view_of = node.inputs[0];
    }
  }
}

std::vector<Lifetime> lifetimes(const Graph& graph, const MemoryPlan& plan) {
  std::vector<Lifetime> lives(graph.tensors.size());
  for (int n = 0; n < static_cast<int>(graph.nodes.size()); ++n) {
    const Graph::Node& node = graph.nodes[static_cast<size_t>(n)];
    for (const int t : node.inputs) lives[static_cast<size_t>(root_of(plan, t))].last = n;
    Lifetime& written = lives[static_cast<size_t>(root_of(plan, node.output))];
    if (written.first < 0) written.first = n;
    written.last = n;
  }
  return lives;
}

/// The tensor whose memory each tensor takes: itself, or for an op that works in place its input if
/// this is the last node that reads it. Lifetimes of owners grow by those of the tensors they host.
std::vector<int> share_in_place(const Graph& graph, const MemoryPlan& plan,
                                std::vector<Lifetime>& lives) {
  std::vector<int> owner(graph.tensors.size());
  std::iota(owner.begin(), owner.end(), 0);
  const std::vector<Lifetime> own_lives = lives;
  for (int n = 0; n < static_cast<int>(graph.nodes.size()); ++n) {
    const Graph::Node& node = graph.nodes[static_cast<size_t>(n)];
    const auto* op = dynamic_cast<const InPlaceOp*>(node.op.get());
    const auto out = static_cast<size_t>(node.output);
    if (op == nullptr || !op->may_overwrite_input()) continue;
    const auto in = static_cast<size_t>(root_of(plan, node.inputs[0]));
    const bool in_arena = plan.tensors[in].home == MemoryPlan::Home::arena &&
                          plan.tensors[out].home == MemoryPlan::Home::arena;
    if (!in_arena || own_lives[in].last != n) continue;
    FACSIM_CHECK_EQ(arena_size(graph.tensors[in], 1), arena_size(graph.tensors[out], 1));
    owner[out] = owner[in];
    Lifetime& host = lives[static_cast<size_t>(owner[in])];
    host.last = std::max(host.last, own_lives[out].last);
  }
  return owner;
}

}  // namespace

MemoryPlan plan_memory(const Graph& graph, int64_t images) {
  FACSIM_CHECK(images >= 1);
  MemoryPlan plan;
  choose_homes(graph, plan);
  std::vector<Lifetime> lives = lifetimes(graph, plan);
  const std::vector<int> owner = share_in_place(graph, plan, lives);

  std::vector<size_t> order;
  for (size_t t = 0; t < graph.tensors.size(); ++t) {
    if (plan.tensors[t].home != MemoryPlan::Home::arena || lives[t].first < 0) continue;
    plan.tensors[t].bytes = arena_size(graph.tensors[t], images);
    if (owner[t] == static_cast<int>(t)) order.push_back(t);
  }
  for (int n = 0; n < static_cast<int>(graph.nodes.size()); ++n) {
    size_t live = 0, largest = 0, second = 0;
    for (const size_t t : order) {
      if (!lives[t].overlaps({n, n})) continue;
      const size_t bytes = plan.tensors[t].bytes;
      live += bytes;
      second = std::max(second, std::min(largest, bytes));
      largest = std::max(largest, bytes);
    }
    plan.largest_live_set = std::max(plan.largest_live_set, live);
    plan.two_largest_live = std::max(plan.two_largest_live, largest + second);
  }

  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return plan.tensors[a].bytes > plan.tensors[b].bytes;
  });
  std::vector<size_t> placed;  // by offset
  for (const size_t t : order) {
    MemoryPlan::Place& place = plan.tensors[t];
    size_t offset = 0;
    for (const size_t other : placed) {
      const MemoryPlan::Place& taken = plan.tensors[other];
      if (!lives[t].overlaps(lives[other])) continue;
      if (offset + place.bytes <= taken.offset) break;
      offset = std::max(offset, taken.offset + taken.bytes);
    }
    place.offset = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + place.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), t,
                                   [&](size_t a, size_t b) {
                                     return plan.tensors[a].offset < plan.tensors[b].offset;
                                   }),
                  t);
  }
  for (size_t t = 0; t < owner.size(); ++t) {
    plan.tensors[t].offset = plan.tensors[static_cast<size_t>(owner[t])].offset;
  }
  return plan;
}

}  // namespace facsim::sim
