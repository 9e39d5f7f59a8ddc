// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <limits>
#include <map>

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
#include "tools/facsim/row_values.h"

namespace facsim::cli {

namespace {

/// Runs the prepared requantizer over all rows.
sim::Events requantize(const sim::Requantizer& requantizer, const std::vector<int64_t>& acc,
                       Tensor& output, sim::Isa isa) {
  const auto rows = static_cast<int64_t>(acc.size());
  const auto [lowest, highest] = std::minmax_element(acc.begin(), acc.end());
  const sim::RequantizeKernel kernel(requantizer, *lowest, *highest);
  // A row is a channel: each has its own arguments.
  return kernel.run(acc.data(), rows, 1, 0, rows, output.raw(), rows, isa, true);
}

/// The form that runs these accumulators and its best speed in `repeat` runs.
struct Speed {
  std::string form;
  double elements_per_ns = 0;
};

Speed measure(const sim::Requantizer& requantizer, const std::vector<int64_t>& acc, Tensor& output,
              sim::Isa isa, int repeat) {
  const auto rows = static_cast<int64_t>(acc.size());
  const auto [lowest, highest] = std::minmax_element(acc.begin(), acc.end());
  const sim::RequantizeKernel kernel(requantizer, *lowest, *highest);
  const bool narrow = *lowest >= INT32_MIN && *highest <= INT32_MAX;
  const std::vector<int32_t> acc32(acc.begin(), narrow ? acc.end() : acc.begin());
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < repeat; ++i) {
    const auto start = std::chrono::steady_clock::now();
    if (narrow) {
      kernel.run(acc32.data(), rows, 1, 0, rows, output.raw(), rows, isa, false);
    } else {
      kernel.run(acc.data(), rows, 1, 0, rows, output.raw(), rows, isa, false);
    }
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - start;
    best = std::min(best, time.count());
  }
  return {std::string(kernel.form()), static_cast<double>(rows) / best};
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
    auto* input_scale = app.add_option("--input-scale", input_scale_,
                                       "scales of the input, float32 .npy: the real multiplier is "
                                       "derived as the profile derives a layer's");
    auto* weight_scale = app.add_option("--weight-scale", weight_scale_, "of the weights");
    auto* output_scale = app.add_option("--output-scale", output_scale_, "of the output");
    scale->excludes(multiplier);
    input_scale->needs(weight_scale)->needs(output_scale)->excludes(multiplier)->excludes(scale);
    weight_scale->needs(input_scale);
    output_scale->needs(input_scale);
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
    app.add_option(
        "--op", op_,
        "whose rules: an op or an alias of the profile, then a variant or a type: conv2d "
        "(default), \"conv2d int16x8\", \"linear uint8\", gemm, …");
    app.add_option("--out-type", out_type_,
                   "int8, int32, … (default: the type in --op, or the profile's own)");
    app.add_option("--repeat", repeat_, "also run N times without counting events: form and speed")
        ->check(CLI::Range(1, 1000000));
    app.add_option("-o,--output", output_, "result .npy, one value per row")->required();
    app.footer(
        "Each file has one value per row, or one value for all rows; none may be empty. An "
        "integer\n"
        "--arg bias that the profile's steps do not name is added to the accumulator. An offset "
        "in\n"
        "front of the scaling (gemmlowp, NVDLA) that --arg does not give is derived from "
        "--zero-point\n"
        "and the real multiplier, as a layer's is; without --zero-point it is 0. Ops that do not\n"
        "requantize accumulators (max_pool2d, softmax, …) are refused: exit code 4.\n\n"
        "Examples:\n"
        "  facsim requantize --profile tflite-micro --acc acc.npy --multiplier m.npy --shift s.npy "
        "\\\n    --shift-sign left --zero-point zp.npy -o out.npy\n"
        "  facsim requantize --profile xnnpack-x86 --acc acc.npy --scale f.npy -o out.npy\n"
        "  facsim requantize --profile onednn --acc acc.npy --input-scale x.npy --weight-scale "
        "w.npy "
        "\\\n    --output-scale y.npy -o out.npy");
  }

  ExitCode run(const Globals& globals) override {
    if (multiplier_.empty() && scale_.empty() && input_scale_.empty()) {
      throw UsageError(
          "requantize needs --multiplier and --shift, --scale, or --input-scale, --weight-scale "
          "and "
          "--output-scale");
    }
    const backends::Profile profile = globals.load_profile();
    const backends::Profile::Choice choice = profile.choose(op_);
    const backends::OpRules& rules = *choice.rules;
    backends::require_requantized(profile, choice);
    const RowValues files = read_files();
    const Tensor& given_acc = files.at(acc_);
    if (given_acc.dtype() == DType::float32) {
      throw Error({ErrorCode::bad_value, acc_, "dtype float32", "integer accumulators", ""});
    }
    std::vector<int64_t> acc = integer_values(given_acc, acc_);
    const bool repeats = given_acc.numel() == 1 && files.rows() > 1;
    if (repeats) acc.assign(static_cast<size_t>(files.rows()), acc.front());
    const backends::GivenArguments given = read_arguments(choice, files);
    const sim::Requantizer requantizer = backends::make_requantizer(rules, given);
    Tensor output(given.output.storage(), repeats ? Shape{files.rows()} : given_acc.shape());
    const sim::Events events = requantize(requantizer, acc, output, globals.isa);
    backends::write_npy(output_, output);
    std::optional<Speed> speed;
    if (repeat_ > 0) speed = measure(requantizer, acc, output, globals.isa, repeat_);
    if (globals.format == OutputFormat::json) {
      nlohmann::ordered_json json = {{"profile", profile.name},
                                     {"op", choice.name},
                                     {"rows", files.rows()},
                                     {"output", output_},
                                     {"events",
                                      {{"saturated", events.saturated},
                                       {"wrapped", events.wrapped},
                                       {"accumulator_overflow", events.accumulator_overflow}}}};
      if (speed) {
        json["form"] = speed->form;
        json["elements_per_ns"] = speed->elements_per_ns;
      }
      print_json(json);
    } else {
      note(fmt::format("{} under {}: {} saturated, {} wrapped; written to {}",
                       counted(files.rows(), "row"), profile.name, with_commas(events.saturated),
                       with_commas(events.wrapped), printable(output_)));
      if (speed) {
        note(fmt::format("form {}, {:.2f} elements/ns", speed->form, speed->elements_per_ns));
      }
    }
    return ExitCode::equal;
  }

