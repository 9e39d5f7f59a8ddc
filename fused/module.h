// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/profile/profile.h"
#include "fused/random.h"
#include "fused/value.h"
#include "sim/core/parallel.h"
#include "sim/kernels/isa.h"

namespace facsim::fused {

enum class ForwardMode { simulate, fake_quantize };
enum class BatchNormMode { batch, frozen };  ///< of QAT modules while training
/// Products of QAT modules' backward passes: float32, or bfloat16 where codes of at most 8 bits
/// make operands exact in it (kernels/conv2d_backward.h; needs kernels::bf16_supported()).
enum class GradientArithmetic { float32, bf16 };

/// How a forward or backward pass runs. Plain data, made by whoever drives the network.
struct Context {
  sim::ThreadPool* pool = nullptr;
  sim::Isa isa = sim::Isa::best;
  bool training = false;
  bool observe = false;  ///< observers take part (calibration, and training until they are frozen)
  ForwardMode mode = ForwardMode::simulate;
  BatchNormMode batch_norm = BatchNormMode::batch;
  GradientArithmetic grad = GradientArithmetic::float32;
  /// Rules for modules that own none (pools on codes). Set by the network, node by node.
  const backends::Profile* profile = nullptr;
};

class IntGraphBuilder;

/// A learned tensor with its gradient (same shape; filled by backward, not accumulated).
struct Parameter {
  std::string name;  ///< PyTorch's: weight, bias, bn.weight, …
  Tensor value;
  Tensor grad;
};

/// A named tensor that is state but not learned: running_mean, observer ranges, scales.
struct Buffer {
  std::string name;
  Tensor value;
};

/// A layer of a network. forward keeps what backward needs; backward returns the gradient of each
/// input (empty for an input that needs none) and fills the parameters' grads.
class Module {
 public:
  virtual ~Module() = default;
  /// PyTorch's class name with its layer: "nniqat.ConvBnReLU2d".
  virtual std::string type_name() const = 0;
  virtual Value forward(std::span<const Value> inputs, const Context& context) = 0;
  virtual std::vector<Tensor> backward(const Tensor& dy, const Context& context,
                                       bool needs_input_gradient) = 0;
  virtual std::vector<Parameter*> parameters() { return {}; }
  /// Everything besides parameters that a checkpoint must hold.
  virtual std::vector<Buffer*> buffers() { return {}; }
  /// PyTorch's default initialisation.
  virtual void reset_parameters(Random& /*random*/) {}
  /// Adds the module's integer nodes to a deployed graph and returns its output tensor's number.
  /// Error unsupported for a module without integer form (float modules that compute).
  virtual int emit(IntGraphBuilder& builder, std::span<const int> inputs) const;
};

}  // namespace facsim::fused
