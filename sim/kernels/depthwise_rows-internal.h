// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "sim/core/parallel.h"
#include "sim/core/tensor.h"
#include "sim/kernels/requantize_fused-internal.h"
#include "sim/kernels/scratch-internal.h"
#include "sim/ops/conv2d_range.h"
#include "sim/ops/conv2d_shape.h"

namespace facsim::sim {

/// Output rows that one call computes, at most: enough to be worth loading the weights, and what
/// several rows in a vector divide.
inline constexpr int64_t kDepthwiseRows = 8;
/// Rows and columns of the largest window.
inline constexpr int64_t kDepthwiseTaps = 3;

/// A vector of codes: `rows` output rows of 64 / rows channels each. Fewer channels than that only
/// with one row, whose other bytes are neither read nor written.
struct DepthwiseBlock {
  int64_t first = 0;     ///< channel
  int64_t channels = 0;  ///< 64, 32 or 16, or any less than 64 with rows = 1
  int64_t rows = 1;      ///< 1, 2 or 4
};

/// What an output row is made of: x[kh] is the code at column 0, column c is c * step[kh] bytes
/// further. A row of padding points to 64 bytes of it, with step 0.
struct DepthwiseRow {
  const uint8_t* x[kDepthwiseTaps];
  int64_t step[kDepthwiseTaps];
  uint8_t* out;
};

/// One block of channels over whole rows:
///   out[o * channels] = codes of init + sum over kh, kw of x[kh][column] * weights[kw][kh],
///   column = first_column + stride * o + kw
/// where codes are made unsigned by `flip`, and are the padding where the image has no such column.
/// Everything of a channel stands at its place in the vectors: byte 16 i + 4 k + j is element
/// 4 i + j of vector k, where unpacking leaves it.
struct DepthwiseRowJob {
  const DepthwiseRow* rows;
  int64_t row_count;       ///< at least 1
  DepthwiseBlock block;    ///< rows point to channel 0
  int64_t out_step;        ///< bytes between neighbouring outputs
  const uint8_t* padding;  ///< 64 bytes
  int64_t columns;         ///< of the image
  int64_t first_column;    ///< of the first window: not positive
  int64_t outputs;         ///< in a row, at least 1
  uint8_t flip;            ///< 0x80 for signed codes, else 0
  const int8_t* weights;   ///< [kw][64 elements][4 kh], those of a missing kh or kw 0
  const int32_t* init;     ///< [64 elements]
  int64_t first_operand;   ///< of the program, whose operands stand in the same order
  const FusedProgram* program;
};

/// Needs AVX-512 VNNI, and FloatMode around it.
using DepthwiseRowKernel = void (*)(const DepthwiseRowJob&);
/// By what a DepthwiseBlock holds.
struct DepthwiseRowKernels {
  DepthwiseRowKernel one_row = nullptr, two_rows = nullptr, four_rows = nullptr;
  DepthwiseRowKernel partial = nullptr;  ///< one row of fewer than 64 channels
};
/// The kernels for horizontal stride 1 or 2 that requantize as the program says; null where there
/// are none: no VNNI in this build, another compiler than GCC (Clang 14 spills the sums), a form
/// without a kernel, an end that is not uniform. The caller asks the CPU.
DepthwiseRowKernels depthwise_row_kernels(const FusedProgram& program, int64_t stride);

/// Depthwise convolution without copies: each input row is read where it is, a column's taps are
/// made into quads once for the up to three windows it belongs to, and sums become codes before
/// they leave the registers. The same bits as Conv2dNorm and the program's norm.
class DepthwiseRows {
 public:
  /// For a layer whose kernel is depthwise_quads (choose_conv2d_kernel). Null where this cannot
  /// serve it: windows above 3x3, horizontal dilation or strides above 2, a depthwise multiplier,
  /// accumulators that are not proved exact, programs without a kernel (see above).
  static std::unique_ptr<const DepthwiseRows> make(const Conv2dParams& params,
                                                   const Conv2dRange& range,
                                                   const FusedProgram& program);
  /// `output` is what `shape` says, of bytes. Bits do not depend on the pool.
  void run(const Conv2dShape& shape, const Tensor& input, void* output, ThreadPool* pool) const;

 private:
  DepthwiseRows() = default;
  DepthwiseRowKernel kernel(const DepthwiseBlock& block) const;
  DepthwiseRow row(const Conv2dShape& shape, const uint8_t* image, uint8_t* output,
                   int64_t oh) const;

  std::vector<DepthwiseBlock> blocks_;
  std::vector<int8_t, LineAllocator<int8_t>> weights_;
  std::vector<int32_t, LineAllocator<int32_t>> init_;
  FusedProgram program_;  ///< with its operands in the order of places
  DepthwiseRowKernels kernels_;
  alignas(64) uint8_t padding_[64];
  uint8_t flip_ = 0;
};

}  // namespace facsim::sim
