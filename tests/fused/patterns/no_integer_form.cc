// SPDX-License-Identifier: Apache-2.0
// Compiled by ctest, once with and once without the integer form: without it the pattern must be
// refused by the compiler with the library's message.
#include "fused/patterns/pattern.h"

using namespace facsim;

struct Swish {
  static constexpr std::string_view kOp = "Swish";
  explicit Swish(const backends::FloatNode& /*node*/) {}
#ifdef FACSIM_WITH_INTEGER_FORM
  fused::LutForm integer_form() const { return {}; }
#endif
};

fused::FusionPattern pattern() {
  return fused::make_pattern<Swish>(
      "ConvSwish2d", {{fused::Role::linear, "Conv2d", {}}, {fused::Role::activation, "Swish", {}}});
}
