// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "backends/graph/float_graph.h"
#include "backends/profile/profile.h"
#include "fused/network.h"
#include "fused/train/batches.h"
#include "fused/train/dataset.h"
#include "fused/train/optimizer.h"
#include "fused/train/schedule.h"

namespace facsim::fused::train {

/// The two stages of a run: in float, then quantized.
enum class Stage { float_, qat };
std::string_view to_string(Stage stage);  ///< "float", "qat"

std::string_view to_string(GradientArithmetic grad);  ///< "float32", "bf16"

/// Every setting that decides the result's bits. The number of threads and the isa do not.
struct Recipe {
  uint64_t seed = 1;
  int64_t batch = 64;
  int float_epochs = 4;
  int epochs = 4;  ///< of QAT; 0 is post-training quantization
  double float_lr = 0.1;
  double lr = 0.01;  ///< of QAT
  Schedule schedule = Schedule::one_cycle;
  OptimizerOptions optimizer;
  Augmentation augmentation = Augmentation::none;
  int64_t calibration_images = 1024;  ///< training images that set the observers' first ranges
  /// Last part of the QAT steps with BN statistics and observers frozen, as on the device.
  double frozen_part = 0.34;
  ForwardMode mode = ForwardMode::simulate;
  GradientArithmetic grad = GradientArithmetic::float32;  ///< of the QAT stage
};

struct EpochRecord {
  Stage stage = Stage::float_;
  int epoch = 0;    ///< in its stage, from 1
  double loss = 0;  ///< mean over the epoch's batches, while training
  double train_accuracy = 0;
  double test_accuracy = 0;  ///< after the epoch; of a QAT stage by the simulator
  double seconds = 0;
};

/// For a progress bar.
struct Progress {
  Stage stage = Stage::float_;
  int epoch = 0, epochs = 0;
  int64_t step = 0, steps = 0;    ///< in the epoch
  double loss = 0, accuracy = 0;  ///< of the epoch so far
};

struct Callbacks {
  std::function<void(const Progress&)> step;
  std::function<void(const EpochRecord&)> epoch;
};

/// What to train, on what. References are kept by the caller for the whole run.
struct Job {
  const backends::FloatGraph& graph;
  const backends::Profile& profile;
  /// Those that single layers name, by name.
  const std::map<std::string, backends::Profile>& layer_profiles;
  const PatternRegistry& patterns;
  const Dataset& train;
  const Dataset& test;
  Recipe recipe;
  sim::ThreadPool* pool = nullptr;
  /// Written after each epoch, atomically; empty: none.
  std::filesystem::path checkpoint;
  enum class Start { fresh, resume } start = Start::fresh;
};

struct Outcome {
  Network network;  ///< quantized for the profile, ready to convert
  std::vector<EpochRecord> history;
  double float_accuracy = 0;  ///< on the test images, after the float stage
};

/// Fuse by the profile's patterns, float epochs, prepare_qat, calibrate, QAT epochs (BN and
/// observers frozen in their last part). The same recipe and data give the same bits for any number
/// of threads, and a resumed run the bits of one that was never interrupted. Error from a
/// checkpoint made with other settings (names the setting); bad_value if a loss is not finite.
Outcome train(const Job& job, const Callbacks& callbacks);

/// Throws Error bad_value naming the first field outside its range; unsupported for a `grad` that
/// this CPU or build does not have.
void check(const Recipe& recipe);

}  // namespace facsim::fused::train
