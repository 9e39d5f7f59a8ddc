// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "quant/qparams.h"
#include "sim/core/parallel.h"
#include "sim/core/tensor.h"

namespace facsim::fused {

/// [N, C, H, W] <-> [N, H, W, C], and weights OIHW <-> OHWI. Tensors of another rank come back as
/// they are.
Tensor nhwc_from_nchw(const Tensor& nchw, sim::ThreadPool* pool = nullptr);
Tensor nchw_from_nhwc(const Tensor& nhwc, sim::ThreadPool* pool = nullptr);

/// What flows between modules: plain float (nn, nni), or integer codes with their quantization
/// parameters (nnqat, nniqat), whose dequantized float is made on demand. NHWC or [N, C] inside.
class Value {
 public:
  Value() = default;
  explicit Value(Tensor real) : real_(std::move(real)) {}
  Value(Tensor codes, quant::QParams qparams)
      : codes_(std::move(codes)), qparams_(std::move(qparams)) {}

  /// PyTorch's layout at the border.
  static Value from_nchw(const Tensor& nchw);
  Tensor to_nchw() const;

  bool quantized() const { return qparams_.has_value(); }
  const Shape& shape() const { return quantized() ? codes_.shape() : real_.shape(); }
  const Tensor& codes() const { return codes_; }  ///< CHECK quantized()
  const quant::QParams& qparams() const { return *qparams_; }
  /// float32, dequantized (and kept) if quantized.
  const Tensor& real() const;

 private:
  mutable Tensor real_;
  Tensor codes_;
  std::optional<quant::QParams> qparams_;
};

}  // namespace facsim::fused
