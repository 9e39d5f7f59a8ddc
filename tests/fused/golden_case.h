// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "backends/io/npy.h"
#include "quant/tensor_spec.h"

namespace facsim::test {

/// The folder of PyTorch and MQBench module runs (FACSIM_QAT_DIR), if set.
std::optional<std::filesystem::path> qat_folder();

/// One run: attributes, arrays, and how each output is compared.
class GoldenCase {
 public:
  GoldenCase(const std::filesystem::path& folder, const nlohmann::json& entry);

  const std::string& id() const { return id_; }
  const std::string& op() const { return op_; }
  const nlohmann::json& attrs() const { return attrs_; }
  bool has(const std::string& name) const { return arrays_.contains(name); }
  const Tensor& array(const std::string& name) const { return arrays_.at(name); }
  float scalar(const std::string& name) const { return array(name).data<float>()[0]; }
  bool skips_everything() const;

  /// Checks `got` (any shape of equal numel; integers or float32) against the stored array under
  /// the manifest's rule for it: identical bits (0 and -0 alike), or |got - expected| <= atol +
  /// rtol * |expected|. Arrays that are not stored or marked skip are not compared.
  void compare(const std::string& name, const Tensor& got);
  /// Fails unless something was compared.
  void finish() const;

 private:
  std::string id_, op_;
  nlohmann::json attrs_, rules_;
  std::map<std::string, Tensor> arrays_;
  int compared_ = 0;
};

/// All cases of these ops, with a note of what is compared nowhere.
std::vector<GoldenCase> golden_cases(const std::vector<std::string>& ops);

/// The TensorSpec of PyTorch's kernels: x * (1 / scale), half_even, zero point added after
/// rounding.
quant::TensorSpec torch_spec(int64_t quant_min, int64_t quant_max, bool symmetric,
                             int channel_axis);

}  // namespace facsim::test
