// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <vector>

#include "sim/core/tensor.h"

namespace facsim::cli {

/// Columns of rows that a command line names: .npy files, each read once, or numbers written in
/// their place ("585", "0.5,0.25"). Rows are the values of the longest.
class RowValues {
 public:
  enum class Literals { refused, allowed };
  explicit RowValues(Literals literals) : literals_(literals) {}

  /// Nothing for an empty text. Error as read_npy, shape_mismatch for a file without values.
  void read(const std::string& text);
  int64_t rows() const { return rows_; }
  /// A value per row, or one that holds for all rows. Error shape_mismatch.
  const Tensor& at(const std::string& text) const;

 private:
  Literals literals_;
  std::map<std::string, Tensor> columns_;
  int64_t rows_ = 0;
};

/// Integers of a column; Error bad_value for float32.
std::vector<int64_t> integer_values(const Tensor& values, const std::string& name);
/// float32 values of a column; Error bad_value for integers.
std::vector<float> real_values(const Tensor& values, const std::string& name);

}  // namespace facsim::cli
