// SPDX-License-Identifier: Apache-2.0
// A fusion pattern of one's own: Conv2d + BatchNorm2d + LeakyReLU as one quantized layer.
#include "examples/conv_bn_leaky_relu.h"

using namespace facsim;
using fused::Role;

namespace {

/// How the device computes LeakyReLU: a table from the convolution's codes to the output's codes.
/// Without integer_form() this does not compile.
struct LeakyReLU {
  static constexpr std::string_view kOp = "LeakyReLU";
  double slope;

  explicit LeakyReLU(const backends::FloatNode& node) : slope(node.negative_slope) {}
  fused::LutForm integer_form() const {
    return {[s = slope](double x) { return x > 0 ? x : s * x; },
            [s = slope](double x) { return x > 0 ? 1.0 : s; }};  // value, gradient
  }
};

}  // namespace

void add_conv_bn_leaky_relu(fused::PatternRegistry& patterns) {
  patterns.add(
      fused::make_pattern<LeakyReLU>("ConvBnLeakyReLU2d", {{Role::linear, "Conv2d", {}},
                                                           {Role::affine, "BatchNorm2d", {}},
                                                           {Role::activation, "LeakyReLU", {}}}));
}
