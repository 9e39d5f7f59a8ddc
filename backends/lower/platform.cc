// SPDX-License-Identifier: Apache-2.0
#include "backends/lower/platform-internal.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/core/error.h"
#include "sim/ops/lut.h"

namespace facsim::backends::detail {

namespace {

struct AlgorithmLowering {
  std::string_view algorithm;
  Lowering lowering;
};

constexpr auto kAlgorithmLowerings = std::to_array<AlgorithmLowering>({
#define FACSIM_ALGORITHM_LOWERING(source, function, algorithm) {algorithm, lower_##function},
#include "backends/lower/algorithm_lowerings.def"
#undef FACSIM_ALGORITHM_LOWERING
});

}  // namespace

const OpRules& node_rules(const NodeView& node) {
  const Profile& profile = node.profile();
  const std::string& op = node.node().op;
  const IntTensor& input = node.tensor(0);
  return input.qparams ? profile.rules_for(op, input.qparams->type) : profile.rules(op);
}

Lowering find_algorithm_lowering(const NodeView& node) {
  if (!node.profile().ops.contains(node.node().op)) return nullptr;
  const std::string& algorithm = node_rules(node).algorithm;
  const auto found =
      std::find_if(kAlgorithmLowerings.begin(), kAlgorithmLowerings.end(),
                   [&](const AlgorithmLowering& line) { return line.algorithm == algorithm; });
  return found == kAlgorithmLowerings.end() ? nullptr : found->lowering;
}

void require_unary(const NodeView& node) {
  const OpRules& rules = node_rules(node);
  require_activation("input", node.qparams(0), rules);
  require_activation("output", node.output(), rules);
}

std::shared_ptr<const sim::Op> table_of_codes(const quant::QParams& input,
                                              const quant::QParams& output,
                                              const std::function<int64_t(int64_t)>& f) {
  if (input.type.bits > 16) {
    throw Error({ErrorCode::unsupported, "input", sim::to_string(input.type), "at most 16 bits",
                 "a table has an entry for every code"});
  }
  sim::LutParams params;
  params.input_type = input.type;
  params.output_type = output.type;
  for (int64_t code = input.type.min(); code <= input.type.max(); ++code) {
    params.table.push_back(std::clamp(f(code), output.quant_min, output.quant_max));
  }
  return std::make_shared<sim::Lut>(std::move(params));
}

int fix_position(std::string_view what, const quant::QParams& qparams) {
  int exponent = 0;
  const float scale = qparams.scale.front();
  if (std::frexp(scale, &exponent) != 0.5F || qparams.zero_point.front() != 0) {
    throw Error({ErrorCode::unsupported, std::string(what),
                 fmt::format("scale {}, zero point {}", scale, qparams.zero_point.front()),
                 "a power of two and 0", ""});
  }
  return 1 - exponent;
}

}  // namespace facsim::backends::detail
