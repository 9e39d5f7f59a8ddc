// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "sim/core/error.h"
#include "tools/facsim/reduce/repro_folder.h"

namespace facsim::cli {

/// A command that says whether a reproduction is still of interest.
///
/// It runs by `sh -c` in a folder with net.json, net.npz, inputs.npz, a.json and expected_a.npz,
/// which is new each time and removed afterwards. Exit code 0: the other side still differs from
/// expected_a.npz; 1: it does not; any other, and no answer in time, ends the reduction.
class CheckCommand {
 public:
  struct Limits {
    double seconds = 60;  ///< for one run
    int64_t runs = 1000;  ///< after which every answer is no: the reduction ends with what it has
  };
  /// Ends a reduction: facsim::Error from a judge only means that a candidate cannot be run.
  struct Stopped {
    Error error;
  };

  CheckCommand(std::string command, Limits limits, ReduceRules rules,
               std::function<void(int64_t runs)> progress);

  /// Error for a network that side a cannot run; Stopped; Interrupted.
  bool operator()(const backends::Reproduction& at);

  int64_t runs() const { return runs_; }
  bool is_used_up() const { return runs_ >= limits_.runs; }

 private:
  bool ask(const backends::Reproduction& at, const ReduceRules& rules,
           const backends::NamedTensors& outputs) const;

  std::string command_;
  Limits limits_;
  ReduceRules rules_;
  std::function<void(int64_t)> progress_;
  int64_t runs_ = 0;
};

}  // namespace facsim::cli
