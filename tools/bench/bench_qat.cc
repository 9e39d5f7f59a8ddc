// SPDX-License-Identifier: Apache-2.0
// Times one training step (forward, loss, backward, SGD) of a network in float and quantized, the
// variants taking turns, and prints one line per variant: name threads batch median_ms min_ms.
// usage: bench_qat [--network FILE] [--profile NAME] [--batch N] [--rounds N] [--threads N]
//                  [--clock wall|cpu] [--only VARIANT]...
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "backends/graph/float_graph.h"
#include "backends/profile/profile.h"
#include "fused/kernels/bf16.h"
#include "fused/network.h"
#include "fused/patterns/pattern_registry.h"
#include "fused/train/counter_random.h"
#include "fused/train/loss.h"
#include "fused/train/memory.h"
#include "fused/train/optimizer.h"

namespace facsim::fused::train {
namespace {

struct Arguments {
  std::string network = FACSIM_SOURCE_DIR "/configs/networks/fashion_cnn.json";
  std::string profile = "tflite-micro";
  int64_t batch = 64;
  int rounds = 30;
  int threads = 1;
  bool cpu_time = false;          ///< the process's own: on a machine that others use too
  std::vector<std::string> only;  ///< variants' names; empty: all
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name = argv[i];
    const char* value = argv[i + 1];
    if (name == "--network") a.network = value;
    if (name == "--clock") a.cpu_time = std::string_view(value) == "cpu";
    if (name == "--profile") a.profile = value;
    if (name == "--only") a.only.push_back(value);
    if (name == "--batch") a.batch = std::max(1, std::atoi(value));
    if (name == "--rounds") a.rounds = std::max(1, std::atoi(value));
    if (name == "--threads") a.threads = std::max(1, std::atoi(value));
  }
  return a;
}

struct Data {
  Tensor images;
  std::vector<int32_t> labels;
};

/// Values near those of normalised images; their bits do not change the time.
Data random_data(const backends::FloatGraph& graph, int64_t batch) {
  const auto [c, h, w] = graph.input_shape;
  Data data{Tensor::uninitialized(DType::float32, Shape{batch, h, w, c}), {}};
  const CounterRandom random(1, 1);
  for (int64_t i = 0; i < data.images.numel(); ++i) {
    data.images.data<float>()[i] =
        static_cast<float>(random.below(static_cast<uint64_t>(i), 256)) / 64.0f - 1.0f;
  }
  for (int64_t i = 0; i < batch; ++i) data.labels.push_back(static_cast<int32_t>(i % 10));
  return data;
}

double milliseconds(bool cpu_time) {
  if (cpu_time) return 1e3 * static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

/// A network with its optimizer, stepping on the same batch.
class Trainee {
 public:
  Trainee(std::string name, Network network, Context context)
      : name_(std::move(name)), network_(std::move(network)), context_(context) {}

  void step(const Data& data, bool cpu_time) {
    const double start = milliseconds(cpu_time);
    const Value output = network_.forward(data.images, context_);
    const LossResult loss = softmax_cross_entropy(output.real(), data.labels);
    network_.backward(loss.gradient, context_);
    optimizer_->step(network_.parameters(), 1e-3f);
    times_.push_back(milliseconds(cpu_time) - start);
  }
  const std::string& name() const { return name_; }
  void forget_times() { times_.clear(); }
  void print(const Arguments& a) {
    std::sort(times_.begin(), times_.end());
    std::printf("%s %d %lld %.3f %.3f\n", name_.c_str(), a.threads, static_cast<long long>(a.batch),
                times_[times_.size() / 2], times_[0]);
  }

 private:
  std::string name_;
  Network network_;
  Context context_;
  std::unique_ptr<Optimizer> optimizer_ = make_optimizer({});
  std::vector<double> times_;
};

Network float_network(const backends::FloatGraph& graph, const PatternRegistry& patterns) {
  Network network = Network::from_graph(graph, 1);
  network.fuse(patterns);
  return network;
}

Network quantized_network(const backends::FloatGraph& graph, const backends::Profile& profile,
                          const PatternRegistry& patterns, const Data& data, Context context) {
  Network network = float_network(graph, patterns);
  network.prepare_qat(profile, patterns);
  context.training = false;
  context.observe = true;
  network.forward(data.images, context);
  return network;
}

void run(const Arguments& a) {
  keep_freed_memory();
  const backends::FloatGraph graph = backends::read_float_graph(a.network);
  const backends::Profile profile =
      backends::load_profile(a.profile, backends::ProfileSearch::standard());
  const PatternRegistry patterns = PatternRegistry::standard();
  const Data data = random_data(graph, a.batch);
  sim::ThreadPool pool(a.threads);
  Context context;
  context.pool = &pool;
  context.training = true;

  std::vector<Trainee> trainees;
  const auto wanted = [&](const char* name) {
    return a.only.empty() || std::find(a.only.begin(), a.only.end(), name) != a.only.end();
  };
  const auto add_quantized = [&](const char* name) {
    if (!wanted(name)) return;
    trainees.emplace_back(name, quantized_network(graph, profile, patterns, data, context),
                          context);
  };
  if (wanted("facsim-float")) {
    trainees.emplace_back("facsim-float", float_network(graph, patterns), context);
  }
  context.observe = true;
  add_quantized("facsim-qat-simulate");
  if (kernels::bf16_supported()) {
    context.grad = GradientArithmetic::bf16;
    add_quantized("facsim-qat-bf16");
    context.grad = GradientArithmetic::float32;
  }
  context.mode = ForwardMode::fake_quantize;
  add_quantized("facsim-qat-fake-quantize");
  for (int round = -2; round < a.rounds; ++round) {
    if (round == 0) {
      for (Trainee& trainee : trainees) trainee.forget_times();
    }
    for (Trainee& trainee : trainees) trainee.step(data, a.cpu_time);
  }
  for (Trainee& trainee : trainees) trainee.print(a);
}

}  // namespace
}  // namespace facsim::fused::train

int main(int argc, char** argv) {
  try {
    facsim::fused::train::run(facsim::fused::train::parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_qat: %s\n", error.what());
    return 1;
  }
  return 0;
}
