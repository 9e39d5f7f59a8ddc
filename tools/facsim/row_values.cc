// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/row_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "backends/io/npy.h"
#include "sim/core/error.h"
#include "tools/facsim/output.h"

namespace facsim::cli {

namespace {

/// "585,-3" as int64, "0.5,1e-3" as float32 (each rounded once); nothing if it is no list of
/// numbers.
std::optional<Tensor> numbers_in(const std::string& text) {
  if (text.find_first_not_of("+-0123456789.eE,") != std::string::npos) return std::nullopt;
  std::vector<int64_t> integers;
  std::vector<float> reals;
  bool all_integers = true;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at <= end) {
    const char* const comma = std::find(at, end, ',');
    int64_t integer = 0;
    float real = 0;
    const auto as_integer = std::from_chars(at, comma, integer);
    const auto as_real = std::from_chars(at, comma, real);
    if (as_real.ec != std::errc{} || as_real.ptr != comma) return std::nullopt;
    all_integers &= as_integer.ec == std::errc{} && as_integer.ptr == comma;
    integers.push_back(integer);
    reals.push_back(real);
    at = comma + 1;
  }
  const Shape shape{static_cast<int64_t>(reals.size())};
  if (all_integers) return Tensor::from<int64_t>(shape, integers);
  return Tensor::from<float>(shape, reals);
}

}  // namespace

void RowValues::read(const std::string& text) {
  if (text.empty() || columns_.contains(text)) return;
  std::optional<Tensor> values;
  if (literals_ == Literals::allowed) values = numbers_in(text);
  if (!values) values = backends::read_npy(text);
  if (values->numel() == 0) {
    throw Error({ErrorCode::shape_mismatch, text, "0 values", "one per row, or 1 for all", ""});
  }
  rows_ = std::max(rows_, values->numel());
  columns_.emplace(text, std::move(*values));
}

const Tensor& RowValues::at(const std::string& text) const {
  const Tensor& values = columns_.at(text);
  const int64_t count = values.numel();
  if (count != 1 && count != rows_) {
    throw Error({ErrorCode::shape_mismatch, text, counted(count, "value"),
                 fmt::format("{} as in the longest file, or 1", rows_), ""});
  }
  return values;
}

std::vector<int64_t> integer_values(const Tensor& values, const std::string& name) {
  if (values.dtype() == DType::float32) {
    throw Error({ErrorCode::bad_value, name, "dtype float32", "integers", ""});
  }
  std::vector<int64_t> list(static_cast<size_t>(values.numel()));
  for (int64_t i = 0; i < values.numel(); ++i) list[static_cast<size_t>(i)] = values.int_at(i);
  return list;
}

std::vector<float> real_values(const Tensor& values, const std::string& name) {
  if (values.dtype() != DType::float32) {
    throw Error({ErrorCode::bad_value, name, fmt::format("dtype {}", to_string(values.dtype())),
                 "float32", ""});
  }
  const auto span = values.values<float>();
  return {span.begin(), span.end()};
}

}  // namespace facsim::cli
