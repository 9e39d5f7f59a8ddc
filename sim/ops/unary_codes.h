// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "sim/ops/op.h"

namespace facsim::sim {

/// What the elementwise ops of one input share: out[i] = evaluate(code[i]) for types of up to 16
/// bits. The derived class writes the rule once; runs look it up in a table that the rule filled.
class UnaryCodes : public Op {
 public:
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override { return output_type_.storage(); }
  std::optional<DType> input_dtype(int /*index*/) const override { return input_type_.storage(); }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;

 protected:
  /// Error unsupported for types of more than 16 bits; `kind` names the op.
  UnaryCodes(std::string_view kind, IntType input_type, IntType output_type);
  /// The norm of one element; a code outside output_type is our own mistake. Appends its
  /// intermediates to `steps` unless that is null.
  virtual int64_t evaluate(int64_t code, Events& events, std::vector<TracedStep>* steps) const = 0;
  /// To be called last by the derived constructor. Without a table (the rule refuses some code)
  /// runs use the norm, which reports the element if the code occurs at all.
  void make_table();

  IntType input_type() const { return input_type_; }
  IntType output_type() const { return output_type_; }

 private:
  IntType input_type_, output_type_;
  Tensor table_;  ///< [2^bits] by code - input_type.min(), in the output's storage
};

}  // namespace facsim::sim
