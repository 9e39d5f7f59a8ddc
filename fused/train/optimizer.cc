// SPDX-License-Identifier: Apache-2.0
#include "fused/train/optimizer.h"

#include <cmath>

#include "sim/core/error.h"

namespace facsim::fused::train {

namespace {

/// One tensor per parameter, zero at first.
class Slots {
 public:
  explicit Slots(std::string name) : name_(std::move(name)) {}

  float* of(size_t i, const Parameter& parameter) {
    if (i >= tensors_.size()) tensors_.resize(i + 1);
    if (tensors_[i].shape() != parameter.value.shape()) {
      if (!tensors_[i].empty()) {
        throw Error({ErrorCode::shape_mismatch, "checkpoint optimizer." + name_ + std::to_string(i),
                     to_string(tensors_[i].shape()), to_string(parameter.value.shape()),
                     "the checkpoint is of another network"});
      }
      tensors_[i] = Tensor(DType::float32, parameter.value.shape());
    }
    return tensors_[i].data<float>();
  }
  void save(backends::NamedTensors& state) const {
    for (size_t i = 0; i < tensors_.size(); ++i) {
      state.emplace_back(name_ + std::to_string(i), tensors_[i].clone());
    }
  }
  void load(const backends::NamedTensors& state) {
    tensors_.clear();
    for (const auto& [name, tensor] : state) {
      if (!name.starts_with(name_)) continue;
      if (tensor.dtype() != DType::float32 || name != name_ + std::to_string(tensors_.size())) {
        throw Error({ErrorCode::bad_value, "checkpoint optimizer." + name,
                     std::string(to_string(tensor.dtype())), "float32, numbered in order", ""});
      }
      tensors_.push_back(tensor.clone());
    }
  }

 private:
  std::string name_;
  std::vector<Tensor> tensors_;
};

float decay_of(const Parameter& parameter, float weight_decay) {
  return parameter.value.shape().rank() >= 2 ? weight_decay : 0.0f;
}

class Sgd final : public Optimizer {
 public:
  explicit Sgd(const OptimizerOptions& options) : o_(options) {}

  void step(std::span<Parameter* const> parameters, float lr) override {
    for (size_t i = 0; i < parameters.size(); ++i) {
      Parameter& p = *parameters[i];
      const float decay = decay_of(p, o_.weight_decay);
      float* velocity = velocity_.of(i, p);
      float* w = p.value.data<float>();
      const float* grad = p.grad.data<float>();
      for (int64_t k = 0; k < p.value.numel(); ++k) {
        velocity[k] = o_.momentum * velocity[k] + (grad[k] + decay * w[k]);
        w[k] -= lr * velocity[k];
      }
    }
  }
  backends::NamedTensors state() const override {
    backends::NamedTensors out;
    velocity_.save(out);
    return out;
  }
  void load_state(const backends::NamedTensors& state) override { velocity_.load(state); }

 private:
  OptimizerOptions o_;
  Slots velocity_{"velocity"};
};

class Adam final : public Optimizer {
 public:
  explicit Adam(const OptimizerOptions& options) : o_(options) {}

  void step(std::span<Parameter* const> parameters, float lr) override {
    ++steps_;
    const auto t = static_cast<double>(steps_);
    const auto step_size = static_cast<float>(lr / (1 - std::pow(o_.beta1, t)));
    const auto root = static_cast<float>(std::sqrt(1 - std::pow(o_.beta2, t)));
    for (size_t i = 0; i < parameters.size(); ++i) {
      Parameter& p = *parameters[i];
      const float decay = decay_of(p, o_.weight_decay);
      float* mean = mean_.of(i, p);
      float* square = square_.of(i, p);
      float* w = p.value.data<float>();
      const float* grad = p.grad.data<float>();
      for (int64_t k = 0; k < p.value.numel(); ++k) {
        const float g = grad[k] + decay * w[k];
        mean[k] = o_.beta1 * mean[k] + (1 - o_.beta1) * g;
        square[k] = o_.beta2 * square[k] + (1 - o_.beta2) * g * g;
        w[k] -= step_size * mean[k] / (std::sqrt(square[k]) / root + o_.eps);
      }
    }
  }
  backends::NamedTensors state() const override {
    backends::NamedTensors out;
    Tensor steps(DType::int64, Shape{1});
    *steps.data<int64_t>() = steps_;
    out.emplace_back("steps", steps);
    mean_.save(out);
    square_.save(out);
    return out;
  }
  void load_state(const backends::NamedTensors& state) override {
    const Tensor& steps = backends::member(state, "steps", "checkpoint optimizer");
    steps_ = steps.numel() == 1 && steps.dtype() == DType::int64 ? steps.int_at(0) : 0;
    mean_.load(state);
    square_.load(state);
  }

 private:
  OptimizerOptions o_;
  int64_t steps_ = 0;
  Slots mean_{"mean"}, square_{"square"};
};

}  // namespace

std::string_view to_string(OptimizerKind kind) {
  return kind == OptimizerKind::sgd ? "sgd" : "adam";
}

std::optional<OptimizerKind> optimizer_from_string(std::string_view word) {
  if (word == "sgd") return OptimizerKind::sgd;
  if (word == "adam") return OptimizerKind::adam;
  return std::nullopt;
}

std::unique_ptr<Optimizer> make_optimizer(const OptimizerOptions& options) {
  if (options.kind == OptimizerKind::sgd) return std::make_unique<Sgd>(options);
  return std::make_unique<Adam>(options);
}

}  // namespace facsim::fused::train
