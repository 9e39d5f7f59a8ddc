// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "sim/core/parallel.h"
#include "sim/core/tensor.h"

namespace facsim::fused {

/// y = float32(f(x)) for each element of a float32 tensor.
Tensor apply(const std::function<double(double)>& f, const Tensor& x, sim::ThreadPool* pool);
/// dx = dy * float32(gradient(x)).
Tensor multiply_by(const std::function<double(double)>& gradient, const Tensor& x, const Tensor& dy,
                   sim::ThreadPool* pool);
/// a + b, elementwise; shapes are equal (CHECK).
Tensor sum(const Tensor& a, const Tensor& b, sim::ThreadPool* pool);

}  // namespace facsim::fused
