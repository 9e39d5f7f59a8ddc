// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <functional>
#include <limits>
#include <string>
#include <variant>

#include "backends/graph/float_graph.h"
#include "backends/graph/int_graph.h"

namespace facsim::fused {

/// An activation that clamps: its integer form is the requantization's own clamp, so it costs
/// nothing.
struct ClampForm {
  backends::Activation activation = backends::Activation::none;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

/// Any other function of one real: its integer form is a table from the codes of a quantized input
/// to the codes of the output. `value` and `gradient` are evaluated in float64.
struct LutForm {
  std::function<double(double)> value;
  std::function<double(double)> gradient;
};

/// The last part of a fused module.
struct Activation {
  std::string op;  ///< PyTorch's class name, empty for none
  std::variant<ClampForm, LutForm> form;

  bool is_clamp() const { return std::holds_alternative<ClampForm>(form); }
  const ClampForm& clamp() const { return std::get<ClampForm>(form); }
  const LutForm& lut() const { return std::get<LutForm>(form); }
};

/// What a user's activation must have to be fused: a name, its value, and *how the device computes
/// it*. A type without `integer_form()` returning ClampForm or LutForm does not compile: a pattern
/// whose integer meaning is missing must not train.
template <class A>
concept HasIntegerForm = requires(const A& a) {
  { a.integer_form() } -> std::convertible_to<std::variant<ClampForm, LutForm>>;
};

template <class A>
concept FusableActivation =
    HasIntegerForm<A> && std::constructible_from<A, const backends::FloatNode&> && requires {
  { A::kOp } -> std::convertible_to<std::string_view>;
};

/// The activation of a node of type A.
template <class A>
Activation activation_of(const backends::FloatNode& node) {
  static_assert(HasIntegerForm<A>,
                "facsim: this activation has no integer form; give it integer_form() returning "
                "ClampForm or LutForm, so that the device's result is known while training");
  static_assert(FusableActivation<A>,
                "facsim: an activation needs kOp and a constructor from FloatNode");
  return {std::string(A::kOp), A(node).integer_form()};
}

}  // namespace facsim::fused
