// SPDX-License-Identifier: Apache-2.0
#include "backends/onnx/onnx_resize-internal.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace facsim::backends::detail {

namespace {

[[noreturn]] void refuse_resize(const OnnxNode& node, std::string found, std::string expected) {
  throw Error({ErrorCode::unsupported, place_of(node), std::move(found), std::move(expected), ""});
}

/// A string attribute, one of `known`, whose first is the default.
std::string resize_choice(const OnnxNode& node, const char* name,
                          std::initializer_list<std::string_view> known) {
  std::string value = string_attribute(node, name, std::string(*known.begin()));
  if (std::find(known.begin(), known.end(), value) != known.end()) return value;
  std::string expected;
  for (const std::string_view one : known) {
    expected += (expected.empty() ? "" : ", ") + std::string(one);
  }
  refuse_resize(node, std::string(name) + " " + value, std::move(expected));
}

void check_resize_names(const OnnxNode& node, std::initializer_list<std::string_view> known) {
  for (const OnnxAttribute& attribute : node.attributes) {
    if (std::find(known.begin(), known.end(), attribute.name) == known.end()) {
      refuse_resize(node, "attribute \"" + attribute.name + "\"",
                    "those of ONNX's " + node.op_type);
    }
  }
}

bool is_image_axes(const OnnxNode& node) {
  using Axes = std::vector<int64_t>;
  if (find_attribute(node, "axes") == nullptr) return false;
  const Axes axes = integers_attribute(node, "axes", {});
  if (axes == Axes{2, 3} || axes == Axes{-2, -1}) return true;
  if (axes != Axes{0, 1, 2, 3}) refuse_resize(node, "axes of another kind", "2, 3");
  return false;
}

}  // namespace

OnnxResize onnx_resize_of(const OnnxNode& node, int64_t opset) {
  OnnxResize out;
  if (node.op_type == "Upsample" || opset < 11) {
    check_resize_names(node, {"mode", "scales"});
    out.mode = resize_choice(node, "mode", {"nearest", "linear", "bilinear"});
    out.coordinates = "asymmetric";
    out.rounding = "floor";
  } else {
    check_resize_names(node, {"antialias", "axes", "coordinate_transformation_mode",
                              "cubic_coeff_a", "exclude_outside", "extrapolation_value",
                              "keep_aspect_ratio_policy", "mode", "nearest_mode"});
    out.mode = resize_choice(node, "mode", {"nearest", "linear"});
    out.coordinates = resize_choice(node, "coordinate_transformation_mode",
                                    {"half_pixel", "pytorch_half_pixel", "align_corners",
                                     "asymmetric", "tf_half_pixel_for_nn"});
    out.rounding = resize_choice(node, "nearest_mode",
                                 {"round_prefer_floor", "floor", "ceil", "round_prefer_ceil"});
    resize_choice(node, "keep_aspect_ratio_policy", {"stretch"});
    for (const char* option : {"antialias", "exclude_outside"}) {
      const int64_t value = integer_attribute(node, option, 0);
      if (value != 0) refuse_resize(node, option + (" " + std::to_string(value)), "0");
    }
    out.of_image_axes = is_image_axes(node);
  }
  if (out.mode == "bilinear") out.mode = "linear";
  return out;
}

}  // namespace facsim::backends::detail
