// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/training_step.h"

#include <doctest/doctest.h>

namespace facsim::bench {

namespace {

struct Steps {
  backends::FloatGraph graph =
      backends::read_float_graph(FACSIM_SOURCE_DIR "/configs/networks/fashion_cnn.json");
  backends::Profile profile = backends::load_profile(
      FACSIM_SOURCE_DIR "/configs/profiles/tflite-micro.json", backends::ProfileSearch::standard());

  TrainingStep make(TrainingArithmetic arithmetic, const TrainingBatch& batch,
                    sim::Isa isa = sim::Isa::best) const {
    return {graph, profile, arithmetic, batch, isa, nullptr};
  }
};

}  // namespace

TEST_CASE("training_step: steps that began equal stay equal, loss, gradients and parameters") {
  const Steps steps;
  const TrainingBatch batch = make_training_batch(steps.graph, 3);
  CHECK(batch.labels == std::vector<int32_t>{0, 1, 2});
  TrainingStep a = steps.make(TrainingArithmetic::simulate, batch);
  TrainingStep b = steps.make(TrainingArithmetic::simulate, batch, sim::Isa::scalar);
  for (int step = 0; step < 2; ++step) {
    const StepComparison comparison = compare_steps(a, b);
    CHECK(comparison.mismatches == 0);
    int64_t parameters = 0;
    for (const Tensor& tensor : a.parameters()) parameters += tensor.numel();
    CHECK(comparison.compared == 1 + 2 * parameters);
  }
}

TEST_CASE("training_step: another arithmetic, label or number of steps is seen") {
  const Steps steps;
  const TrainingBatch batch = make_training_batch(steps.graph, 3);
  TrainingStep simulate = steps.make(TrainingArithmetic::simulate, batch);
  TrainingStep real = steps.make(TrainingArithmetic::float32, batch);
  CHECK(compare_steps(simulate, real).mismatches > 1000);

  TrainingBatch relabelled = batch;
  relabelled.labels[2] = 7;
  TrainingStep a = steps.make(TrainingArithmetic::float32, batch);
  TrainingStep b = steps.make(TrainingArithmetic::float32, relabelled);
  CHECK(compare_steps(a, b).mismatches > 1000);

  TrainingStep ahead = steps.make(TrainingArithmetic::float32, batch);
  ahead.step();
  TrainingStep behind = steps.make(TrainingArithmetic::float32, batch);
  CHECK(compare_steps(ahead, behind).mismatches > 1000);
}

}  // namespace facsim::bench
