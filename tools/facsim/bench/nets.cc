// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/bench/bench.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "backends/lower/lower.h"
#include "backends/onnx/to_onnx.h"
#include "sim/graph/executor.h"
#include "tools/bench/nets.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

sim::ExecutorOptions executor_options(sim::Isa isa, int threads) {
  sim::ExecutorOptions options;
  options.isa = isa;
  options.threads = threads;
  return options;
}

/// Distinct images of a batch, which takes them in turn: each costs a run of the norm.
constexpr int64_t kDistinctImages = 4;

/// A network under one profile, and what the norm makes of its images.
struct PreparedNet {
  std::string profile;
  int64_t macs = 0;  ///< for one image
  int64_t weight_bytes = 0;
  std::unique_ptr<sim::Executor> executor;
  Tensor images, expected;  ///< of the largest batch; of the distinct images
};

Tensor distinct_images(const bench::NetGeometry& geometry, DType dtype, int64_t count) {
  std::mt19937_64 random(1);
  Tensor images = Tensor::uninitialized(dtype, {count, geometry.extent, geometry.extent, 3});
  auto* codes = static_cast<uint8_t*>(images.raw());
  for (int64_t i = 0; i < images.numel(); ++i) codes[i] = static_cast<uint8_t>(random() >> 56);
  return images;
}

/// images[i modulo the number of images], i < count.
Tensor in_turn(const Tensor& images, int64_t count) {
  std::vector<int64_t> extents = images.shape().extents();
  const int64_t distinct = extents.front();
  extents.front() = count;
  Tensor all = Tensor::uninitialized(images.dtype(), Shape(extents));
  const size_t bytes = images.bytes() / static_cast<size_t>(distinct);
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(all.slice(i, 1).raw(), images.slice(i % distinct, 1).raw(), bytes);
  }
  return all;
}

PreparedNet prepare(const bench::NetGeometry& geometry, const std::string& profile_name,
                    sim::IntType activation, int64_t largest_batch, const Globals& globals) {
  const backends::Profile profile = backends::load_profile(profile_name, globals.search());
  const backends::IntGraph network = bench::make_net(geometry, profile, activation, 1);
  PreparedNet net;
  net.profile = profile_name;
  for (const backends::IntTensor& tensor : network.tensors) {
    if (tensor.data) net.weight_bytes += static_cast<int64_t>(tensor.data->bytes());
  }
  const sim::Graph graph = backends::lower(network, profile);
  for (const sim::Graph::Node& node : graph.nodes) {
    std::vector<Shape> shapes;
    for (const int t : node.inputs) shapes.push_back(graph.tensors[static_cast<size_t>(t)].shape);
    net.macs += node.op->macs(shapes);
  }
  net.executor =
      std::make_unique<sim::Executor>(graph, executor_options(globals.isa, globals.threads));
  const Tensor images =
      distinct_images(geometry, activation.storage(), std::min(largest_batch, kDistinctImages));
  const sim::Executor norm(graph, executor_options(sim::Isa::scalar, globals.threads));
  net.expected = norm.run({images}).outputs[0];
  net.images = in_turn(images, largest_batch);
  return net;
}

/// The layers one after the other, each timed alone on the tensors of a run: the sum of their
/// minima, ns. Reshapes, which a network does not execute, are left out.
double sum_of_layers(const PreparedNet& net, int64_t batch, const Globals& globals) {
  using Clock = std::chrono::steady_clock;
  constexpr int kRuns = 9;
  sim::ExecutorOptions traced = executor_options(globals.isa, globals.threads);
  traced.trace = true;
  const sim::Graph& graph = net.executor->graph();
  const sim::RunResult result = sim::Executor(graph, traced).run({net.images.slice(0, batch)});
  sim::ThreadPool pool(globals.threads);
  double sum = 0;
  for (const sim::Graph::Node& node : graph.nodes) {
    if (node.op->is_view()) continue;
    std::vector<const Tensor*> inputs;
    for (const int t : node.inputs) inputs.push_back(&result.tensors[static_cast<size_t>(t)]);
    Tensor output = result.tensors[static_cast<size_t>(node.output)].clone();
    double fastest = std::numeric_limits<double>::max();
    for (int run = 0; run < kRuns; ++run) {
      const Clock::time_point start = Clock::now();
      node.op->run(inputs, output, {globals.isa, &pool, false});
      fastest =
          std::min(fastest, std::chrono::duration<double, std::nano>(Clock::now() - start).count());
    }
    sum += fastest;
  }
  return sum;
}

