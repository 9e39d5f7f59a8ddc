// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "sim/core/parallel.h"
#include "sim/kernels/isa.h"
#include "tools/bench/layers.h"

namespace facsim::bench {

/// A layer prepared by one library: weights packed, memory allocated.
class LayerRunner {
 public:
  virtual ~LayerRunner() = default;
  virtual void run() = 0;
  /// What the last run wrote, NHWC or [N, C].
  virtual const Tensor& output() const = 0;
  /// The library's name of the code that runs ("quads", "brgconv:avx512_core_vnni", …).
  virtual std::string implementation() const = 0;
};

/// Ours under a profile. `pool` may be null and must outlive the runner.
std::unique_ptr<LayerRunner> make_facsim_runner(const LayerCase& layer,
                                                const backends::Profile& profile, sim::Isa isa,
                                                sim::ThreadPool* pool);

/// A library to compare with.
struct Peer {
  std::string name;
  std::string profile;      ///< the profile whose bits it computes
  sim::IntType activation;  ///< the codes it is fastest with
  std::unique_ptr<LayerRunner> (*make)(const LayerCase& layer, int threads) = nullptr;
};

/// onednn, xnnpack: those that this build links (FACSIM_BENCH_PEERS).
std::vector<Peer> linked_peers();

std::unique_ptr<LayerRunner> make_onednn_runner(const LayerCase& layer, int threads);
std::unique_ptr<LayerRunner> make_xnnpack_runner(const LayerCase& layer, int threads);

}  // namespace facsim::bench
