// SPDX-License-Identifier: Apache-2.0
#include "sim/graph/executor.h"

#include <doctest/doctest.h>

#include "sim/graph/memory_plan.h"
#include "tests/sim/graph/graphs.h"
#include "tests/sim/ops/op_tester.h"

namespace facsim::sim::test {

TEST_CASE("executor: same bits and events for any threads, chunk, isa, trace") {
  const Graph graph = residual_graph();
  const Tensor x = random_codes(kInt8, {37, 8, 8, 4}, 91);
  std::vector<Events> events;
  const std::vector<Tensor> expected = run_plainly(graph, {x}, events);
  for (const Isa isa : available_isas()) {
    for (const int threads : {1, 2, 3, 8}) {
      for (const int64_t chunk : {0, 1, 5, 37, 1000}) {
        for (const bool trace : {false, true}) {
          CAPTURE(to_string(isa));
          CAPTURE(threads);
          CAPTURE(chunk);
          CAPTURE(trace);
          ExecutorOptions options;
          options.isa = isa;
          options.threads = threads;
          options.images_per_chunk = chunk;
          options.trace = trace;
          options.count_events = true;
          const RunResult result = Executor(graph, options).run({x});
          REQUIRE(result.outputs.size() == graph.outputs.size());
          for (size_t i = 0; i < graph.outputs.size(); ++i) {
            CHECK(same_bits(result.outputs[i], expected[static_cast<size_t>(graph.outputs[i])]));
          }
          REQUIRE(result.events.size() == events.size());
          for (size_t n = 0; n < events.size(); ++n) CHECK(result.events[n] == events[n]);
          REQUIRE(result.tensors.size() == (trace ? graph.tensors.size() : 0));
          for (size_t t = 0; t < result.tensors.size(); ++t) {
            CHECK(same_bits(result.tensors[t], expected[t]));
          }
        }
      }
    }
  }
}

TEST_CASE("executor: reports the planned bytes for one image, and counts events only when asked") {
  const Executor executor(residual_graph(), {});
  CHECK(executor.arena_bytes() == plan_memory(residual_graph(), 1).arena_bytes);
  const RunResult result = executor.run({random_codes(kInt8, {2, 8, 8, 4}, 92)});
  CHECK(result.events.empty());
  CHECK(result.tensors.empty());
}

TEST_CASE("executor: says which buffers a run of a batch needs") {
  const Graph graph = residual_graph();
  size_t output_bytes = 0;
  for (const int t : graph.outputs) {
    const Graph::TensorInfo& info = graph.tensors[static_cast<size_t>(t)];
    output_bytes += static_cast<size_t>(info.shape.numel()) * size_of(info.dtype);
  }
  ExecutorOptions options;
  options.threads = 2;
  options.images_per_chunk = 3;
  const RunMemory memory = Executor(graph, options).memory(7);
  const MemoryPlan plan = plan_memory(graph, 3);
  CHECK(memory.images == 3);
  CHECK(memory.arenas == 2);  // of three chunks
  CHECK(memory.arena_bytes == plan.arena_bytes);
  CHECK(memory.largest_live_set == plan.largest_live_set);
  CHECK(memory.two_largest_live == plan.two_largest_live);
  CHECK(memory.output_bytes == 7 * output_bytes);
  CHECK(memory.bytes() == 2 * plan.arena_bytes + 7 * output_bytes);
  CHECK(Executor(graph, options).memory(2).arenas == 1);

  options.trace = true;
  const RunMemory traced = Executor(graph, options).memory(7);
  CHECK(traced.arena_bytes == 0);
  CHECK(traced.output_bytes > memory.output_bytes);
}

TEST_CASE("executor: one executor runs from several threads at once") {
  ExecutorOptions options;
  options.threads = 2;
  options.images_per_chunk = 2;
  const Executor executor(residual_graph(), options);
  const Tensor x = random_codes(kInt8, {9, 8, 8, 4}, 93);
  const Tensor expected = executor.run({x}).outputs[0];
  ThreadPool callers(4);
  std::vector<Tensor> outputs(8);
  callers.parallel_for(
      8, [&](int64_t i) { outputs[static_cast<size_t>(i)] = executor.run({x}).outputs[0]; });
  for (const Tensor& output : outputs) CHECK(same_bits(output, expected));
}

TEST_CASE("executor: progress ends at the total, and what it throws ends the run") {
  ExecutorOptions options;
  options.images_per_chunk = 1;
  std::vector<int64_t> seen;
  options.progress = [&](int64_t done, int64_t total) {
    CHECK(total == 6);
    seen.push_back(done);
  };
  Executor(residual_graph(), options).run({random_codes(kInt8, {6, 8, 8, 4}, 94)});
  CHECK(seen == std::vector<int64_t>{1, 2, 3, 4, 5, 6});

  struct Stop {};
  for (const int threads : {1, 3}) {
    options.threads = threads;
    options.progress = [](int64_t, int64_t) { throw Stop{}; };
    const Executor executor(residual_graph(), options);
    CHECK_THROWS_AS(executor.run({random_codes(kInt8, {6, 8, 8, 4}, 94)}), Stop);
  }
}

TEST_CASE("executor: an output that is the input is returned as a copy") {
  GraphBuilder b;
  const int x = b.input({1, 4});
  b.graph.outputs = {x, b.shift(x, 1)};
  const Tensor input = random_codes(kInt8, {3, 4}, 95);
  const RunResult result = Executor(b.graph, {}).run({input});
  CHECK(same_bits(result.outputs[0], input));
  CHECK(result.outputs[0].raw() != input.raw());
}

TEST_CASE("executor: refuses inputs by tensor name") {
  const Executor executor(residual_graph(), {});
  const auto refused = [&](std::vector<Tensor> inputs, const std::string& text) {
    return error_of([&] { executor.run(std::move(inputs)); }, text);
  };
  CHECK(refused({}, "network inputs: 0 tensors; expected 1") == ErrorCode::shape_mismatch);
  CHECK(refused({Tensor(DType::int8, {0, 8, 8, 4})},
                "input t0: shape (0, 8, 8, 4); expected a batch") == ErrorCode::shape_mismatch);
  CHECK(refused({Tensor(DType::int8, {1, 8, 8, 5})}, "expected (N, 8, 8, 4)") ==
        ErrorCode::shape_mismatch);
  CHECK(refused({Tensor(DType::int8, {8, 8, 4})}, "expected (N, 8, 8, 4)") ==
        ErrorCode::shape_mismatch);
  CHECK(refused({Tensor(DType::uint8, {1, 8, 8, 4})}, "input t0: dtype uint8; expected int8") ==
        ErrorCode::bad_value);

  GraphBuilder b;
  const int x = b.input({1, 4}), y = b.input({1, 4});
  b.graph.outputs = {b.add(x, y)};
  CHECK(error_of(
            [&] {
              Executor(b.graph, {}).run({Tensor(DType::int8, {2, 4}), Tensor(DType::int8, {3, 4})});
            },
            "input t1: 3 images; expected 2") == ErrorCode::shape_mismatch);
}

TEST_CASE("executor: an op's error names the node") {
  GraphBuilder b;
  MapParams params;
  StepProgram program;
  program.steps = {
      {.kind = StepKind::resize, .a = {}, .b = {}, .type = {4, true}, .overflow = Overflow::error}};
  params.requantize = Requantizer(program, {}, kInt8);
  b.graph.outputs = {b.node(std::make_shared<Map>(params), {b.input({1, 4})})};
  for (const int threads : {1, 2}) {
    ExecutorOptions options;
    options.threads = threads;
    options.images_per_chunk = 1;
    const Executor executor(b.graph, options);
    CHECK(error_of(
              [&] {
                executor.run({random_codes(kInt8, {8, 4}, 96)});
              },
              "node n0 (requantize)") == ErrorCode::bad_value);
  }
}

}  // namespace facsim::sim::test
