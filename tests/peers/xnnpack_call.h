// SPDX-License-Identifier: Apache-2.0
// Calls of XNNPACK's operators: create, set up, run.
#pragma once

#include <doctest/doctest.h>
#include <xnnpack.h>

#include <memory>

#include "tests/peers/layer.h"

namespace facsim::test {

using Operator = std::unique_ptr<xnn_operator, decltype(&xnn_delete_operator)>;

/// Calls create(arguments…, &operator); null if XNNPACK refuses the parameters.
template <class Create, class... Arguments>
Operator make_operator(Create create, Arguments... arguments) {
  xnn_operator_t op = nullptr;
  const xnn_status status = create(arguments..., &op);
  REQUIRE((status == xnn_status_success || status == xnn_status_unsupported_parameter ||
           status == xnn_status_invalid_parameter));
  return {status == xnn_status_success ? op : nullptr, xnn_delete_operator};
}

inline void run(const Operator& op, xnn_status set_up) {
  REQUIRE(set_up == xnn_status_success);
  REQUIRE(xnn_run_operator(op.get(), nullptr) == xnn_status_success);
}

template <class T>
T zero_point(const quant::QParams& qparams) {
  return static_cast<T>(qparams.zero_point.front());
}

template <class T>
struct Bounds {
  T min, max;
  explicit Bounds(const Layer& layer)
      : min(static_cast<T>(clamp_codes(layer)[0])), max(static_cast<T>(clamp_codes(layer)[1])) {}
};

inline uint32_t u32(int64_t value) { return static_cast<uint32_t>(value); }
inline size_t sz(int64_t value) { return static_cast<size_t>(value); }

inline Shape window_output(const Layer& layer, int64_t channels) {
  const Shape& s = layer.inputs[0].shape();
  const auto [oh, ow] = layer.attributes.window.output_extent(s[1], s[2]);
  return {s[0], oh, ow, channels};
}

}  // namespace facsim::test
