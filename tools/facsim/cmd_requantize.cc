// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <limits>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "backends/lower/given_arguments.h"
#include "sim/core/error.h"
#include "sim/kernels/requantize.h"
#include "tools/facsim/command.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

/// A file of `rows` values, or of one that holds for all rows.
Tensor read_rows(const std::string& file, int64_t rows) {
  Tensor values = backends::read_npy(file);
  if (values.numel() != 1 && values.numel() != rows) {
    throw Error({ErrorCode::shape_mismatch, file, fmt::format("{} values", values.numel()),
                 fmt::format("{} as in --acc, or 1", rows), ""});
  }
  return values;
}

std::vector<int64_t> integers(const Tensor& values, const std::string& file) {
  if (values.dtype() == DType::float32) {
    throw Error({ErrorCode::bad_value, file, "dtype float32", "integers", ""});
  }
  std::vector<int64_t> list(static_cast<size_t>(values.numel()));
  for (int64_t i = 0; i < values.numel(); ++i) list[static_cast<size_t>(i)] = values.int_at(i);
  return list;
}

std::vector<float> reals(const Tensor& values, const std::string& file) {
  if (values.dtype() != DType::float32) {
    throw Error({ErrorCode::bad_value, file, fmt::format("dtype {}", to_string(values.dtype())),
                 "float32", ""});
  }
  const auto span = values.values<float>();
  return {span.begin(), span.end()};
}

/// Runs the prepared requantizer over all rows.
sim::Events requantize(const sim::Requantizer& requantizer, const Tensor& acc, Tensor& output,
                       sim::Isa isa) {
  const int64_t rows = acc.numel();
  std::vector<int64_t> values(static_cast<size_t>(rows));
  for (int64_t i = 0; i < rows; ++i) values[static_cast<size_t>(i)] = acc.int_at(i);
  if (rows == 0) return {};
  const auto [lowest, highest] = std::minmax_element(values.begin(), values.end());
  const sim::RequantizeKernel kernel(requantizer, *lowest, *highest);
  // A row is a channel: each has its own arguments.
  return kernel.run(values.data(), rows, 1, 0, rows, output.raw(), rows, isa, true);
}

class RequantizeCommand final : public Command {
 public:
  void set_up(CLI::App& app) override {
    app.add_option("--acc", acc_, "accumulators, integer .npy, one per row")->required();
    auto* multiplier = app.add_option("--multiplier", multiplier_, "integer multipliers .npy");
    auto* shift = app.add_option("--shift", shift_, "their shifts .npy");
    auto* scale = app.add_option("--scale", scale_, "real multipliers, float32 .npy");
    multiplier->needs(shift);
    shift->needs(multiplier);
    scale->excludes(multiplier);
    app.add_option(
           "--shift-sign", shift_sign_,
           "right: real = multiplier * 2^-shift (default); left: the exponent of TFLite and "
           "CMSIS-NN, real = multiplier * 2^(shift - (bits - 1))")
        ->check(one_of({"right", "left"}));
    app.add_option("--zero-point", zero_point_, "output zero points .npy");
    app.add_option("--clamp-min", clamp_min_, "lowest output codes .npy");
    app.add_option("--clamp-max", clamp_max_, "highest output codes .npy");
    app.add_option("--arg", arguments_, "NAME=FILE.npy, a further argument of the profile's steps")
        ->allow_extra_args(false);
    app.add_option("--op", op_, "whose rules: conv2d (default), linear, …");
    app.add_option("--out-type", out_type_, "int8 (default: the profile's activation type), …");
    app.add_option("-o,--output", output_, "result .npy, one value per row")->required();
    app.footer(
        "Each file has one value per row of --acc, or one value for all rows.\n\n"
        "Examples:\n"
        "  facsim requantize --profile tflite-micro --acc acc.npy --multiplier m.npy --shift s.npy "
        "\\\n    --shift-sign left --zero-point zp.npy -o out.npy\n"
        "  facsim requantize --profile xnnpack-x86 --acc acc.npy --scale f.npy -o out.npy");
  }