 private:
  backends::GivenArguments read_arguments(const backends::Profile::Choice& choice,
                                          const RowValues& files) const {
    backends::GivenArguments given;
    given.output = choice.output;
    if (!out_type_.empty()) {
      const auto type = sim::int_type_from_string(out_type_);
      if (!type) {
        throw UsageError(
            fmt::format("--out-type \"{}\": expected int8, uint8, int16, …", printable(out_type_)));
      }
      given.output = *type;
    }
    const auto read = [&](const std::string& file) { return integer_values(files.at(file), file); };
    if (!multiplier_.empty()) {
      given.multiplier = read(multiplier_);
      given.shift = read(shift_);
      if (shift_sign_ == "left") {
        for (int64_t& shift : given.shift) shift = right_shift(*choice.rules, shift);
      }
    }
    const auto read_reals = [&](const std::string& file) {
      return file.empty() ? std::vector<float>{} : real_values(files.at(file), file);
    };
    given.scale = read_reals(scale_);
    given.input_scale = read_reals(input_scale_);
    given.weight_scale = read_reals(weight_scale_);
    given.output_scale = read_reals(output_scale_);
    if (!zero_point_.empty()) given.zero_point = read(zero_point_);
    given.folds_zero_points = true;  // as identify and a layer's lowering
    if (!clamp_min_.empty()) given.clamp_min = read(clamp_min_);
    if (!clamp_max_.empty()) given.clamp_max = read(clamp_max_);
    for (const auto& [name, file] : named_files()) {
      const Tensor& values = files.at(file);
      if (values.dtype() == DType::float32) {
        given.reals[name] = real_values(values, file);
      } else {
        given.integers[name] = integer_values(values, file);
      }
    }
    return given;
  }

  RowValues read_files() const {
    RowValues files(RowValues::Literals::refused);
    for (const std::string* file :
         {&acc_, &multiplier_, &shift_, &scale_, &input_scale_, &weight_scale_, &output_scale_,
          &zero_point_, &clamp_min_, &clamp_max_}) {
      files.read(*file);
    }
    for (const auto& [name, file] : named_files()) files.read(file);
    return files;
  }

  /// The NAME=FILE of --arg.
  std::vector<std::pair<std::string, std::string>> named_files() const {
    constexpr std::pair<const char*, const char*> kOptions[] = {{"multiplier", "--multiplier"},
                                                                {"shift", "--shift"},
                                                                {"scale", "--scale"},
                                                                {"input_scale", "--input-scale"},
                                                                {"weight_scale", "--weight-scale"},
                                                                {"output_scale", "--output-scale"},
                                                                {"zero_point", "--zero-point"},
                                                                {"clamp_min", "--clamp-min"},
                                                                {"clamp_max", "--clamp-max"}};
    std::vector<std::pair<std::string, std::string>> files;
    for (const std::string& argument : arguments_) {
      const size_t equals = argument.find('=');
      if (equals == std::string::npos || equals == 0) {
        throw UsageError(fmt::format("--arg \"{}\": expected NAME=FILE.npy", printable(argument)));
      }
      const std::string name = argument.substr(0, equals);
      for (const auto& [own, option] : kOptions) {
        if (name == own) {
          throw UsageError(
              fmt::format("--arg \"{}\": {} has an option, {}", printable(argument), own, option));
        }
      }
      files.emplace_back(name, argument.substr(equals + 1));
    }
    return files;
  }

  /// The multiplier is a fraction of bits - 1 bits, which the exponent shifts to the left.
  int64_t right_shift(const backends::OpRules& rules, int64_t exponent) const {
    if (exponent < -1000 || exponent > 1000) {
      throw Error({ErrorCode::bad_value, shift_, fmt::format("{}", exponent), "-1000..1000", ""});
    }
    return rules.multiplier.bits - 1 - exponent;
  }

  std::string acc_, multiplier_, shift_, shift_sign_ = "right", scale_, input_scale_, weight_scale_,
                                         output_scale_, zero_point_, clamp_min_, clamp_max_,
                                         op_ = "conv2d", out_type_, output_;
  std::vector<std::string> arguments_;
  int repeat_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_requantize_command() { return std::make_unique<RequantizeCommand>(); }

}  // namespace facsim::cli
