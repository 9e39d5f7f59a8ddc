// SPDX-License-Identifier: Apache-2.0
#include "fused/train/trainer.h"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "backends/lower/lower.h"
#include "fused/kernels/bf16.h"
#include "fused/patterns/pattern_registry.h"
#include "fused/train/counter_random.h"
#include "fused/train/evaluate.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tests/formats/temp_folder.h"

namespace facsim::fused::train {
namespace {

namespace fs = std::filesystem;

backends::FloatNode node(std::string name, std::string op, std::vector<std::string> inputs) {
  backends::FloatNode n;
  n.name = std::move(name);
  n.op = std::move(op);
  n.inputs = std::move(inputs);
  return n;
}

/// Conv2d + BN + ReLU, stride 2, then a linear classifier of four classes.
backends::FloatGraph small_graph() {
  backends::FloatGraph graph;
  graph.name = "small";
  graph.input_shape = {1, 8, 8};
  graph.preprocessing = {{0.25f}, {0.5f}};
  backends::FloatNode conv = node("conv", "Conv2d", {"input"});
  conv.in_channels = 1;
  conv.out_channels = 8;
  conv.kernel_size = {3, 3};
  conv.stride = {2, 2};
  conv.padding = {1, 1};
  conv.bias = false;
  backends::FloatNode bn = node("bn", "BatchNorm2d", {"conv"});
  bn.in_channels = bn.out_channels = 8;
  backends::FloatNode fc = node("fc", "Linear", {"flatten"});
  fc.in_channels = 8 * 4 * 4;
  fc.out_channels = 4;
  graph.nodes = {conv, bn, node("relu", "ReLU", {"bn"}), node("flatten", "Flatten", {"relu"}), fc};
  graph.outputs = {"fc"};
  return graph;
}

/// Noise with one bright quadrant, which is the class.
Dataset quadrants(int64_t n, uint64_t seed) {
  Dataset data{Tensor(DType::uint8, Shape{n, 8, 8, 1}), {}};
  const CounterRandom random(seed, 9);
  for (int64_t i = 0; i < n; ++i) {
    const auto label = static_cast<int32_t>(i % 4);
    data.labels.push_back(label);
    for (int64_t p = 0; p < 64; ++p) {
      const bool bright = (p / 8 >= 4) == (label / 2 == 1) && (p % 8 >= 4) == (label % 2 == 1);
      const uint64_t noise = random.below(static_cast<uint64_t>(i * 64 + p), 120);
      data.images.set_int(i * 64 + p, static_cast<int64_t>(noise) + (bright ? 60 : 0));
    }
  }
  return data;
}

class Setting {
 public:
  Setting() {
    recipe.batch = 16;
    recipe.float_epochs = 2;
    recipe.epochs = 2;
    recipe.float_lr = 0.05;
    recipe.calibration_images = 64;
    recipe.seed = 3;
  }

  Job job(sim::ThreadPool* pool, Job::Start start = Job::Start::fresh) const {
    return {.graph = graph,
            .profile = profile,
            .layer_profiles = layer_profiles,
            .patterns = patterns,
            .train = train,
            .test = test,
            .recipe = recipe,
            .pool = pool,
            .checkpoint = folder / "checkpoint.npz",
            .start = start};
  }

