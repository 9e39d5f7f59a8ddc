// SPDX-License-Identifier: Apache-2.0
#include "sim/graph/memory_plan.h"

#include <doctest/doctest.h>

#include <random>

#include "sim/ops/in_place.h"
#include "tests/sim/graph/graphs.h"

namespace facsim::sim::test {

namespace {

using Home = MemoryPlan::Home;

size_t rounded(size_t bytes) { return (bytes + 64 + 63) / 64 * 64; }

int root_of(const MemoryPlan& plan, int t) {
  while (plan.tensors[static_cast<size_t>(t)].home == Home::view) {
    t = plan.tensors[static_cast<size_t>(t)].view_of;
  }
  return t;
}

bool overwrites_input(const Graph::Node& node) {
  const auto* op = dynamic_cast<const InPlaceOp*>(node.op.get());
  return op != nullptr && op->may_overwrite_input();
}

/// Replays the graph over one arena and checks that whatever a node reads is still what was
/// written, and that its output touches an input only where an op works in place.
void check_nothing_is_overwritten(const Graph& graph, const MemoryPlan& plan) {
  std::vector<int> owner(plan.arena_bytes, -1);
  for (const Graph::Node& node : graph.nodes) {
    const auto& out = plan.tensors[static_cast<size_t>(node.output)];
    for (const int t : node.inputs) {
      const int root = root_of(plan, t);
      const auto& in = plan.tensors[static_cast<size_t>(root)];
      if (in.home != Home::arena) continue;
      bool intact = true;
      for (size_t i = in.offset; i < in.offset + in.bytes; ++i) intact &= owner[i] == root;
      REQUIRE(intact);
      const bool apart = out.offset + out.bytes <= in.offset || in.offset + in.bytes <= out.offset;
      if (out.home != Home::arena || apart) continue;
      REQUIRE(overwrites_input(node));
      REQUIRE(out.offset == in.offset);
      REQUIRE(out.bytes == in.bytes);
    }
    if (out.home == Home::arena) {
      REQUIRE(out.offset % 64 == 0);
      REQUIRE(out.offset + out.bytes <= plan.arena_bytes);
      std::fill_n(owner.begin() + static_cast<std::ptrdiff_t>(out.offset), out.bytes, node.output);
    }
  }
}

}  // namespace

TEST_CASE("memory_plan: a chain needs its two largest neighbours") {
  GraphBuilder b;
  const int x = b.input({1, 16, 16, 8});
  int t = b.shift(x, 1);
  for (int i = 0; i < 6; ++i) t = b.add(t, t);
  b.graph.outputs = {b.pool(t)};
  const MemoryPlan plan = plan_memory(b.graph, 1);
  CHECK(plan.arena_bytes == 2 * rounded(16 * 16 * 8));
  CHECK(plan.largest_live_set == plan.arena_bytes);
  CHECK(plan.two_largest_live == plan.arena_bytes);
  check_nothing_is_overwritten(b.graph, plan);
}

TEST_CASE("memory_plan: an op works in place where nobody reads its input afterwards") {
  GraphBuilder b;
  const int x = b.input({1, 16, 16, 8});
  int t = b.shift(x, 1);
  for (int i = 0; i < 6; ++i) t = b.shift(t, 1);
  b.graph.outputs = {b.pool(t)};
  const MemoryPlan chain = plan_memory(b.graph, 1);
  CHECK(chain.arena_bytes == rounded(16 * 16 * 8));
  CHECK(chain.largest_live_set == chain.arena_bytes);
  check_nothing_is_overwritten(b.graph, chain);

  // The same values are read again, by a node and through a view.
  GraphBuilder again;
  const int a = again.shift(again.input({1, 4, 4, 4}), 1);
  const int view = again.reshape(a, {64});
  const int shifted = again.shift(a, 1);
  again.graph.outputs = {again.pool(again.add(shifted, shifted)), again.shift(view, 3)};
  const MemoryPlan kept = plan_memory(again.graph, 1);
  const auto offset = [&](int tensor) { return kept.tensors[static_cast<size_t>(tensor)].offset; };
  CHECK(offset(shifted) != offset(a));
  check_nothing_is_overwritten(again.graph, kept);
}

TEST_CASE("memory_plan: a residual graph reaches its largest live set") {
  const Graph graph = residual_graph();
  for (const int64_t images : {1, 3, 16}) {
    const MemoryPlan plan = plan_memory(graph, images);
    // Within a block the shortcut lives beside two tensors of the branch.
    CHECK(plan.largest_live_set == 3 * rounded(static_cast<size_t>(8 * 8 * 4 * images)));
    CHECK(plan.arena_bytes == plan.largest_live_set);
    CHECK(plan.two_largest_live == 2 * rounded(static_cast<size_t>(8 * 8 * 4 * images)));
    check_nothing_is_overwritten(graph, plan);
  }
}

TEST_CASE("memory_plan: reshapes are views, graph inputs and outputs stay outside the arena") {
  const Graph graph = residual_graph();
  const MemoryPlan plan = plan_memory(graph, 1);
  CHECK(plan.tensors[0].home == Home::graph_input);
  for (const int t : graph.outputs) {
    CHECK(plan.tensors[static_cast<size_t>(t)].home == Home::graph_output);
  }
  int views = 0;
  for (const auto& place : plan.tensors) views += place.home == Home::view ? 1 : 0;
  CHECK(views == 2);  // the reshape that makes an output copies
}

TEST_CASE("memory_plan: random graphs never overwrite a tensor that is still needed (seed 81)") {
  std::mt19937 random(81);
  for (int round = 0; round < 60; ++round) {
    GraphBuilder b;
    std::vector<int> full = {b.input({1, 4, 4, 3})}, all = full;
    for (int i = 0; i < 25; ++i) {
      const int x = full[random() % full.size()];
      int made = 0;
      switch (random() % 4) {
        case 0:
          made = b.shift(x, 1);
          full.push_back(made);
          break;
        case 1:
          made = b.add(x, full[random() % full.size()]);
          full.push_back(made);
          break;
        case 2:
          made = b.shift(b.reshape(x, {48}), 2);
          break;
        default:
          made = b.pool(x);
      }
      all.push_back(made);
    }
    b.graph.outputs = {all.back()};
    check(b.graph);
    const MemoryPlan plan = plan_memory(b.graph, 1 + static_cast<int64_t>(random() % 4));
    CAPTURE(round);
    CHECK(plan.arena_bytes >= plan.largest_live_set);
    check_nothing_is_overwritten(b.graph, plan);
  }
}

}  // namespace facsim::sim::test
