// SPDX-License-Identifier: Apache-2.0
// Rows of recorded requantizations under the rules of one setting.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "backends/lower/requantize-internal.h"
#include "backends/parity/identify-internal.h"
#include "sim/core/error.h"
#include "sim/kernels/requantize.h"

namespace facsim::backends::detail {

namespace {

/// Calls visit(name, column) for every list of the rows but `acc` and `out`.
template <class Rows, class Visit>
void for_each_column(Rows& rows, Visit&& visit) {
  visit("multiplier", rows.multiplier);
  visit("shift", rows.shift);
  visit("scale", rows.scale);
  visit("input_scale", rows.input_scale);
  visit("weight_scale", rows.weight_scale);
  visit("output_scale", rows.output_scale);
  visit("zero_point", rows.zero_point);
  visit("clamp_min", rows.clamp_min);
  visit("clamp_max", rows.clamp_max);
  for (auto& [name, values] : rows.integers) visit(name, values);
  for (auto& [name, values] : rows.reals) visit(name, values);
}

template <class T>
std::vector<T> picked_rows(const std::vector<T>& column, std::span<const size_t> at) {
  std::vector<T> out;
  if (column.empty()) return out;
  out.reserve(at.size());
  for (const size_t row : at) out.push_back(column[row]);
  return out;
}

/// The multiplier is a fraction of bits - 1 bits, which TFLite's exponent shifts to the left.
std::vector<int64_t> right_shifts(const OpRules& rules, const IdentifyRows& rows) {
  std::vector<int64_t> shifts = rows.shift;
  if (rows.shift_is_left) {
    for (int64_t& shift : shifts) shift = rules.multiplier.bits - 1 - shift;
  }
  return shifts;
}

bool names_offset(const sim::StepProgram& program) {
  return std::any_of(program.steps.begin(), program.steps.end(), [](const sim::Step& step) {
    return step.a == sim::Operand::arg("offset") || step.b == sim::Operand::arg("offset");
  });
}

GivenArguments given_row_arguments(const OpRules& rules, const IdentifyRows& rows) {
  GivenArguments given;
  given.multiplier = rows.multiplier;
  given.shift = right_shifts(rules, rows);
  given.scale = rows.scale;
  given.input_scale = rows.input_scale;
  given.weight_scale = rows.weight_scale;
  given.output_scale = rows.output_scale;
  if (!rows.zero_point.empty()) given.zero_point = rows.zero_point;
  given.clamp_min = rows.clamp_min;
  given.clamp_max = rows.clamp_max;
  given.folds_zero_points = true;
  given.integers = rows.integers;
  given.reals = rows.reals;
  given.output = rows.output;
  // Recorded for platforms that fold their zero point; the others add it themselves.
  if (!names_offset(rules.requantize)) given.integers.erase("offset");
  return given;
}

/// True if all columns but the accumulators are the same in rows `at`.
bool have_same_parameters(const IdentifyRows& rows, std::span<const size_t> at) {
  bool same = true;
  for_each_column(rows, [&](std::string_view, const auto& column) {
    if (column.empty() || !same) return;
    same = std::all_of(at.begin(), at.end(),
                       [&](size_t row) { return column[row] == column[at.front()]; });
  });
  return same;
}

/// Runs rows together and halves where one is refused. Where this many rows or groups of equal
/// parameters in a row are refused, nothing else is tried: settings that refuse nearly everything
/// would cost most.
constexpr int kHopelessRefusals = 24;

class RowBisection {
 public:
  RowBisection(const OpRules& rules, const IdentifyRows& rows, IdentifyOutcomes& out,
               std::string* reason)
      : rules_(rules), rows_(rows), out_(out), reason_(reason) {}

  void run(std::span<const size_t> at) {
    if (at.empty()) return;
    if (refused_ >= kHopelessRefusals) {
      untried_.insert(untried_.end(), at.begin(), at.end());
      return;
    }
    const IdentifyRows some = rows_at(rows_, at);
    std::optional<sim::Requantizer> program;
    try {
      program = make_requantizer(rules_, given_row_arguments(rules_, some));
    } catch (const Error& error) {
      if (have_same_parameters(rows_, at)) return refuse(error);
      return run_halves(at);
    }
    try {
      compute(*program, some, at);
    } catch (const Error& error) {
      if (at.size() == 1) return refuse(error);
      run_halves(at);
    }
  }