std::string megabytes(int64_t bytes) {
  return fmt::format("{:.2f}", 1e-6 * static_cast<double>(bytes));
}

class NetsBench final : public Bench {
 public:
  void set_up(CLI::App& app) override {
    add_bench_options(app, options_);
    app.add_option("--batch", batches_, "images per run")
        ->delimiter(',')
        ->check(CLI::Range(1, 256))
        ->capture_default_str();
    app.add_option("--activation", activation_, "codes of the networks")
        ->check(one_of({"int8", "uint8"}))
        ->capture_default_str();
    app.add_option("--write-onnx", onnx_folder_,
                   "only write the networks there as QLinear ONNX, uint8 activations");
    app.footer(
        "Times whole networks with random int8 weights under onnxruntime-cpu (float32 scale)\n"
        "and, on int8 codes, tflite-micro (fixed-point double rounding). Every image's output is "
        "compared with\n"
        "the norm's; a batch has up to 4 distinct images. x sum of layers: the network's minimum\n"
        "over the sum of its layers', each timed alone.\n"
        "\n"
        "Megabytes: weights as the network's file holds them (a run also holds them as its "
        "kernels\n"
        "read them); buffers of a run, which are the intermediates of the images that threads "
        "work\n"
        "on at the same time and the outputs; bound, the same if each image needed its two "
        "largest\n"
        "live activations and no more (a shortcut beside a branch is a third). Input not counted.\n"
        "\n"
        "Examples:\n"
        "  facsim bench nets -j 1\n"
        "  facsim bench nets --only mobilenet --batch 1,8 -j 2 --format json");
  }

  ExitCode run(const Globals& globals) override {
    if (!onnx_folder_.empty()) return write_onnx(globals);
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    using Align = TextTable::Align;
    TextTable table({{"network"},
                     {"batch", Align::right},
                     {"profile"},
                     {"per image, median", Align::right},
                     {"minimum", Align::right},
                     {"GMAC/s", Align::right},
                     {"x sum of layers", Align::right},
                     {"weights MB", Align::right},
                     {"buffers", Align::right},
                     {"bound", Align::right},
                     {"images compared", Align::right},
                     {"mismatches", Align::right}});
    for (const bench::NetGeometry& geometry : bench::bench_nets()) {
      if (!options_.wanted(geometry.name)) continue;
      const int64_t largest = *std::max_element(batches_.begin(), batches_.end());
      std::vector<PreparedNet> nets;
      const bool is_uint8 = activation_ == "uint8";
      std::vector<const char*> profiles = {"onnxruntime-cpu"};
      if (!is_uint8) profiles.push_back("tflite-micro");
      for (const char* profile : profiles) {
        nets.push_back(
            prepare(geometry, profile, is_uint8 ? sim::kUint8 : sim::kInt8, largest, globals));
      }
      for (const int64_t batch : batches_) {
        time_nets(geometry, nets, batch, globals, table, list);
      }
    }
    bool exact = true;
    for (const nlohmann::ordered_json& one : list) exact = exact && one["mismatches"] == 0;
    if (globals.format == OutputFormat::json) {
      print_json({{"threads", sim::ThreadPool(globals.threads).threads()}, {"nets", list}});
    } else {
      print(table.text());
    }
    return exact ? ExitCode::equal : ExitCode::different;
  }

