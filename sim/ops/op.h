// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sim/core/events.h"
#include "sim/core/parallel.h"
#include "sim/core/tensor.h"
#include "sim/kernels/isa.h"
#include "sim/requantize/requantizer.h"

namespace facsim::sim {

/// What a run may use. The same bits come out for every isa and any number of threads.
struct RunContext {
  Isa isa = Isa::best;         ///< `scalar` runs the norm itself, nothing faster
  ThreadPool* pool = nullptr;  ///< null: the calling thread
  bool count_events = false;   ///< slower: also counts Events
};

/// How one output element came to be, computed on demand by the norm.
struct Explanation {
  std::optional<int64_t> accumulator;  ///< after the bias; absent for ops without one
  std::vector<TracedStep> steps;
  int64_t result = 0;
};

/// An integer operator with its numeric rules, weights and requantization bound: a value that can
/// be shared between threads once constructed. Activations are NHWC or [N, C]; axis 0 is the batch
/// and is free in each run. Every op is listed in ops.def.
class Op {
 public:
  virtual ~Op() = default;
  /// The word of ops.def.
  virtual std::string_view kind() const = 0;
  /// Shape of the output for these inputs. Error shape_mismatch.
  virtual Shape output_shape(std::span<const Shape> inputs) const = 0;
  virtual DType output_dtype() const = 0;
  /// What input `index` must hold; absent: not fixed before a run.
  virtual std::optional<DType> input_dtype(int /*index*/) const { return std::nullopt; }
  /// Fills `output`, already of output_shape and output_dtype. Runs whole images in parallel.
  virtual Events run(std::span<const Tensor* const> inputs, Tensor& output,
                     const RunContext& context) const = 0;
  /// Error bad_value if the index is outside the output.
  virtual Explanation explain(std::span<const Tensor* const> inputs, int64_t flat_index) const = 0;
  /// Multiply-accumulates for one image of these inputs (0 for ops without).
  virtual int64_t macs(std::span<const Shape> /*inputs*/) const { return 0; }
  /// True if the output may share its input's memory (reshape).
  virtual bool is_view() const { return false; }
};

}  // namespace facsim::sim
