// SPDX-License-Identifier: Apache-2.0
#include "fused/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "fused/kernels/bf16.h"
#include "fused/patterns/pattern_registry.h"
#include "fused/train/checkpoint.h"
#include "fused/train/evaluate.h"
#include "fused/train/loss.h"
#include "sim/core/error.h"

namespace facsim::fused::train {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr int64_t kEvaluationBatch = 200;

/// One run. Stage and epoch say what is finished; everything else follows from the recipe.
class Run {
 public:
  Run(const Job& job, const Callbacks& callbacks)
      : job_(job),
        recipe_(job.recipe),
        callbacks_(callbacks),
        settings_(settings_of(job)),
        patterns_(job.patterns.only(job.profile.fusion)),
        network_(Network::from_graph(job.graph, recipe_.seed)),
        optimizer_(make_optimizer(recipe_.optimizer)) {
    network_.fuse(patterns_);
  }

  Outcome run() {
    if (job_.start == Job::Start::resume) resume();
    if (at_.stage == Stage::float_) {
      train_stage();
      at_.float_accuracy = test_accuracy();
      start_qat();
      calibrate();
      save();
    }
    train_stage();
    return {std::move(network_), std::move(at_.history), at_.float_accuracy};
  }

 private:
  int epochs_of_stage() const {
    return at_.stage == Stage::float_ ? recipe_.float_epochs : recipe_.epochs;
  }
  /// The last incomplete batch is left out, unless it is the only one.
  int64_t steps_per_epoch() const {
    return std::max<int64_t>(1, job_.train.size() / recipe_.batch);
  }

  void resume() {
    Checkpoint checkpoint = read_checkpoint(job_.checkpoint, settings_);
    if (checkpoint.stage == Stage::qat) start_qat();
    network_.load_state(checkpoint.model);
    if (!checkpoint.optimizer.empty()) optimizer_->load_state(checkpoint.optimizer);
    at_ = std::move(checkpoint);
    at_.model.clear();
    at_.optimizer.clear();
  }

  void save() {
    if (job_.checkpoint.empty()) return;
    at_.model = network_.state();
    at_.optimizer = optimizer_->state();
    write_checkpoint(job_.checkpoint, at_, settings_);
    at_.model.clear();
    at_.optimizer.clear();
  }

  void start_qat() {
    network_.prepare_qat(job_.profile, patterns_, job_.layer_profiles);
    optimizer_ = make_optimizer(recipe_.optimizer);
    at_.stage = Stage::qat;
    at_.epoch = 0;
  }

  /// The first training images set the observers' ranges; nothing is learned.
  void calibrate() {
    Context context = evaluation_context();
    context.observe = true;
    const int64_t images = std::min(recipe_.calibration_images, job_.train.size());
    for (int64_t first = 0; first < images; first += recipe_.batch) {
      const int64_t count = std::min(recipe_.batch, images - first);
      network_.forward(preprocess(job_.train.images.slice(first, count), job_.graph.preprocessing),
                       context);
    }
  }

  Context evaluation_context() const {
    Context context;
    context.pool = job_.pool;
    context.batch_norm = BatchNormMode::frozen;
    return context;
  }

  double test_accuracy() {
    return evaluate(network_, job_.test, job_.graph.preprocessing, evaluation_context(),
                    kEvaluationBatch)
        .accuracy();
  }

  Context training_context(int64_t step, int64_t steps) const {
    Context context;
    context.pool = job_.pool;
    context.training = true;
    if (at_.stage == Stage::float_) return context;
    context.mode = recipe_.mode;
    context.grad = recipe_.grad;
    const bool frozen =
        static_cast<double>(step) >= (1 - recipe_.frozen_part) * static_cast<double>(steps);
    context.observe = !frozen;
    if (frozen || job_.profile.training.batch_norm == "frozen") {
      context.batch_norm = BatchNormMode::frozen;
    }
    return context;
  }

  void train_stage() {
    const int epochs = epochs_of_stage();
    while (at_.epoch < epochs) {
      EpochRecord record = train_epoch();
      record.test_accuracy = test_accuracy();
      ++at_.epoch;
      at_.history.push_back(record);
      save();
      if (callbacks_.epoch) callbacks_.epoch(record);
    }
  }

