// SPDX-License-Identifier: Apache-2.0
// Linear layers by gemmlowp's GemmWithOutputPipelinePC against the profile gemmlowp.
#include <doctest/doctest.h>
#include <gemmlowp/public/gemmlowp.h>
#include <gemmlowp/public/output_stages.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "tests/peers/random_layers.h"
#include "tests/peers/tally.h"

namespace facsim::test {

namespace {

/// multiplier * 2^(exponent - 31) nearest to `real`, as TFLite's QuantizeMultiplier gives gemmlowp
/// its arguments.
void quantize_multiplier(double real, int32_t& multiplier, int32_t& exponent) {
  int shift = 0;
  auto fixed = static_cast<int64_t>(std::llround(std::ldexp(std::frexp(real, &shift), 31)));
  if (fixed == int64_t{1} << 31) {
    fixed /= 2;
    ++shift;
  }
  if (shift < -31) {
    fixed = 0;
    shift = 0;
  }
  multiplier = static_cast<int32_t>(fixed);
  exponent = shift;
}

Tensor run_gemmlowp(const Layer& layer) {
  using gemmlowp::MapOrder;
  using gemmlowp::VectorShape;
  const Tensor& x = layer.inputs[0];
  const auto rows = static_cast<int>(layer.channels());
  const auto depth = static_cast<int>(x.shape()[1]);
  const auto columns = static_cast<int>(x.shape()[0]);
  std::vector<int32_t> multiplier(static_cast<size_t>(rows)), exponent(multiplier.size()),
      bias(multiplier.size(), 0), weight_offset(multiplier.size());
  for (int c = 0; c < rows; ++c) {
    const auto i = static_cast<size_t>(c);
    const double real = static_cast<double>(layer.qparams[0].scale.front()) *
                        static_cast<double>(layer.weight_scale(c)) /
                        static_cast<double>(layer.output.scale.front());
    quantize_multiplier(real, multiplier[i], exponent[i]);
    if (!layer.bias.empty()) bias[i] = static_cast<int32_t>(layer.bias.int_at(c));
    const auto& zero_points = layer.weight.zero_point;
    weight_offset[i] = -static_cast<int32_t>(zero_points[zero_points.size() == 1 ? 0 : i]);
  }
  const std::vector<int32_t> input_offset(
      static_cast<size_t>(columns), -static_cast<int32_t>(layer.qparams[0].zero_point.front()));
  using Column = gemmlowp::VectorMap<const int32_t, VectorShape::Col>;
  using Row = gemmlowp::VectorMap<const int32_t, VectorShape::Row>;
  const gemmlowp::OutputStageBiasAddition<Column> add_bias{Column(bias.data(), rows)};
  const gemmlowp::OutputStageScaleInt32ByFixedPointAndExponentPC<VectorShape::Col> scale{
      Column(multiplier.data(), rows), Column(exponent.data(), rows),
      static_cast<int32_t>(layer.output.zero_point.front())};
  const auto [low, high] = clamp_codes(layer);
  const gemmlowp::OutputStageClamp clamp{static_cast<int32_t>(low), static_cast<int32_t>(high)};
  const auto pipeline =
      std::make_tuple(add_bias, scale, clamp, gemmlowp::OutputStageSaturatingCastToUint8());

  // Result [OC, N] column-major is [N, OC] in memory.
  Tensor y(DType::uint8, {columns, rows});
  const gemmlowp::MatrixMap<const uint8_t, MapOrder::RowMajor> lhs(layer.weights.data<uint8_t>(),
                                                                   rows, depth);
  const gemmlowp::MatrixMap<const uint8_t, MapOrder::ColMajor> rhs(x.data<uint8_t>(), depth,
                                                                   columns);
  gemmlowp::MatrixMap<uint8_t, MapOrder::ColMajor> result(y.data<uint8_t>(), rows, columns);
  static gemmlowp::GemmContext context;
  context.set_max_num_threads(1);
  gemmlowp::GemmWithOutputPipelinePC<uint8_t, uint8_t, gemmlowp::DefaultL8R8BitDepthParams>(
      &context, lhs, rhs, &result, Column(weight_offset.data(), rows),
      Row(input_offset.data(), columns), pipeline);
  return y;
}

}  // namespace

TEST_CASE("gemmlowp: linear layers of random and adversarial scales, zero points and biases") {
  const uint64_t seed = from_environment("FACSIM_PEER_SEED", 20211220);
  const auto count = static_cast<int64_t>(from_environment("FACSIM_PEER_LAYERS", 6000));
  MESSAGE("seed ", seed);
  const backends::Profile profile =
      backends::load_profile("gemmlowp", backends::ProfileSearch::standard());
  LayerDomain domain;
  domain.input = domain.weight = domain.output = sim::kUint8;
  domain.weight_zero_point = true;
  domain.linear = true;
  domain.smallest_multiplier = -31;
  domain.largest_multiplier = 12;
  Tally tally("gemmlowp e844ffd linear");
  for (int64_t i = 0; i < count; ++i) {
    Dice dice(seed * 1000003 + static_cast<uint64_t>(i));
    domain.per_channel = dice.one_in(2);
    const Layer layer = random_linear_layer(dice, domain);
    const sim::Isa isa = i % 2 == 0 ? sim::Isa::best : sim::Isa::scalar;
    tally.add(layer, run_gemmlowp(layer), simulate(layer, profile, isa));
  }
  CHECK(tally.mismatches() == 0);
  CHECK(tally.layers() == count);
}

}  // namespace facsim::test
