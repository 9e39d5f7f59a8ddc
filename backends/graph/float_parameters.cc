// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>

#include "backends/graph/float_graph.h"
#include "backends/io/network_json-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

class ParameterCheck {
 public:
  explicit ParameterCheck(const FloatNode& node) : node_(node) {}

  void tensor(std::string_view name, const std::optional<Tensor>& tensor, const Shape& expected) {
    if (!tensor) return;
    if (tensor->dtype() != DType::float32 || tensor->shape() != expected) {
      fail(ErrorCode::shape_mismatch,
           fmt::format("{} {} {}", name, facsim::to_string(tensor->dtype()),
                       facsim::to_string(tensor->shape())),
           "float32 " + facsim::to_string(expected));
      return;
    }
    const auto values = tensor->values<float>();
    const int64_t inner = expected.numel() / std::max<int64_t>(1, expected[0]);
    for (size_t i = 0; i < values.size(); ++i) {
      if (std::isfinite(values[i])) continue;
      fail(ErrorCode::bad_value,
           fmt::format("{} {} at channel {}", name, values[i], static_cast<int64_t>(i) / inner),
           "finite numbers");
      return;
    }
  }

  void variance(const std::optional<Tensor>& variance) {
    if (!findings_.empty() || !variance) return;
    const auto values = variance->values<float>();
    for (size_t c = 0; c < values.size(); ++c) {
      if (values[c] < 0) {
        fail(ErrorCode::bad_value, fmt::format("variance {} < 0 at channel {}", values[c], c),
             "variances >= 0");
        return;
      }
      if (values[c] + node_.eps > 0) continue;
      fail(ErrorCode::bad_value, fmt::format("variance 0 and eps 0 at channel {}", c),
           "a sum above 0");
      return;
    }
  }

  void finish() {
    if (!findings_.empty()) throw Error(std::move(findings_));
  }

 private:
  void fail(ErrorCode code, std::string found, std::string expected) {
    findings_.push_back({code, "node " + node_.name, std::move(found), std::move(expected), ""});
  }

  const FloatNode& node_;
  std::vector<ErrorInfo> findings_;
};

}  // namespace

std::string parameters_hash(const FloatGraph& graph) {
  if (!graph.trained()) return {};
  std::string text;
  for (const auto& [name, values] : graph.parameters) {
    text += name;
    for (const auto* tensor :
         {&values.weight, &values.bias, &values.running_mean, &values.running_var}) {
      text += ' ';
      if (!*tensor) continue;
      const Tensor& t = **tensor;
      text += detail::hash_hex({static_cast<const char*>(t.raw()), t.bytes()});
    }
  }
  return detail::hash_hex(text);
}

void check_parameters(const FloatNode& node, const FloatParameters& parameters) {
  const bool normalises = node.op.ends_with("BatchNorm1d") || node.op.ends_with("BatchNorm2d");
  const Shape channels{normalises ? node.in_channels : node.out_channels};
  Shape weight = channels;
  if (node.op == "Linear") {
    weight = {node.out_channels, node.in_channels};
  } else if (!normalises) {
    weight = {node.out_channels, node.kernel_size[0], node.kernel_size[1],
              node.in_channels / node.groups};
  }
  ParameterCheck check(node);
  check.tensor("weight", parameters.weight, weight);
  check.tensor("bias", parameters.bias, channels);
  check.tensor("running_mean", parameters.running_mean, channels);
  check.tensor("running_var", parameters.running_var, channels);
  check.variance(parameters.running_var);
  check.finish();
}

}  // namespace facsim::backends