  /// Rows of which nothing is known.
  const std::vector<size_t>& untried() const { return untried_; }

 private:
  void run_halves(std::span<const size_t> at) {
    run(at.first(at.size() / 2));
    run(at.subspan(at.size() / 2));
  }

  void refuse(const Error& error) {
    ++refused_;
    if (reason_ != nullptr && reason_->empty()) *reason_ = to_string(error.infos().front());
  }

  /// Error where the program is undefined for an accumulator.
  void compute(const sim::Requantizer& program, const IdentifyRows& some,
               std::span<const size_t> at) {
    const auto [lowest, highest] = std::minmax_element(some.acc.begin(), some.acc.end());
    const sim::RequantizeKernel kernel(program, *lowest, *highest);
    const auto count = static_cast<int64_t>(some.size());
    Tensor codes(some.output.storage(), Shape{count});
    kernel.run(some.acc.data(), count, 1, 0, count, codes.raw(), count, sim::Isa::best, false);
    for (size_t i = 0; i < at.size(); ++i) out_[at[i]] = codes.int_at(static_cast<int64_t>(i));
    refused_ = 0;
  }

  const OpRules& rules_;
  const IdentifyRows& rows_;
  IdentifyOutcomes& out_;
  std::string* reason_;
  int refused_ = 0;
  std::vector<size_t> untried_;
};

bool program_names_argument(const sim::StepProgram& program, std::string_view name) {
  return std::any_of(program.steps.begin(), program.steps.end(), [&](const sim::Step& step) {
    return (step.a.kind == sim::Operand::Kind::argument && step.a.argument == name) ||
           (step.b.kind == sim::Operand::Kind::argument && step.b.argument == name);
  });
}

void check_column_length(std::string_view name, size_t found, size_t rows) {
  if (found == 0 || found == rows) return;
  throw Error({ErrorCode::shape_mismatch, fmt::format("column {}", name),
               fmt::format("{} values", found), fmt::format("{}, one per row", rows), ""});
}

Error wrong_row(std::string_view name, size_t row, std::string found, std::string expected) {
  return Error({ErrorCode::bad_value, fmt::format("column {}, row {}", name, row), std::move(found),
                std::move(expected), ""});
}

void check_scales(std::string_view name, const std::vector<float>& column) {
  for (size_t row = 0; row < column.size(); ++row) {
    if (std::isnormal(column[row]) && column[row] > 0) continue;
    throw wrong_row(name, row, fmt::format("{}", column[row]), "a normal float32 number > 0");
  }
}

void check_finite(std::string_view name, const std::vector<float>& column) {
  for (size_t row = 0; row < column.size(); ++row) {
    if (std::isfinite(column[row])) continue;
    throw wrong_row(name, row, fmt::format("{}", column[row]), "a finite number");
  }
}

void check_clamps(const IdentifyRows& rows) {
  for (size_t row = 0; row < std::min(rows.clamp_min.size(), rows.clamp_max.size()); ++row) {
    if (rows.clamp_min[row] <= rows.clamp_max[row]) continue;
    throw wrong_row("clamp_min", row, fmt::format("{}", rows.clamp_min[row]),
                    fmt::format("at most clamp_max, {}", rows.clamp_max[row]));
  }
}

}  // namespace

void check_identify_rows(const IdentifyRows& rows, bool answered) {
  if (rows.size() == 0) {
    throw Error({ErrorCode::shape_mismatch, "column acc", "0 rows", "at least one", ""});
  }
  for_each_column(rows, [&](std::string_view name, const auto& column) {
    check_column_length(name, column.size(), rows.size());
  });
  if (answered && rows.out.size() != rows.size()) {
    throw Error({ErrorCode::shape_mismatch, "column out", fmt::format("{} values", rows.out.size()),
                 fmt::format("{}, one per row", rows.size()), ""});
  }
  const int forms =
      int{!rows.multiplier.empty()} + int{!rows.scale.empty()} + int{!rows.input_scale.empty()};
  const bool whole = rows.multiplier.empty() == rows.shift.empty() &&
                     rows.input_scale.empty() == rows.weight_scale.empty() &&
                     rows.input_scale.empty() == rows.output_scale.empty();
  if (forms != 1 || !whole) {
    throw Error({ErrorCode::bad_value, "columns", "no single form of the real multiplier",
                 "multiplier and shift, or scale, or input_scale, weight_scale and output_scale",
                 ""});
  }
  std::map<std::string, std::string> stems;  // of the files that suggestions are written to
  for_each_column(rows, [&](std::string_view name, const auto&) {
    const auto [other, is_new] = stems.emplace(file_stem_of(std::string(name)), name);
    if (is_new) return;
    throw Error({ErrorCode::bad_value, fmt::format("argument {}", name),
                 fmt::format("{}.npy is also the file of {}", other->first, other->second),
                 "names that differ in letters and digits", ""});
  });
  for (const int64_t shift : rows.shift) {
    if (shift >= -1000 && shift <= 1000) continue;
    throw Error(
        {ErrorCode::bad_value, "column shift", fmt::format("{}", shift), "-1000..1000", ""});
  }
  const std::pair<const char*, const std::vector<float>*> scales[] = {
      {"scale", &rows.scale},
      {"input_scale", &rows.input_scale},
      {"weight_scale", &rows.weight_scale},
      {"output_scale", &rows.output_scale}};
  for (const auto& [name, column] : scales) check_scales(name, *column);
  for (const auto& [name, column] : rows.reals) check_finite(name, column);
  check_clamps(rows);
}

IdentifyForm form_of(const IdentifyRows& rows) {
  if (!rows.multiplier.empty()) return IdentifyForm::multiplier;
  return rows.scale.empty() ? IdentifyForm::three_scales : IdentifyForm::scale;
}

IdentifyRows rows_at(const IdentifyRows& rows, std::span<const size_t> at) {
  IdentifyRows some;
  some.shift_is_left = rows.shift_is_left;
  some.output = rows.output;
  some.acc = picked_rows(rows.acc, at);
  some.multiplier = picked_rows(rows.multiplier, at);
  some.shift = picked_rows(rows.shift, at);
  some.scale = picked_rows(rows.scale, at);
  some.input_scale = picked_rows(rows.input_scale, at);
  some.weight_scale = picked_rows(rows.weight_scale, at);
  some.output_scale = picked_rows(rows.output_scale, at);
  some.zero_point = picked_rows(rows.zero_point, at);
  some.clamp_min = picked_rows(rows.clamp_min, at);
  some.clamp_max = picked_rows(rows.clamp_max, at);
  for (const auto& [name, values] : rows.integers) some.integers[name] = picked_rows(values, at);
  for (const auto& [name, values] : rows.reals) some.reals[name] = picked_rows(values, at);
  some.out = picked_rows(rows.out, at);
  return some;
}

std::vector<size_t> distinct_parameters(const IdentifyRows& rows) {
  std::set<std::string> seen;
  std::vector<size_t> numbers;
  for (size_t row = 0; row < rows.size(); ++row) {
    std::string text;
    for_each_column(rows, [&](std::string_view, const auto& column) {
      if (!column.empty()) text += fmt::format("{};", column[row]);
    });
    if (seen.insert(text).second) numbers.push_back(row);
  }
  return numbers;
}

void require_same_columns(const IdentifyRows& rows, const IdentifyRows& more,
                          const std::string& place) {
  std::vector<std::string> a, b;
  for_each_column(rows, [&](const std::string& name, const auto& column) {
    if (!column.empty()) a.push_back(name);
  });
  for_each_column(more, [&](const std::string& name, const auto& column) {
    if (!column.empty()) b.push_back(name);
  });
  if (a == b && rows.shift_is_left == more.shift_is_left && rows.output == more.output) return;
  throw Error({ErrorCode::bad_value, place, fmt::format("columns {}", fmt::join(b, ", ")),
               fmt::format("those of the rows: {}", fmt::join(a, ", ")), ""});
}

std::string file_stem_of(const std::string& name) {
  std::string stem = name;
  for (char& c : stem) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-';
    if (!plain) c = '_';
  }
  return stem;
}

