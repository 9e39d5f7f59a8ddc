// SPDX-License-Identifier: Apache-2.0
#include <cfenv>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/lower/lower.h"
#include "sim/core/error.h"
#include "sim/graph/executor.h"
#include "tools/facsim/command.h"
#include "tools/facsim/doctor/doctor_layers.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/output.h"
#include "tools/facsim/progress.h"
#include "tools/facsim/runtime_process.h"

namespace facsim::cli {

namespace {

using DoctorJson = nlohmann::ordered_json;

/// Profiles whose requantizers run in different kernels: double and single rounding in fixed point,
/// float32 scales, float32 with another zero point rule, shifts of rationals; and accumulators of
/// 20 bits that saturate tap by tap, so that the order of the taps counts.
constexpr const char* kDoctorProfiles[] = {"tflite-micro", "onnxruntime-cpu",
                                           "example-chip", "tflite-single-rounding",
                                           "xnnpack-x86",  "onednn"};
constexpr size_t kQuickProfiles = 3;

struct IsaCheck {
  std::string isa;
  int64_t layers = 0, values = 0, different = 0;
  std::vector<std::string> bad;  ///< "PROFILE: LAYER" that differ from the norm
};

struct DoctorReport {
  std::vector<IsaCheck> isas;
  int64_t not_done = 0;              ///< layers that a profile does not do
  std::set<std::string> never_done;  ///< layers that no profile does: not checked at all
  std::vector<std::string> trouble;
};

int64_t differing_values(const Tensor& a, const Tensor& b) {
  if (std::memcmp(a.raw(), b.raw(), a.bytes()) == 0) return 0;
  int64_t count = 0;
  for (int64_t i = 0; i < a.numel(); ++i) count += a.int_at(i) != b.int_at(i) ? 1 : 0;
  return count;
}

Tensor layer_output(const sim::Graph& graph, const DoctorLayer& layer, sim::Isa isa, int threads) {
  sim::ExecutorOptions options;
  options.isa = isa;
  options.threads = threads;
  return sim::Executor(graph, options).run(layer.inputs).outputs[0];
}

/// The caller's rounding mode while it lives.
class RoundingMode {
 public:
  explicit RoundingMode(int mode) : before_(std::fegetround()) { std::fesetround(mode); }
  RoundingMode(const RoundingMode&) = delete;
  RoundingMode& operator=(const RoundingMode&) = delete;
  ~RoundingMode() { std::fesetround(before_); }

 private:
  int before_;
};

/// Every isa on every layer under every profile, alone, in threads and under a caller's other
/// rounding mode.
class KernelCheck {
 public:
  KernelCheck(const Globals& globals, size_t profiles) : globals_(globals), profiles_(profiles) {
    for (const sim::Isa isa : sim::available_isas()) {
      report_.isas.push_back({std::string(sim::to_string(isa)), 0, 0, 0, {}});
    }
  }

  DoctorReport run() {
    const std::vector<DoctorLayer> layers = doctor_layers(globals_.seed);
    for (const DoctorLayer& layer : layers) report_.never_done.insert(layer.name);
    ProgressBar bar("doctor", static_cast<int64_t>(profiles_ * layers.size()), globals_.progress);
    int64_t done = 0;
    for (size_t p = 0; p < profiles_; ++p) {
      check_profile(kDoctorProfiles[p], layers);
      done += static_cast<int64_t>(layers.size());
      bar.update(done);
    }
    return std::move(report_);
  }

 private:
  /// A profile that the installation should have and cannot be read is a finding like others.
  void check_profile(const char* name, const std::vector<DoctorLayer>& layers) {
    std::optional<backends::Profile> profile;
    try {
      profile = backends::load_profile(name, globals_.search());
    } catch (const Error& error) {
      report_.trouble.push_back(fmt::format("profile {}: {}", name, error.what()));
      return;
    }
    for (const DoctorLayer& layer : layers) {
      throw_if_interrupted();
      check_layer(*profile, layer);
    }
  }

  void check_layer(const backends::Profile& profile, const DoctorLayer& layer) {
    sim::Graph graph;
    try {
      graph = backends::lower(layer.graph, profile);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::unsupported) throw;
      ++report_.not_done;
      return;
    }
    report_.never_done.erase(layer.name);
    const Tensor norm = layer_output(graph, layer, sim::Isa::scalar, 1);
    const std::vector<sim::Isa> isas = sim::available_isas();
    for (size_t i = 0; i < isas.size(); ++i) {
      add(report_.isas[i], norm, layer_output(graph, layer, isas[i], 1), profile, layer, "");
      add(report_.isas[i], norm, layer_output(graph, layer, isas[i], 2), profile, layer,
          " in threads");
      const RoundingMode upward(FE_UPWARD);
      add(report_.isas[i], norm, layer_output(graph, layer, isas[i], 1), profile, layer,
          " while the caller rounds upward");
    }
  }

  static void add(IsaCheck& check, const Tensor& norm, const Tensor& got,
                  const backends::Profile& profile, const DoctorLayer& layer,
                  std::string_view how) {
    const int64_t different = differing_values(norm, got);
    ++check.layers;
    check.values += norm.numel();
    check.different += different;
    if (different > 0) check.bad.push_back(fmt::format("{}: {}{}", profile.name, layer.name, how));
  }

  const Globals& globals_;
  size_t profiles_;
  DoctorReport report_;
};

/// The value of a line "KEY : VALUE" of /proc/cpuinfo, of the first processor; empty if none.
std::string cpuinfo(std::string_view wanted) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (colon == std::string::npos || !line.starts_with(wanted)) continue;
    if (line.find_first_not_of(" \t", wanted.size()) != colon) continue;
    return colon + 2 <= line.size() ? line.substr(colon + 2) : "";
  }
  return "";
}

