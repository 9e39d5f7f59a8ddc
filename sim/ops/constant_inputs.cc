// SPDX-License-Identifier: Apache-2.0
#include "sim/ops/constant_inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/core/check.h"
#include "sim/core/error.h"

namespace facsim::sim {

ConstantInputs::ConstantInputs(std::shared_ptr<const Op> op,
                               std::vector<std::optional<Tensor>> constants)
    : op_(std::move(op)), constants_(std::move(constants)) {
  FACSIM_CHECK(op_ != nullptr);
}

size_t ConstantInputs::computed() const {
  return static_cast<size_t>(std::count(constants_.begin(), constants_.end(), std::nullopt));
}

std::vector<const Tensor*> ConstantInputs::all_inputs(std::span<const Tensor* const> inputs) const {
  if (inputs.size() != computed()) {
    throw Error({ErrorCode::bad_value, std::string(kind()), fmt::format("{} inputs", inputs.size()),
                 std::to_string(computed()), ""});
  }
  std::vector<const Tensor*> all;
  size_t next = 0;
  for (const auto& constant : constants_) all.push_back(constant ? &*constant : inputs[next++]);
  return all;
}

std::vector<Shape> ConstantInputs::all_shapes(std::span<const Shape> inputs) const {
  if (inputs.size() != computed()) {
    throw Error({ErrorCode::bad_value, std::string(kind()), fmt::format("{} inputs", inputs.size()),
                 std::to_string(computed()), ""});
  }
  std::vector<Shape> all;
  size_t next = 0;
  for (const auto& constant : constants_) {
    all.push_back(constant ? constant->shape() : inputs[next++]);
  }
  return all;
}

Shape ConstantInputs::output_shape(std::span<const Shape> inputs) const {
  return op_->output_shape(all_shapes(inputs));
}

std::optional<DType> ConstantInputs::input_dtype(int index) const {
  int left = index;
  for (size_t i = 0; i < constants_.size(); ++i) {
    if (!constants_[i] && left-- == 0) return op_->input_dtype(static_cast<int>(i));
  }
  return std::nullopt;
}

Events ConstantInputs::run(std::span<const Tensor* const> inputs, Tensor& output,
                           const RunContext& context) const {
  return op_->run(all_inputs(inputs), output, context);
}

std::vector<SourceElement> ConstantInputs::sources(std::span<const Shape> inputs,
                                                   int64_t flat_index) const {
  return sources_of(*op_, all_shapes(inputs), flat_index);
}

Explanation ConstantInputs::explain(std::span<const Tensor* const> inputs,
                                    int64_t flat_index) const {
  return op_->explain(all_inputs(inputs), flat_index);
}

int64_t ConstantInputs::macs(std::span<const Shape> inputs) const {
  return op_->macs(all_shapes(inputs));
}

}  // namespace facsim::sim
