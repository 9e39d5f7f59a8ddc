// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "backends/graph/int_graph.h"
#include "fused/module.h"

namespace facsim::fused::nn {

/// PyTorch's Upsample by whole factors over NHWC. On codes their parameters pass through and the
/// profile's resize rules interpolate; the gradient is that of the real function.
///
/// nearest: source = floor(i * (in / out)) in float32. bilinear: source position
/// max((i + 1/2) * in / out - 1/2, 0), or with align_corners i * (in - 1) / (out - 1); the two
/// pixels around it are weighted by distance.
class Upsample final : public Module {
 public:
  using Mode = backends::ResizeAttributes::Mode;
  enum class Corners { free, aligned };  ///< PyTorch's align_corners; bilinear only
  Upsample(std::array<int64_t, 2> scale_factor, Mode mode, Corners corners);

  std::string type_name() const override { return "nn.Upsample"; }
  Value forward(std::span<const Value> inputs, const Context& context) override;
  std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                               bool needs_input_gradient) override;
  int emit(IntGraphBuilder& builder, std::span<const int> inputs) const override;

 private:
  /// The two source pixels of each output pixel on an axis, and the weight of the second.
  struct Source {
    int64_t lower, upper;
    float weight;
  };
  std::vector<Source> sources(int64_t in, size_t axis) const;
  Shape output_shape(const Shape& x) const;
  void remember(const Shape& x);

  std::array<int64_t, 2> scale_factor_;
  Mode mode_;
  Corners corners_;
  Shape x_shape_;
  std::vector<Source> rows_, columns_;  // of x_shape_
};

}  // namespace facsim::fused::nn
