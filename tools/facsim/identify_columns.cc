// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/identify_columns.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "tools/facsim/command.h"
#include "tools/facsim/one_of.h"
#include "tools/facsim/output.h"
#include "tools/facsim/row_values.h"

namespace facsim::cli {

namespace {

/// Numbers without a point are reals too where a column of reals is wanted.
std::vector<float> as_reals(const Tensor& values) {
  if (values.dtype() == DType::float32) return real_values(values, "");
  std::vector<float> list;
  for (const int64_t value : integer_values(values, "")) list.push_back(static_cast<float>(value));
  return list;
}

}  // namespace

void IdentifyColumns::add_to(CLI::App& app) {
  app.add_option("--acc", acc_, "accumulators, one per row");
  app.add_option("--multiplier", multiplier_, "integer multipliers");
  app.add_option("--shift", shift_, "their shifts");
  app.add_option("--shift-sign", shift_sign_,
                 "right: real = multiplier * 2^-shift (default); left: TFLite's exponent")
      ->check(one_of({"right", "left"}));
  app.add_option("--scale", scale_, "real multipliers, float32");
  app.add_option("--input-scale", input_scale_, "scales of the input, float32");
  app.add_option("--weight-scale", weight_scale_, "of the weights");
  app.add_option("--output-scale", output_scale_, "of the output");
  app.add_option("--zero-point", zero_point_, "output zero points");
  app.add_option("--clamp-min", clamp_min_, "lowest output codes");
  app.add_option("--clamp-max", clamp_max_, "highest output codes");
  app.add_option("--arg", arguments_, "NAME=VALUES, a further argument of programs (bias, offset)")
      ->allow_extra_args(false);
  app.add_option("--out-type", out_type_,
                 "int8, uint8, int32, … (default: int8 for numbers on the command line, else the "
                 "type of --out)");
  app.add_option("--op", op_,
                 "only the rules of this op (\"conv2d\", \"linear uint8\"); default: of all");
}

bool IdentifyColumns::given() const {
  const std::string* const all[] = {&acc_,        &multiplier_,  &shift_,        &shift_sign_,
                                    &scale_,      &input_scale_, &weight_scale_, &output_scale_,
                                    &zero_point_, &clamp_min_,   &clamp_max_,    &out_type_,
                                    &op_};
  return !arguments_.empty() || std::any_of(std::begin(all), std::end(all),
                                            [](const auto* text) { return !text->empty(); });
}

void IdentifyColumns::check_usage() const {
  const int forms = int{!multiplier_.empty()} + int{!scale_.empty()} + int{!input_scale_.empty()};
  if (forms != 1) {
    throw UsageError(
        "identify needs one of --multiplier with --shift, --scale, or --input-scale with "
        "--weight-scale and --output-scale");
  }
  if (multiplier_.empty() != shift_.empty()) {
    throw UsageError("--multiplier and --shift go together");
  }
  if (input_scale_.empty() != weight_scale_.empty() ||
      input_scale_.empty() != output_scale_.empty()) {
    throw UsageError("--input-scale, --weight-scale and --output-scale go together");
  }
}

backends::IdentifyRows IdentifyColumns::read(const std::string& out) const {
  RowValues values(RowValues::Literals::allowed);
  for (const std::string* text :
       {&acc_, &multiplier_, &shift_, &scale_, &input_scale_, &weight_scale_, &output_scale_,
        &zero_point_, &clamp_min_, &clamp_max_, &out}) {
    values.read(*text);
  }
  for (const auto& [name, text] : named()) values.read(text);
  const auto rows = static_cast<size_t>(values.rows());
  const auto repeated = [&](auto column) {
    if (column.size() == 1) column.resize(rows, column.front());
    return column;
  };
  const auto integers = [&](const std::string& text) {
    if (text.empty()) return std::vector<int64_t>{};
    return repeated(integer_values(values.at(text), text));
  };
  const auto reals = [&](const std::string& text) {
    if (text.empty()) return std::vector<float>{};
    return repeated(as_reals(values.at(text)));
  };
  backends::IdentifyRows r;
  r.acc = integers(acc_);
  r.multiplier = integers(multiplier_);
  r.shift = integers(shift_);
  r.shift_is_left = shift_sign_ == "left";
  suspect_shift_sign(r);
  r.scale = reals(scale_);
  r.input_scale = reals(input_scale_);
  r.weight_scale = reals(weight_scale_);
  r.output_scale = reals(output_scale_);
  r.zero_point = integers(zero_point_);
  r.clamp_min = integers(clamp_min_);
  r.clamp_max = integers(clamp_max_);
  for (const auto& [name, text] : named()) {
    if (values.at(text).dtype() == DType::float32) {
      r.reals[name] = reals(text);
    } else {
      r.integers[name] = integers(text);
    }
  }
  for (const int64_t code : integers(out)) r.out.push_back(code);
  r.output = output_type(out, values.at(out));
  return r;
}

std::vector<std::pair<std::string, std::string>> IdentifyColumns::named() const {
  std::vector<std::pair<std::string, std::string>> columns;
  for (const std::string& argument : arguments_) {
    const size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError(fmt::format("--arg \"{}\": expected NAME=VALUES", printable(argument)));
    }
    columns.emplace_back(argument.substr(0, equals), argument.substr(equals + 1));
  }
  return columns;
}

sim::IntType IdentifyColumns::output_type(const std::string& out, const Tensor& values) const {
  if (!out_type_.empty()) {
    const auto type = sim::int_type_from_string(out_type_);
    if (type) return *type;
    throw UsageError(
        fmt::format("--out-type \"{}\": expected int8, uint8, int16, …", printable(out_type_)));
  }
  if (!std::filesystem::exists(out)) return {8, true};
  return sim::full_range(values.dtype());
}

/// As right shifts, most rows would multiply an accumulator by more than 2^8, which sends nearly
/// every code to a clamp.
void IdentifyColumns::suspect_shift_sign(const backends::IdentifyRows& rows) const {
  if (!shift_sign_.empty() || rows.shift.empty() || rows.shift.size() != rows.multiplier.size()) {
    return;
  }
  size_t large = 0;
  for (size_t i = 0; i < rows.shift.size(); ++i) {
    const double log2 = std::log2(std::abs(static_cast<double>(rows.multiplier[i]))) -
                        static_cast<double>(rows.shift[i]);
    large += log2 > 8 ? 1 : 0;
  }
  if (2 * large <= rows.shift.size()) return;
  note(
      fmt::format("{} of {} rows multiply by more than 256 as multiplier * 2^-shift; exponents "
                  "of TFLite and CMSIS-NN are read with --shift-sign left",
                  large, rows.shift.size()));
}

}  // namespace facsim::cli
