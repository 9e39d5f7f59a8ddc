// SPDX-License-Identifier: Apache-2.0
#include "fused/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "sim/core/error.h"

namespace facsim::fused {

namespace {

Tensor filled(int64_t features, float value) {
  Tensor t(DType::float32, {features});
  std::fill_n(t.data<float>(), features, value);
  return t;
}

Parameter parameter(std::string name, Tensor value) {
  Tensor grad(DType::float32, value.shape());
  return {std::move(name), std::move(value), std::move(grad)};
}

}  // namespace

BatchNorm::BatchNorm(int64_t features, float epsilon, std::optional<float> average,
                     std::string prefix)
    : weight(parameter(prefix + "weight", filled(features, 1))),
      bias(parameter(prefix + "bias", filled(features, 0))),
      running_mean{prefix + "running_mean", filled(features, 0)},
      running_var{prefix + "running_var", filled(features, 1)},
      num_batches_tracked{prefix + "num_batches_tracked", Tensor(DType::int64, {1})},
      eps(epsilon),
      momentum(average) {
  if (!(eps > 0)) {
    throw Error({ErrorCode::bad_value, "BatchNorm eps", std::to_string(eps), "> 0", ""});
  }
}

BatchNorm BatchNorm::clone(std::string prefix) const {
  BatchNorm out(features(), eps, momentum, std::move(prefix));
  out.weight.value = weight.value.clone();
  out.bias.value = bias.value.clone();
  out.running_mean.value = running_mean.value.clone();
  out.running_var.value = running_var.value.clone();
  out.num_batches_tracked.value = num_batches_tracked.value.clone();
  out.frozen = frozen;
  return out;
}

std::vector<Buffer*> BatchNorm::buffers() {
  return {&running_mean, &running_var, &num_batches_tracked};
}

bool BatchNorm::uses_batch(const Context& context) const {
  return context.training && context.batch_norm == BatchNormMode::batch && !frozen;
}

std::vector<float> BatchNorm::running_std() const {
  std::vector<float> out;
  for (const float v : running_var.value.values<float>()) out.push_back(std::sqrt(v + eps));
  return out;
}

void BatchNorm::update(std::span<const double> mean, std::span<const double> biased_variance,
                       int64_t n) {
  if (n < 2) {
    throw Error({ErrorCode::bad_value, "BatchNorm", "1 value per channel",
                 "more than 1 value per channel when training", "use a larger batch"});
  }
  const int64_t batches = num_batches_tracked.value.int_at(0) + 1;
  num_batches_tracked.value.set_int(0, batches);
  const double a =
      momentum.has_value() ? static_cast<double>(*momentum) : 1.0 / static_cast<double>(batches);
  const double unbiased = static_cast<double>(n) / static_cast<double>(n - 1);
  const auto running_means = running_mean.value.values<float>();
  const auto running_vars = running_var.value.values<float>();
  for (size_t c = 0; c < running_means.size(); ++c) {
    running_means[c] = static_cast<float>((1 - a) * running_means[c] + a * mean[c]);
    running_vars[c] =
        static_cast<float>((1 - a) * running_vars[c] + a * biased_variance[c] * unbiased);
  }
}

}  // namespace facsim::fused
