// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <map>

#include "fused/network_impl-internal.h"
#include "fused/nn/adaptive_avg_pool2d.h"
#include "fused/nn/add.h"
#include "fused/nn/avg_pool2d.h"
#include "fused/nn/batch_norm1d.h"
#include "fused/nn/batch_norm2d.h"
#include "fused/nn/concat.h"
#include "fused/nn/conv2d.h"
#include "fused/nn/conv_transpose2d.h"
#include "fused/nn/flatten.h"
#include "fused/nn/frozen_batch_norm2d.h"
#include "fused/nn/hardswish.h"
#include "fused/nn/leaky_relu.h"
#include "fused/nn/linear.h"
#include "fused/nn/max_pool2d.h"
#include "fused/nn/relu.h"
#include "fused/nn/relu6.h"
#include "fused/nn/sigmoid.h"
#include "fused/nn/upsample.h"
#include "fused/nn/zero_pad2d.h"
#include "sim/core/error.h"

namespace facsim::fused {

namespace {

using Maker = std::unique_ptr<Module> (*)(const backends::FloatNode&);

LinearParts::Bias bias_of(const backends::FloatNode& node) {
  return node.bias ? LinearParts::Bias::present : LinearParts::Bias::absent;
}

sim::Window2d window_of(const backends::FloatNode& node) {
  return {node.kernel_size,
          node.stride,
          node.dilation,
          {node.padding[0], node.padding[1], node.padding[0], node.padding[1]}};
}

std::unique_ptr<Module> make_conv2d(const backends::FloatNode& node) {
  Conv2dGeometry geometry{node.in_channels, node.out_channels, node.kernel_size,
                          node.stride,      node.padding,      node.dilation,
                          node.groups,      PaddingMode::zeros};
  return std::make_unique<nn::Conv2d>(geometry, bias_of(node));
}

std::unique_ptr<Module> make_conv_transpose2d(const backends::FloatNode& node) {
  ConvTranspose2dGeometry geometry{node.in_channels, node.out_channels, node.kernel_size,
                                   node.stride,      node.padding,      node.output_padding,
                                   node.dilation,    node.groups};
  return std::make_unique<nn::ConvTranspose2d>(geometry, bias_of(node));
}

std::unique_ptr<Module> make_upsample(const backends::FloatNode& node) {
  using Corners = nn::Upsample::Corners;
  return std::make_unique<nn::Upsample>(node.scale_factor, node.mode,
                                        node.align_corners ? Corners::aligned : Corners::free);
}

template <class BatchNormClass>
std::unique_ptr<Module> make_batch_norm(const backends::FloatNode& node) {
  return std::make_unique<BatchNormClass>(node.in_channels, node.eps, node.momentum);
}

template <class ModuleClass>
std::unique_ptr<Module> make_plain(const backends::FloatNode& /*node*/) {
  return std::make_unique<ModuleClass>();
}

const std::map<std::string, Maker, std::less<>>& makers() {
  static const std::map<std::string, Maker, std::less<>> table = {
      {"Conv2d", make_conv2d},
      {"ConvTranspose2d", make_conv_transpose2d},
      {"Linear",
       [](const backends::FloatNode& node) -> std::unique_ptr<Module> {
         return std::make_unique<nn::Linear>(node.in_channels, node.out_channels, bias_of(node));
       }},
      {"BatchNorm1d", make_batch_norm<nn::BatchNorm1d>},
      {"BatchNorm2d", make_batch_norm<nn::BatchNorm2d>},
      {"FrozenBatchNorm2d", make_batch_norm<nn::FrozenBatchNorm2d>},
      {"ReLU", make_plain<nn::ReLU>},
      {"ReLU6", make_plain<nn::ReLU6>},
      {"LeakyReLU",
       [](const backends::FloatNode& node) -> std::unique_ptr<Module> {
         return std::make_unique<nn::LeakyReLU>(node.negative_slope);
       }},
      {"MaxPool2d",
       [](const backends::FloatNode& node) -> std::unique_ptr<Module> {
         return std::make_unique<nn::MaxPool2d>(window_of(node));
       }},
      {"AvgPool2d",
       [](const backends::FloatNode& node) -> std::unique_ptr<Module> {
         return std::make_unique<nn::AvgPool2d>(window_of(node));
       }},
      {"AdaptiveAvgPool2d", make_plain<nn::AdaptiveAvgPool2d>},
      {"Hardswish", make_plain<nn::Hardswish>},
      {"Sigmoid", make_plain<nn::Sigmoid>},
      {"Upsample", make_upsample},
      {"ZeroPad2d",
       [](const backends::FloatNode& node) -> std::unique_ptr<Module> {
         return std::make_unique<nn::ZeroPad2d>(node.pad);
       }},
      {"Add", make_plain<nn::Add>},
      {"Concat", make_plain<nn::Concat>},
      {"Flatten", make_plain<nn::Flatten>},
  };
  return table;
}

}  // namespace

std::unique_ptr<Module> make_module(const backends::FloatNode& node) {
  const auto found = makers().find(node.op);
  if (found == makers().end()) {
    throw Error({ErrorCode::unsupported, node.place.empty() ? "node " + node.name : node.place,
                 "op " + node.op, "one of nn's modules", ""});
  }
  return found->second(node);
}

}  // namespace facsim::fused