  EpochRecord train_epoch() {
    const Clock::time_point start = Clock::now();
    const int64_t steps = steps_per_epoch();
    const int epochs = epochs_of_stage();
    // Stages differ in their order of images.
    const int64_t seed_epoch =
        at_.epoch + (at_.stage == Stage::qat ? int64_t{recipe_.float_epochs} : 0);
    const std::vector<int64_t> order = shuffled_order(job_.train.size(), recipe_.seed, seed_epoch);
    Progress progress{.stage = at_.stage, .epoch = at_.epoch + 1, .epochs = epochs, .steps = steps};
    double loss_sum = 0;
    int64_t correct = 0, seen = 0;
    for (int64_t step = 0; step < steps; ++step) {
      const auto first = static_cast<size_t>(step * recipe_.batch);
      const size_t count = std::min(static_cast<size_t>(recipe_.batch), order.size() - first);
      const Batch batch = make_batch(job_.train, std::span(order).subspan(first, count),
                                     recipe_.augmentation, recipe_.seed, seed_epoch);
      const LossResult loss = train_step(batch, at_.epoch * steps + step, epochs * steps);
      loss_sum += loss.loss;
      correct += loss.correct;
      seen += static_cast<int64_t>(count);

      progress.step = step + 1;
      progress.loss = loss_sum / static_cast<double>(step + 1);
      progress.accuracy = static_cast<double>(correct) / static_cast<double>(seen);
      if (callbacks_.step) callbacks_.step(progress);
    }
    return {.stage = at_.stage,
            .epoch = at_.epoch + 1,
            .loss = progress.loss,
            .train_accuracy = progress.accuracy,
            .seconds = seconds_since(start)};
  }

  LossResult train_step(const Batch& batch, int64_t step, int64_t steps) {
    const Context context = training_context(step, steps);
    const Value output =
        network_.forward(preprocess(batch.images, job_.graph.preprocessing), context);
    LossResult loss = softmax_cross_entropy(output.real(), batch.labels);
    if (!std::isfinite(loss.loss)) {
      throw Error({ErrorCode::bad_value, std::string(to_string(at_.stage)) + " training",
                   "the loss is not finite at step " + std::to_string(step + 1), "a finite loss",
                   "use a smaller learning rate"});
    }
    network_.backward(loss.gradient, context);
    const double lr = at_.stage == Stage::float_ ? recipe_.float_lr : recipe_.lr;
    optimizer_->step(network_.parameters(),
                     static_cast<float>(learning_rate(recipe_.schedule, lr, step, steps)));
    return loss;
  }

  const Job& job_;
  const Recipe& recipe_;
  const Callbacks& callbacks_;
  std::string settings_;
  PatternRegistry patterns_;
  Network network_;
  std::unique_ptr<Optimizer> optimizer_;
  Checkpoint at_;  // model and optimizer only while it is written
};

}  // namespace

std::string_view to_string(GradientArithmetic grad) {
  return grad == GradientArithmetic::bf16 ? "bf16" : "float32";
}

std::string_view to_string(Stage stage) { return stage == Stage::float_ ? "float" : "qat"; }

void check(const Recipe& recipe) {
  const auto require = [](bool holds, const char* field, const std::string& found,
                          const char* expected) {
    if (!holds) throw Error({ErrorCode::bad_value, field, found, expected, ""});
  };
  require(recipe.batch >= 1 && recipe.batch <= 65536, "batch", std::to_string(recipe.batch),
          "1..65536");
  require(recipe.float_epochs >= 0 && recipe.float_epochs <= 100'000, "float-epochs",
          std::to_string(recipe.float_epochs), "0..100000");
  require(recipe.epochs >= 0 && recipe.epochs <= 100'000, "epochs", std::to_string(recipe.epochs),
          "0..100000");
  require(recipe.float_lr > 0 && recipe.float_lr <= 100, "float-lr",
          std::to_string(recipe.float_lr), "a number in (0, 100]");
  require(recipe.lr > 0 && recipe.lr <= 100, "lr", std::to_string(recipe.lr),
          "a number in (0, 100]");
  require(recipe.optimizer.momentum >= 0 && recipe.optimizer.momentum < 1, "momentum",
          std::to_string(recipe.optimizer.momentum), "a number in [0, 1)");
  require(recipe.optimizer.weight_decay >= 0 && recipe.optimizer.weight_decay < 1, "weight-decay",
          std::to_string(recipe.optimizer.weight_decay), "a number in [0, 1)");
  require(recipe.calibration_images >= 1, "calibration-images",
          std::to_string(recipe.calibration_images), "at least 1");
  require(recipe.frozen_part >= 0 && recipe.frozen_part <= 1, "frozen-part",
          std::to_string(recipe.frozen_part), "0..1");
  if (recipe.grad == GradientArithmetic::bf16 && !kernels::bf16_supported()) {
    throw Error(
        {ErrorCode::unsupported, "grad", "bf16", "float32 on this CPU", "bf16 needs AVX-512 BF16"});
  }
}

Outcome train(const Job& job, const Callbacks& callbacks) {
  check(job.recipe);
  return Run(job, callbacks).run();
}

}  // namespace facsim::fused::train
