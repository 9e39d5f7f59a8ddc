// SPDX-License-Identifier: Apache-2.0
#include "backends/graph/int_ops.h"

#include <algorithm>
#include <array>

namespace facsim::backends {

namespace {

constexpr std::array<IntOp, 15> kOps{{
    {.name = "conv2d",
     .min_inputs = 2,
     .max_inputs = 3,
     .window = true,
     .groups = true,
     .activation = true},
    {.name = "linear", .min_inputs = 2, .max_inputs = 3, .activation = true},
    {.name = "add", .min_inputs = 2, .max_inputs = 2, .first_constant = 2, .activation = true},
    {.name = "max_pool2d", .window = true, .activation = true},
    {.name = "avg_pool2d", .window = true, .activation = true, .count_include_pad = true},
    {.name = "global_avg_pool", .activation = true},
    {.name = "quantize"},
    {.name = "dequantize"},
    {.name = "requantize"},
    {.name = "relu"},
    {.name = "relu6"},
    {.name = "clamp", .activation = true},
    {.name = "lut", .table = true},
    {.name = "reshape", .extents = true, .order = true},
    {.name = "flatten", .order = true},
}};

}  // namespace

std::span<const IntOp> int_ops() { return kOps; }

const IntOp* find_int_op(std::string_view name) {
  const auto* found =
      std::find_if(kOps.begin(), kOps.end(), [&](const IntOp& op) { return op.name == name; });
  return found == kOps.end() ? nullptr : found;
}

}  // namespace facsim::backends