void append_rows(IdentifyRows& rows, const IdentifyRows& more) {
  const auto append = [](auto& column, const auto& tail) {
    column.insert(column.end(), tail.begin(), tail.end());
  };
  append(rows.acc, more.acc);
  append(rows.multiplier, more.multiplier);
  append(rows.shift, more.shift);
  append(rows.scale, more.scale);
  append(rows.input_scale, more.input_scale);
  append(rows.weight_scale, more.weight_scale);
  append(rows.output_scale, more.output_scale);
  append(rows.zero_point, more.zero_point);
  append(rows.clamp_min, more.clamp_min);
  append(rows.clamp_max, more.clamp_max);
  for (const auto& [name, values] : more.integers) append(rows.integers[name], values);
  for (const auto& [name, values] : more.reals) append(rows.reals[name], values);
  append(rows.out, more.out);
}

IdentifyOutcomes run_identify_rows(const OpRules& rules, const IdentifyRows& rows,
                                   std::string* reason) {
  IdentifyOutcomes out(rows.size());
  std::vector<size_t> all(rows.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  RowBisection(rules, rows, out, reason).run(all);
  return out;
}

IdentifyTally tally_identify_rows(const OpRules& rules, const IdentifyRows& rows) {
  IdentifyTally counts;
  IdentifyOutcomes out(rows.size());
  std::vector<size_t> all(rows.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  RowBisection bisection(rules, rows, out, &counts.reason);
  bisection.run(all);
  std::vector<bool> tried(rows.size(), true);
  for (const size_t row : bisection.untried()) tried[row] = false;
  for (size_t i = 0; i < out.size(); ++i) {
    if (tried[i] && out[i] == rows.out[i]) {
      ++counts.explained;
    } else if (!out[i]) {
      ++counts.refused;  // also what was not tried, where the device refused too
    } else {
      ++counts.contradicted;  // another value, or a value where the device refused
    }
  }
  return counts;
}

sim::Requantizer row_requantizer(const OpRules& rules, const IdentifyRows& row) {
  return make_requantizer(rules, given_row_arguments(rules, row));
}

std::string row_rules_key(const OpRules& rules, const IdentifyRows& rows) {
  const sim::StepProgram program = program_for(rules, rows.output);
  std::string key = sim::to_string(program);
  const quant::MultiplierSpec& m = rules.multiplier;
  const IdentifyForm form = form_of(rows);
  const bool fixed = program_names_argument(program, "multiplier") ||
                     program_names_argument(program, "shift") ||
                     program_names_argument(program, "offset");
  if (fixed) {
    key +=
        fmt::format("domain {}..{}, multiplier {} bits", rules.min_shift, rules.max_shift, m.bits);
    key += fmt::format(", reduced to {}", m.reduce_to_bits);
    if (form != IdentifyForm::multiplier) {
      key += fmt::format(", derivation {} fraction {} zero below {}",
                         static_cast<int>(m.derivation), m.fraction_bits, m.zero_if_shift_below);
    }
  }
  if (form == IdentifyForm::three_scales && (fixed || program_names_argument(program, "scale"))) {
    key += fmt::format(", product {} formula {}", static_cast<int>(m.scale_product),
                       static_cast<int>(m.formula));
  }
  // What else binding reads: written steps take multipliers and shifts that fields do not, and a
  // term's shift is part of the real multiplier.
  if (rules.domain == OpRules::Domain::steps) key += ", written steps";
  key += fmt::format(", {} products a step", products_per_accumulator_step(rules.accumulator));
  if (program_names_argument(program, "activation_min") ||
      program_names_argument(program, "activation_max")) {
    key += fmt::format(", activation in {} bits {}", rules.accumulator.bits,
                       sim::to_string(rules.activation_bound_rounding));
  }
  if (program_names_argument(program, "offset")) {
    key += fmt::format(", offset {}", sim::to_string(rules.bias.rounding));
  }
  if (rows.integers.contains("bias") || rows.reals.contains("bias")) {
    key += fmt::format(", bias kind {} in {} bits {}", static_cast<int>(rules.bias.kind),
                       rules.accumulator.bits, sim::to_string(rules.accumulator.overflow));
  }
  return key;
}

}  // namespace facsim::backends::detail
