// SPDX-License-Identifier: Apache-2.0
#include "fused/check_parts.h"

#include "sim/core/error.h"

namespace facsim::fused {

namespace {

std::string describe(std::string_view linear, bool normalises, bool adds, bool activates) {
  std::string text(linear);
  if (normalises) text += " + batch norm";
  if (adds) text += " + add";
  if (activates) text += " + activation";
  return text;
}

}  // namespace

void check_parts(const LinearParts& parts, std::string_view type_name,
                 const ExpectedParts& expected) {
  const std::string_view word = parts.op->rules_word();
  const std::string_view linear = word == "depthwise_conv2d" ? "conv2d" : word;
  const std::string found =
      describe(linear, parts.bn.has_value(), parts.adds, !parts.activation.op.empty());
  const std::string wanted =
      describe(expected.linear, expected.normalises, expected.adds, expected.activates);
  if (found == wanted) return;
  throw Error({ErrorCode::bad_value, std::string(type_name), found, wanted, ""});
}

}  // namespace facsim::fused
