// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "sim/core/tensor.h"
#include "tools/bench/contest.h"
#include "tools/facsim/command.h"

namespace facsim::cli {

/// One subcommand of `facsim bench`. Exit code `different` if a timed result was not the norm's.
class Bench {
 public:
  virtual ~Bench() = default;
  virtual void set_up(CLI::App& app) = 0;
  virtual ExitCode run(const Globals& globals) = 0;
};

std::unique_ptr<Bench> make_layers_bench();
std::unique_ptr<Bench> make_nets_bench();
std::unique_ptr<Bench> make_requantize_bench();
std::unique_ptr<Bench> make_qat_bench();
std::unique_ptr<Bench> make_scaling_bench();

/// Options of all of them.
struct BenchOptions {
  bench::ContestOptions contest;
  std::string only;
  bool wanted(const std::string& name) const { return name.find(only) != std::string::npos; }
};
void add_bench_options(CLI::App& app, BenchOptions& options);

/// A profile that layers are timed under, and the codes they get: those that its peer is fastest
/// with.
struct TimedProfile {
  std::string name;
  sim::IntType activation = sim::kInt8;
};
/// A float32 scale, and fixed-point double rounding.
std::vector<TimedProfile> timed_profiles();

/// Values that differ; all of them if type or shape does.
int64_t count_mismatches(const Tensor& a, const Tensor& b);
/// "12.3 us".
std::string time_text(double ns);
/// Median, minimum and all samples.
nlohmann::ordered_json times_json(const bench::Times& times);

}  // namespace facsim::cli
