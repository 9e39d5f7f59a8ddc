// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/training_step.h"

#include <algorithm>
#include <cstring>

#include "fused/train/counter_random.h"
#include "fused/train/loss.h"

namespace facsim::bench {

namespace {

constexpr uint64_t kParameterSeed = 1;
constexpr float kLearningRate = 1e-3f;

fused::Network make_network(const backends::FloatGraph& graph, const backends::Profile& profile,
                            TrainingArithmetic arithmetic, const Tensor& images,
                            fused::Context context) {
  const fused::PatternRegistry patterns = fused::PatternRegistry::standard();
  fused::Network network = fused::Network::from_graph(graph, kParameterSeed);
  network.fuse(patterns);
  if (arithmetic == TrainingArithmetic::float32) return network;
  network.prepare_qat(profile, patterns);
  context.training = false;  // calibration
  context.observe = true;
  network.forward(images, context);
  return network;
}

fused::Context make_context(TrainingArithmetic arithmetic, sim::Isa isa, sim::ThreadPool* pool) {
  fused::Context context;
  context.pool = pool;
  context.isa = isa;
  context.training = true;
  context.observe = arithmetic != TrainingArithmetic::float32;
  if (arithmetic == TrainingArithmetic::fake_quantize) {
    context.mode = fused::ForwardMode::fake_quantize;
  }
  if (arithmetic == TrainingArithmetic::simulate_bf16) {
    context.grad = fused::GradientArithmetic::bf16;
  }
  return context;
}

/// Elements of float32 tensors whose bits differ; all of them where shapes do.
int64_t different_floats(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return std::max(a.numel(), b.numel());
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    count += std::memcmp(a.data<float>() + i, b.data<float>() + i, sizeof(float)) != 0 ? 1 : 0;
  }
  return count;
}

void compare_tensors(const std::vector<Tensor>& a, const std::vector<Tensor>& b,
                     StepComparison& result) {
  for (size_t i = 0; i < a.size(); ++i) {
    result.compared += a[i].numel();
    result.mismatches += different_floats(a[i], b[i]);
  }
}

}  // namespace

TrainingBatch make_training_batch(const backends::FloatGraph& graph, int64_t images) {
  const auto [c, h, w] = graph.input_shape;
  TrainingBatch batch{Tensor::uninitialized(DType::float32, Shape{images, h, w, c}), {}};
  const fused::train::CounterRandom random(1, 1);
  for (int64_t i = 0; i < batch.images.numel(); ++i) {
    batch.images.data<float>()[i] =
        static_cast<float>(random.below(static_cast<uint64_t>(i), 256)) / 64.0f - 1.0f;
  }
  fused::Network network = fused::Network::from_graph(graph, kParameterSeed);
  const Shape outputs = network.forward(batch.images.slice(0, 1), {}).shape();
  const int64_t classes = std::clamp<int64_t>(outputs[outputs.rank() - 1], 1, 10);
  for (int64_t i = 0; i < images; ++i) batch.labels.push_back(static_cast<int32_t>(i % classes));
  return batch;
}

TrainingStep::TrainingStep(const backends::FloatGraph& graph, const backends::Profile& profile,
                           TrainingArithmetic arithmetic, const TrainingBatch& batch, sim::Isa isa,
                           sim::ThreadPool* pool)
    : network_(make_network(graph, profile, arithmetic, batch.images,
                            make_context(arithmetic, isa, pool))),
      context_(make_context(arithmetic, isa, pool)),
      batch_(batch) {}

double TrainingStep::step() {
  const fused::Value output = network_.forward(batch_.images, context_);
  const fused::train::LossResult loss =
      fused::train::softmax_cross_entropy(output.real(), batch_.labels);
  network_.backward(loss.gradient, context_);
  optimizer_->step(network_.parameters(), kLearningRate);
  return loss.loss;
}

std::vector<Tensor> TrainingStep::gradients() {
  std::vector<Tensor> tensors;
  for (const fused::Parameter* parameter : network_.parameters()) {
    tensors.push_back(parameter->grad);
  }
  return tensors;
}

std::vector<Tensor> TrainingStep::parameters() {
  std::vector<Tensor> tensors;
  for (const fused::Parameter* parameter : network_.parameters()) {
    tensors.push_back(parameter->value);
  }
  return tensors;
}

StepComparison compare_steps(TrainingStep& a, TrainingStep& b) {
  const double loss_a = a.step(), loss_b = b.step();
  StepComparison result;
  result.compared = 1;
  result.mismatches = std::memcmp(&loss_a, &loss_b, sizeof(double)) != 0 ? 1 : 0;
  compare_tensors(a.gradients(), b.gradients(), result);
  compare_tensors(a.parameters(), b.parameters(), result);
  return result;
}

}  // namespace facsim::bench
