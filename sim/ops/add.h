// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <optional>

#include "sim/kernels/requantize.h"
#include "sim/ops/op.h"

namespace facsim::sim {

namespace detail {
class BroadcastRuns;
}

/// out = output(lhs(a) + rhs(b)), or output(lhs(a) - rhs(b)) for `sub`: two programs bring the
/// codes to a common unit (integers of any width, or float32), the sum is exact in integers or one
/// float32 addition, a third program brings it to the output.
struct AddParams {
  enum class Kind { add, sub };
  IntType lhs_type = kInt8, rhs_type = kInt8;
  Requantizer lhs, rhs, output;
  Kind kind = Kind::add;
};

/// Elementwise addition of two tensors of equal shape, or of [N, …] and a shape that numpy
/// broadcasting extends to it.
class Add final : public Op {
 public:
  explicit Add(AddParams params);
  std::string_view kind() const override {
    return params_.kind == AddParams::Kind::add ? "add" : "sub";
  }
  Shape output_shape(std::span<const Shape> inputs) const override;
  DType output_dtype() const override;
  std::optional<DType> input_dtype(int index) const override {
    return index == 0 ? params_.lhs_type.storage() : params_.rhs_type.storage();
  }
  Events run(std::span<const Tensor* const> inputs, Tensor& output,
             const RunContext& context) const override;
  Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const override;
  const AddParams& params() const { return params_; }

 private:
  bool sums_reals() const { return params_.lhs.output_is_real(); }

  AddParams params_;
  /// The lhs and rhs programs over all codes of up to 16 bits, where tables would be large.
  struct Operand {
    /// The program's first steps, done while codes are loaded: (code - offset) * 2^shift.
    int64_t offset = 0;
    int shift = 0;
    RequantizeKernel kernel;  ///< of the other steps
    DType dtype = DType::int32;
    int64_t min = 0, max = 0;  ///< of the results
  };
  static std::optional<Operand> make_operand(const Requantizer& program, IntType type);
  enum class Side { lhs, rhs };
  static void load_codes(const detail::BroadcastRuns& runs, const Tensor& codes,
                         const Operand& operand, Side side, int64_t begin, int64_t end,
                         int32_t* to);
  template <class Total>
  Events add_by_kernels(const Tensor& lhs, const Tensor& rhs, Tensor& output,
                        const RunContext& context) const;
  /// Of 8-bit codes made by the constructor, of wider ones by the first run that needs it: their
  /// tables take long, and many layers are lowered only to be looked at. Any thread may be first.
  struct Prepared {
    /// The lhs and rhs programs' own results by the bits of an 8-bit code, those of `sub`'s rhs
    /// negated: [256] int64 or float32. Empty for wider inputs, per-channel programs, and where a
    /// program refuses a code.
    Tensor lhs_table, rhs_table;
    std::optional<Operand> lhs_operand, rhs_operand;
    RequantizeKernel kernel;  ///< of the output program, over the sums
    bool sums_fit_int32 = false;
  };
  void prepare(Prepared& prepared) const;
  const Prepared& prepared() const;
  mutable std::once_flag prepared_once_;
  mutable Prepared prepared_;
};

}  // namespace facsim::sim