  backends::FloatGraph graph = small_graph();
  backends::Profile profile = backends::load_profile(
      "tflite-micro", {{fs::path(FACSIM_SOURCE_DIR) / "configs" / "profiles"}});
  std::map<std::string, backends::Profile> layer_profiles;
  PatternRegistry patterns = PatternRegistry::standard();
  Dataset train = quadrants(320, 1), test = quadrants(100, 2);
  Recipe recipe;
  test::TempFolder folder;
};

void check_same_state(Outcome& a, Outcome& b) {
  const backends::NamedTensors left = a.network.state(), right = b.network.state();
  REQUIRE(left.size() == right.size());
  for (size_t i = 0; i < left.size(); ++i) {
    CAPTURE(left[i].first);
    CHECK(left[i].first == right[i].first);
    REQUIRE(left[i].second.bytes() == right[i].second.bytes());
    CHECK(std::memcmp(left[i].second.raw(), right[i].second.raw(), left[i].second.bytes()) == 0);
  }
}

/// Codes of the eval forward against the deployed graph, every node.
void check_deployed(const Setting& s, Outcome& outcome) {
  const backends::IntGraph deployed = outcome.network.convert();
  Context context;
  context.batch_norm = BatchNormMode::frozen;
  const Value output =
      outcome.network.forward(preprocess(s.test.images, s.graph.preprocessing), context);
  const auto values = outcome.network.values();
  const auto codes_of = [&](const std::string& name) {
    for (const auto& [node_name, value] : values) {
      if (node_name == name) return value.codes();
    }
    FAIL("no value of " << name);
    return Tensor();
  };
  REQUIRE(deployed.inputs.size() == 1);
  const std::string& input = deployed.tensors[static_cast<size_t>(deployed.inputs[0])].name;
  sim::ExecutorOptions options;
  options.isa = sim::Isa::scalar;
  options.trace = true;
  const sim::Executor executor(backends::lower(deployed, s.profile), options);
  const sim::RunResult run = executor.run({codes_of(input)});
  const auto& tensors = executor.graph().tensors;
  for (size_t t = 0; t < tensors.size(); ++t) {
    CAPTURE(tensors[t].name);
    const Tensor expected = codes_of(tensors[t].name);
    REQUIRE(run.tensors[t].bytes() == expected.bytes());
    CHECK(std::memcmp(run.tensors[t].raw(), expected.raw(), expected.bytes()) == 0);
  }
  CHECK(tensors.size() == 4);  // input, relu, flatten, fc
}

TEST_CASE("train: learns, and eval equals the deployed network bit for bit") {
  const Setting s;
  int64_t steps = 0;
  std::vector<EpochRecord> seen;
  Outcome outcome =
      train(s.job(nullptr), {.step = [&](const Progress&) { ++steps; },
                             .epoch = [&](const EpochRecord& e) { seen.push_back(e); }});
  CHECK(steps == 4 * 20);
  REQUIRE(outcome.history.size() == 4);
  CHECK(seen.size() == 4);
  CHECK(outcome.history[1].stage == Stage::float_);
  CHECK(outcome.history[2].stage == Stage::qat);
  CHECK(outcome.float_accuracy >= 0.95);
  CHECK(outcome.history[3].test_accuracy >= 0.95);
  CHECK(outcome.network.quantized());
  check_deployed(s, outcome);
}

TEST_CASE("train: the same bits for any number of threads") {
  Setting s;
  s.recipe.epochs = 1;
  Outcome one = train(s.job(nullptr), {});
  sim::ThreadPool pool(3);
  Outcome three = train(s.job(&pool), {});
  check_same_state(one, three);
}

TEST_CASE("train: gradients in bf16 learn, the same bits for any number of threads") {
  Setting s;
  s.recipe.grad = GradientArithmetic::bf16;
  if (!kernels::bf16_supported()) {
    CHECK_THROWS_WITH_AS(train(s.job(nullptr), {}),
                         doctest::Contains("grad: bf16; expected float32 on this CPU"), Error);
    return;
  }
  Outcome one = train(s.job(nullptr), {});
  CHECK(one.history[3].test_accuracy >= 0.95);
  check_deployed(s, one);
  sim::ThreadPool pool(3);
  Outcome three = train(s.job(&pool), {});
  check_same_state(one, three);
  // It is a setting of the run, and it did take part.
  s.recipe.grad = GradientArithmetic::float32;
  CHECK_THROWS_WITH_AS(train(s.job(nullptr, Job::Start::resume), {}),

                       doctest::Contains("made with grad=bf16; expected grad=float32"), Error);
  Outcome exact = train(s.job(nullptr), {});
  CHECK(exact.history[1].loss == one.history[1].loss);
  CHECK(exact.history[3].loss != one.history[3].loss);
}

struct Stop {};

TEST_CASE("train: resumed after any epoch, it ends with the same bits") {
  for (const OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adam}) {
    CAPTURE(to_string(kind));
    Setting s;
    s.recipe.optimizer.kind = kind;
    if (kind == OptimizerKind::adam) s.recipe.float_lr = s.recipe.lr = 1e-3;
    s.recipe.augmentation = Augmentation::shift_flip;
    Outcome straight = train(s.job(nullptr), {});
    for (const int stop_after : {1, 2, 3}) {
      CAPTURE(stop_after);
      fs::remove(s.folder / "checkpoint.npz");
      int epochs = 0;
      CHECK_THROWS_AS(train(s.job(nullptr), {.step = {},
                                             .epoch =
                                                 [&](const EpochRecord&) {
                                                   if (++epochs == stop_after) throw Stop{};
                                                 }}),
                      Stop);
      Outcome resumed = train(s.job(nullptr, Job::Start::resume), {});
      check_same_state(straight, resumed);
      CHECK(resumed.history.size() == 4);
      CHECK(resumed.float_accuracy == straight.float_accuracy);
    }
  }
}

TEST_CASE("train: a checkpoint of other settings or a damaged one is refused") {
  Setting s;
  s.recipe.float_epochs = 1;
  s.recipe.epochs = 0;
  train(s.job(nullptr), {});
  s.recipe.lr = 0.02;
  CHECK_THROWS_WITH_AS(train(s.job(nullptr, Job::Start::resume), {}),
                       doctest::Contains("made with lr=0.01; expected lr=0.02"), Error);
  s.recipe.lr = 0.01;
  backends::NamedTensors members = backends::read_npz(s.folder / "checkpoint.npz");
  for (auto& [name, tensor] : members) {
    if (name == "position") tensor = Tensor(DType::int64, Shape{2});
  }
  backends::write_npz(s.folder / "checkpoint.npz", members);
  CHECK_THROWS_WITH_AS(train(s.job(nullptr, Job::Start::resume), {}), doctest::Contains("position"),
                       Error);
}

TEST_CASE("train: 0 epochs is post-training quantization") {
  Setting s;
  s.recipe.epochs = 0;
  Outcome outcome = train(s.job(nullptr), {});
  CHECK(outcome.history.size() == 2);
  Context context;
  context.batch_norm = BatchNormMode::frozen;
  CHECK(evaluate(outcome.network, s.test, s.graph.preprocessing, context, 32).accuracy() >= 0.9);
  check_deployed(s, outcome);
}

TEST_CASE("train: trained through fake quantization, eval still equals the deployed network") {
  Setting s;
  s.recipe.mode = ForwardMode::fake_quantize;
  Outcome outcome = train(s.job(nullptr), {});
  CHECK(outcome.history[3].test_accuracy >= 0.9);
  check_deployed(s, outcome);
}

TEST_CASE("train: a loss that is not finite stops the run") {
  Setting s;
  s.recipe.schedule = Schedule::constant;
  s.recipe.float_lr = 100;
  s.recipe.float_epochs = 50;
  s.recipe.optimizer.weight_decay = 0.9f;
  CHECK_THROWS_WITH_AS(train(s.job(nullptr), {}), doctest::Contains("the loss is not finite"),
                       Error);
}

TEST_CASE("recipe: each field has its range") {
  const auto refused = [](void (*change)(Recipe&)) {
    Recipe recipe;
    change(recipe);
    CHECK_THROWS_AS(check(recipe), Error);
  };
  check(Recipe{});
  refused([](Recipe& r) { r.batch = 0; });
  refused([](Recipe& r) { r.float_epochs = -1; });
  refused([](Recipe& r) { r.epochs = -1; });
  refused([](Recipe& r) { r.lr = 0; });
  refused([](Recipe& r) { r.float_lr = 1e9; });
  refused([](Recipe& r) { r.optimizer.momentum = 1; });
  refused([](Recipe& r) { r.optimizer.weight_decay = -1; });
  refused([](Recipe& r) { r.calibration_images = 0; });
  refused([](Recipe& r) { r.frozen_part = 1.5; });
}

}  // namespace
}  // namespace facsim::fused::train