 private:
  /// For another library to run (tools/bench/onnxruntime.sh).
  ExitCode write_onnx(const Globals& globals) const {
    const backends::Profile profile = backends::load_profile("onnxruntime-cpu", globals.search());
    std::filesystem::create_directories(onnx_folder_);
    for (const bench::NetGeometry& geometry : bench::bench_nets()) {
      if (!options_.wanted(geometry.name)) continue;
      const backends::IntGraph network = bench::make_net(geometry, profile, sim::kUint8, 1);
      backends::write_onnx_model(std::filesystem::path(onnx_folder_) / (geometry.name + ".onnx"),
                                 backends::to_onnx(network, backends::OnnxForm::qoperator));
    }
    return ExitCode::equal;
  }

  void time_nets(const bench::NetGeometry& geometry, const std::vector<PreparedNet>& nets,
                 int64_t batch, const Globals& globals, TextTable& table,
                 nlohmann::ordered_json& list) const {
    std::vector<Tensor> outputs(nets.size());
    std::vector<bench::Contender> contenders;
    for (size_t i = 0; i < nets.size(); ++i) {
      contenders.push_back({nets[i].profile, [&net = nets[i], &output = outputs[i], batch] {
                              output = net.executor->run({net.images.slice(0, batch)}).outputs[0];
                            }});
    }
    const std::vector<bench::Times> times = bench::contest(contenders, options_.contest);
    for (size_t i = 0; i < nets.size(); ++i) {
      // Of the last timed run.
      const int64_t mismatches = count_mismatches(outputs[i], in_turn(nets[i].expected, batch));
      const sim::RunMemory memory = nets[i].executor->memory(batch);
      const auto buffers = static_cast<int64_t>(memory.bytes());
      const auto bound = static_cast<int64_t>(
          static_cast<size_t>(memory.arenas) * memory.two_largest_live + memory.output_bytes);
      const double layers = sum_of_layers(nets[i], batch, globals);
      const double per_image = 1.0 / static_cast<double>(batch);
      const double median = times[i].median() * per_image;
      const double minimum = times[i].minimum() * per_image;
      table.add_row({geometry.name, fmt::format("{}", batch), nets[i].profile, time_text(median),
                     time_text(minimum),
                     fmt::format("{:.1f}", static_cast<double>(nets[i].macs) / minimum),
                     fmt::format("{:.2f}", times[i].minimum() / layers),
                     megabytes(nets[i].weight_bytes), megabytes(buffers), megabytes(bound),
                     fmt::format("{}", batch), fmt::format("{}", mismatches)});
      nlohmann::ordered_json one = {{"network", geometry.name},
                                    {"batch", batch},
                                    {"profile", nets[i].profile},
                                    {"macs_per_image", nets[i].macs},
                                    {"images_compared", batch},
                                    {"sum_of_layers_ns", layers},
                                    {"ratio_sum_of_layers", times[i].minimum() / layers},
                                    {"mismatches", mismatches},
                                    {"memory",
                                     {{"weights_bytes", nets[i].weight_bytes},
                                      {"buffers_bytes", buffers},
                                      {"bound_bytes", bound},
                                      {"arenas", memory.arenas},
                                      {"images_per_arena", memory.images},
                                      {"arena_bytes", memory.arena_bytes},
                                      {"largest_live_set_bytes", memory.largest_live_set},
                                      {"two_largest_live_bytes", memory.two_largest_live},
                                      {"output_bytes", memory.output_bytes}}}};
      one.update(times_json(times[i]));
      list.push_back(std::move(one));
    }
  }

  BenchOptions options_;
  std::vector<int64_t> batches_{1};
  std::string onnx_folder_, activation_ = "int8";
};

}  // namespace

std::unique_ptr<Bench> make_nets_bench() { return std::make_unique<NetsBench>(); }

}  // namespace facsim::cli
