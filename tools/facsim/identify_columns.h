// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "backends/parity/identify.h"

namespace CLI {
class App;
}

namespace facsim::cli {

/// The options of `facsim identify` that describe recorded rows: .npy files, or numbers.
class IdentifyColumns {
 public:
  void add_to(CLI::App& app);
  /// True if any of them is given.
  bool given() const;
  bool has_acc() const { return !acc_.empty(); }
  /// UsageError unless they give one form of the real multiplier.
  void check_usage() const;
  /// The rows with what the device gave for them, `out`. Says so if the shifts look like exponents
  /// of TFLite. Errors of the files; UsageError.
  backends::IdentifyRows read(const std::string& out) const;
  const std::string& op() const { return op_; }

 private:
  std::vector<std::pair<std::string, std::string>> named() const;
  sim::IntType output_type(const std::string& out, const Tensor& values) const;
  void suspect_shift_sign(const backends::IdentifyRows& rows) const;

  std::string acc_, multiplier_, shift_, shift_sign_, scale_, input_scale_, weight_scale_,
      output_scale_, zero_point_, clamp_min_, clamp_max_, out_type_, op_;
  std::vector<std::string> arguments_;
};

}  // namespace facsim::cli