  ExitCode run(const Globals& globals) override {
    if (multiplier_.empty() && scale_.empty()) {
      throw UsageError("requantize needs --multiplier and --shift, or --scale");
    }
    const backends::Profile profile = globals.load_profile();
    const backends::OpRules& rules = profile.rules(op_);
    const Tensor acc = backends::read_npy(acc_);
    if (acc.dtype() == DType::float32) {
      throw Error({ErrorCode::bad_value, acc_, "dtype float32", "integer accumulators", ""});
    }
    const backends::GivenArguments given = read_arguments(rules, acc.numel());
    const sim::Requantizer requantizer = backends::make_requantizer(rules, given);
    Tensor output(given.output.storage(), acc.shape());
    const sim::Events events = requantize(requantizer, acc, output, globals.isa);
    backends::write_npy(output_, output);
    if (globals.format == OutputFormat::json) {
      print_json({{"profile", profile.name},
                  {"op", op_},
                  {"rows", acc.numel()},
                  {"output", output_},
                  {"events",
                   {{"saturated", events.saturated},
                    {"wrapped", events.wrapped},
                    {"accumulator_overflow", events.accumulator_overflow}}}});
    } else {
      note(fmt::format("{} rows under {}: {} saturated, {} wrapped; written to {}",
                       with_commas(acc.numel()), profile.name, with_commas(events.saturated),
                       with_commas(events.wrapped), printable(output_)));
    }
    return ExitCode::equal;
  }

 private:
  backends::GivenArguments read_arguments(const backends::OpRules& rules, int64_t rows) const {
    backends::GivenArguments given;
    given.output = rules.activation.type;
    if (!out_type_.empty()) {
      const auto type = sim::int_type_from_string(out_type_);
      if (!type) {
        throw UsageError(
            fmt::format("--out-type \"{}\": expected int8, uint8, int16, …", printable(out_type_)));
      }
      given.output = *type;
    }
    const auto read = [&](const std::string& file) {
      return integers(read_rows(file, rows), file);
    };
    if (!multiplier_.empty()) {
      given.multiplier = read(multiplier_);
      given.shift = read(shift_);
      if (shift_sign_ == "left") {
        for (int64_t& shift : given.shift) shift = right_shift(rules, shift);
      }
    } else {
      given.scale = reals(read_rows(scale_, rows), scale_);
    }
    if (!zero_point_.empty()) given.zero_point = read(zero_point_);
    if (!clamp_min_.empty()) given.clamp_min = read(clamp_min_);
    if (!clamp_max_.empty()) given.clamp_max = read(clamp_max_);
    for (const std::string& argument : arguments_) {
      const size_t equals = argument.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw UsageError(fmt::format("--arg \"{}\": expected NAME=FILE.npy", printable(argument)));
      }
      const std::string name = argument.substr(0, equals), file = argument.substr(equals + 1);
      const Tensor values = read_rows(file, rows);
      if (values.dtype() == DType::float32) {
        given.reals[name] = reals(values, file);
      } else {
        given.integers[name] = integers(values, file);
      }
    }
    return given;
  }

  /// The multiplier is a fraction of bits - 1 bits, which the exponent shifts to the left.
  int64_t right_shift(const backends::OpRules& rules, int64_t exponent) const {
    if (exponent < -1000 || exponent > 1000) {
      throw Error({ErrorCode::bad_value, shift_, fmt::format("{}", exponent), "-1000..1000", ""});
    }
    return rules.multiplier.bits - 1 - exponent;
  }

  std::string acc_, multiplier_, shift_, shift_sign_ = "right", scale_, zero_point_, clamp_min_,
                                         clamp_max_, op_ = "conv2d", out_type_, output_;
  std::vector<std::string> arguments_;
};

}  // namespace

std::unique_ptr<Command> make_requantize_command() { return std::make_unique<RequantizeCommand>(); }

}  // namespace facsim::cli
