// SPDX-License-Identifier: Apache-2.0
// What malloc is asked for while networks run, beside what the executor says and what a run needs
// at least: weights, the two largest live activations and one tile.
#include "tests/tools/counting_malloc.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>

#include "backends/lower/lower.h"
#include "sim/graph/executor.h"
#include "tools/bench/nets.h"

namespace facsim::test {

#ifdef FACSIM_COUNTS_MALLOC

namespace {

/// A thread's padded strip and accumulators (sim/kernels/conv2d_strip.cc: the first two cache
/// levels), and the lists of a run.
constexpr size_t kTile = 128 << 10;
/// Of an output channel: its requantization as bound and as the kernel reads it, its range.
constexpr size_t kChannelRules = 512;

/// A network's weights and biases as its file holds them.
struct Stored {
  size_t bytes = 0, channels = 0;
};

Stored stored(const backends::IntGraph& network) {
  Stored stored;
  for (const backends::IntTensor& tensor : network.tensors) {
    if (!tensor.data) continue;
    stored.bytes += tensor.data->bytes();
    if (tensor.data->shape().rank() == 1) {  // a bias
      stored.channels += static_cast<size_t>(tensor.data->numel());
    }
  }
  return stored;
}

/// Packed weights over stored ones: channels filled up to blocks, taps to whole steps; kernels
/// without the 8-bit products of AVX-512 VNNI read 16 bits.
double most_packed() { return sim::resolve_isa(sim::Isa::best) == sim::Isa::avx3_dl ? 1.15 : 2.3; }

void check_memory(const bench::NetGeometry& net, int threads) {
  CAPTURE(net.name);
  CAPTURE(threads);
  const backends::Profile profile = backends::load_profile(
      FACSIM_SOURCE_DIR "/configs/profiles/tflite-micro.json", backends::ProfileSearch::standard());
  const size_t before = begin_peak();
  Stored weights;
  sim::Graph graph;
  {
    const backends::IntGraph network = bench::make_net(net, profile, sim::kInt8, 1);
    weights = stored(network);
    graph = backends::lower(network, profile);
  }
  const size_t held = malloc_live - before;
  CHECK(held >= weights.bytes);
  CHECK(held <= weights.bytes + kChannelRules * weights.channels);

  sim::ExecutorOptions options;
  options.threads = threads;
  const sim::Executor executor(graph, options);
  const auto tiles = static_cast<size_t>(threads) * kTile;
  const size_t idle = malloc_live;
  for (const int64_t batch : {int64_t{1}, int64_t{8}}) {
    CAPTURE(batch);
    const Tensor images(DType::int8, {batch, net.extent, net.extent, 3});
    executor.run({images});  // packs weights
    const sim::RunMemory memory = executor.memory(batch);
    const size_t start = begin_peak();
    executor.run({images});
    const size_t run = malloc_peak - start;
    CHECK(run >= memory.bytes());
    CHECK(run <= memory.bytes() + tiles);

    CHECK(memory.arena_bytes == memory.largest_live_set);
    if (net.extent == 224) CHECK(memory.arena_bytes == memory.two_largest_live);
    CHECK(memory.arenas == std::min<int64_t>(threads, batch));
    CHECK(memory.output_bytes == static_cast<size_t>(batch * net.classes));
  }
  const auto packed = static_cast<double>(malloc_live - idle);
  CHECK(packed <= most_packed() * static_cast<double>(weights.bytes) + static_cast<double>(tiles));
}

}  // namespace

TEST_CASE("net memory: a run allocates its planned buffers and a tile for each thread, no more") {
  for (const bench::NetGeometry& net : bench::bench_nets()) {
    for (const int threads : {1, 2}) check_memory(net, threads);
  }
}

TEST_CASE("net memory: the counter sees an allocation while it lives") {
  const size_t before = begin_peak();
  { const Tensor tensor(DType::int8, {1 << 20}); }
  CHECK(malloc_live == before);
  CHECK(malloc_peak >= before + (1 << 20));
}

#else

TEST_CASE("net memory: malloc can be counted") {
  std::puts("SKIPPED: this build's malloc is not glibc's own");
}

#endif

}  // namespace facsim::test
