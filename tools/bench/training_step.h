// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/graph/float_graph.h"
#include "fused/network.h"
#include "fused/patterns/pattern_registry.h"
#include "fused/train/optimizer.h"

namespace facsim::bench {

/// Images and classes to train on. Images near those of normalised data, the classes in turn
/// (i modulo 10, or the network's number of outputs if it has fewer): values do not change the
/// time.
struct TrainingBatch {
  Tensor images;  ///< float32 [N, H, W, C]
  std::vector<int32_t> labels;
};
TrainingBatch make_training_batch(const backends::FloatGraph& graph, int64_t images);

/// How a training step computes.
enum class TrainingArithmetic {
  float32,        ///< the float network, fused
  simulate,       ///< QAT: forward through the simulator
  simulate_bf16,  ///< the same with gradients in bf16 (fused::kernels::bf16_supported())
  fake_quantize,  ///< QAT: forward by fake quantization
};

/// A network with its optimizer that steps on the same batch: forward, loss, backward, SGD.
class TrainingStep {
 public:
  /// Parameters from a fixed seed. `pool` must outlive this.
  TrainingStep(const backends::FloatGraph& graph, const backends::Profile& profile,
               TrainingArithmetic arithmetic, const TrainingBatch& batch, sim::Isa isa,
               sim::ThreadPool* pool);
  /// Returns the loss.
  double step();
  /// Gradients of the last step, by parameter, and the parameters after it.
  std::vector<Tensor> gradients();
  std::vector<Tensor> parameters();

 private:
  fused::Network network_;
  fused::Context context_;
  TrainingBatch batch_;
  std::unique_ptr<fused::train::Optimizer> optimizer_ = fused::train::make_optimizer({});
};

/// Numbers of a step and how many of them differ in any bit.
struct StepComparison {
  int64_t compared = 0, mismatches = 0;
};

/// One step of two networks that began equal: the losses, every gradient and every parameter after
/// the step, bit for bit.
StepComparison compare_steps(TrainingStep& a, TrainingStep& b);

}  // namespace facsim::bench