/// The vector extensions that kernels can use, as /proc/cpuinfo names them.
std::vector<std::string> vector_flags() {
  static const std::set<std::string> kWanted = {
      "ssse3",    "sse4_1",      "avx2",     "fma",         "avx512f",  "avx512bw", "avx512dq",
      "avx512vl", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimd",    "asimddp"};
  std::string text = cpuinfo("flags");
  if (text.empty()) text = cpuinfo("Features");
  std::istringstream words(text);
  std::vector<std::string> found;
  for (std::string word; words >> word;) {
    if (kWanted.contains(word)) found.push_back(word);
  }
  return found;
}

/// Whether float32 arithmetic of this process keeps subnormal numbers.
bool keeps_subnormals() {
  volatile float tiny = 1e-38f;
  tiny = tiny / 16.0f;
  volatile float back = tiny * 16.0f;
  return tiny > 0.0f && back > 0.0f;
}

std::string runtime_state(const char* file) {
  try {
    return find_runtime(runtime_of(file), {}).string();
  } catch (const Error&) {
    return "not found (tools/runtimes/install.sh; FACSIM_RUNTIMES)";
  }
}

DoctorJson environment_json(const Globals& globals, const std::vector<std::string>& profiles) {
  DoctorJson folders = DoctorJson::array();
  for (const auto& folder : globals.search().folders) folders.push_back(folder.string());
  return {
      {"facsim", FACSIM_VERSION},
      {"compiler", __VERSION__},
      {"cpu", cpuinfo("model name")},
      {"cpu_flags", vector_flags()},
      {"rounding_to_nearest", std::fegetround() == FE_TONEAREST},
      {"keeps_subnormals", keeps_subnormals()},
      {"libraries",
       {{"fmt", FMT_VERSION},
        {"nlohmann_json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR,
                                      NLOHMANN_JSON_VERSION_MINOR, NLOHMANN_JSON_VERSION_PATCH)},
        {"CLI11", CLI11_VERSION}}},
      {"runtimes",
       {{"ONNX Runtime", runtime_state("x.onnx")}, {"TensorFlow Lite", runtime_state("x.tflite")}}},
      {"profile_folders", std::move(folders)},
      {"profiles", profiles.size()}};
}

class DoctorCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.add_flag("--quick", quick_, "three profiles instead of six");
    app.footer(
        "Runs built-in layers under profiles of different arithmetic with every instruction set "
        "this\n"
        "CPU has, with threads, and while the caller rounds upward; every bit must equal the "
        "scalar\n"
        "norm. Exit code 1 if one does not, or if a profile of this installation is missing or "
        "broken.\n"
        "--seed draws other layers.\n\n"
        "Examples:\n"
        "  facsim doctor\n"
        "  facsim doctor --quick --format json");
  }

  ExitCode run(const Globals& globals) override {
    const std::vector<std::string> profiles = backends::list_profiles(globals.search());
    const DoctorJson environment = environment_json(globals, profiles);
    DoctorReport report;
    if (profiles.empty()) {
      report.trouble.emplace_back("no profile found (--profile-path, FACSIM_PROFILE_PATH)");
    } else {
      const size_t count = quick_ ? kQuickProfiles : std::size(kDoctorProfiles);
      report = KernelCheck(globals, count).run();
    }
    for (const IsaCheck& check : report.isas) {
      for (const std::string& bad : check.bad) report.trouble.push_back(check.isa + ": " + bad);
    }
    if (globals.format == OutputFormat::json) {
      print_doctor_json(environment, report);
    } else {
      print_doctor(environment, report, globals.color_stdout);
    }
    return report.trouble.empty() ? ExitCode::equal : ExitCode::different;
  }

 private:
  static void print_doctor_json(DoctorJson json, const DoctorReport& report) {
    json["isas"] = DoctorJson::array();
    for (const IsaCheck& check : report.isas) {
      json["isas"].push_back({{"isa", check.isa},
                              {"layers", check.layers},
                              {"values", check.values},
                              {"different", check.different}});
    }
    json["layers_not_done"] = report.not_done;
    json["layers_never_done"] = report.never_done;
    json["trouble"] = report.trouble;
    json["healthy"] = report.trouble.empty();
    print_json(json);
  }

  static void print_doctor(const DoctorJson& environment, const DoctorReport& report, bool color) {
    TextTable facts({{"what"}, {"found"}});
    for (const auto& [key, value] : environment.items()) {
      facts.add_row({key, printable(value.is_string() ? value.get<std::string>() : value.dump())});
    }
    print(facts.text() + "\n");
    using Align = TextTable::Align;
    TextTable table({{"instruction set"},
                     {"layers run", Align::right},
                     {"values", Align::right},
                     {"unlike the norm", Align::right}});
    for (const IsaCheck& check : report.isas) {
      table.add_row({check.isa, with_commas(check.layers), with_commas(check.values),
                     with_commas(check.different)});
    }
    print(table.text());
    for (const std::string& text : report.trouble) print(fmt::format("{}\n", printable(text)));
    print(report.trouble.empty() ? colored("HEALTHY", Color::green, color) + "\n"
                                 : colored("NOT HEALTHY", Color::red, color) + "\n");
  }

  bool quick_ = false;
};

}  // namespace

std::unique_ptr<Command> make_doctor_command() { return std::make_unique<DoctorCommand>(); }

}  // namespace facsim::cli
