// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <algorithm>

#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

namespace {

/// What the accumulator of `channel` becomes for one receptive field, from the network's own
/// weights.
int64_t sum_of_field(const backends::IntGraph& graph, int64_t channel,
                     const nlohmann::json& input) {
  const Tensor& weights = *graph.tensors[1].data;
  const int64_t taps = weights.numel() / weights.shape()[0];
  int64_t sum = graph.tensors[2].data->int_at(channel);
  for (int64_t i = 0; i < taps; ++i) {
    sum += weights.int_at(channel * taps + i) *
           (input.at(static_cast<size_t>(i)).get<int64_t>() + 3);  // zero point -3
  }
  return sum;
}

nlohmann::json ranges_json(const DeployedFixture& f, std::vector<std::string> more, int exit_code) {
  std::vector<std::string> arguments = {"ranges", "--format", "json", "--model",
                                        f.file("net.json")};
  arguments.insert(arguments.end(), more.begin(), more.end());
  const CommandResult result = run_command(arguments);
  CAPTURE(result.err);
  CHECK(result.exit_code == exit_code);
  return nlohmann::json::parse(result.out);
}

}  // namespace

TEST_CASE("facsim ranges: proves a layer from its weights, channel by channel") {
  const DeployedFixture f;
  const auto json = ranges_json(f, {"--channels"}, 0);
  CHECK(json.at("proved") == true);
  REQUIRE(json.at("layers").size() == 1);
  const auto layer = json.at("layers")[0];
  CHECK(layer.at("name") == "conv");
  CHECK(layer.at("verdict") == "proved");
  CHECK(layer.at("accumulator") == nlohmann::json({{"bits", 32}, {"overflow", "wrap"}}));
  const Tensor& weights = *f.graph.tensors[1].data;
  for (int64_t c = 0; c < 3; ++c) {
    int64_t low = 0, high = 0;  // x - zero point is in -125..130
    for (int64_t i = 0; i < 18; ++i) {
      const int64_t w = weights.int_at(c * 18 + i);
      low += std::min(w * -125, w * 130);
      high += std::max(w * -125, w * 130);
    }
    const int64_t bias = f.graph.tensors[2].data->int_at(c);
    const auto range = layer.at("ranges")[static_cast<size_t>(c)];
    CHECK(range.at("min") == std::min(low, low + bias));
    CHECK(range.at("max") == std::max(high, high + bias));
    CHECK(range.at("bits") == 17);
  }
  const CommandResult table = run_command({"ranges", "--model", f.file("net.json")});
  CHECK(table.exit_code == 0);
  CHECK(contains(table.out, "PROVED  1 of 1 layer proved (3 channels)"));
}

TEST_CASE("facsim ranges: an input that overflows a narrower accumulator is shown and right") {
  const DeployedFixture f;
  const auto json = ranges_json(f, {"--bits", "16", "--witness", f.file("w.npz")}, 1);
  CHECK(json.at("proved") == false);
  const auto layer = json.at("layers")[0];
  CHECK(layer.at("verdict") == "overflows");
  CHECK(layer.at("channels_leaving") == 3);
  const auto witness = layer.at("witness");
  CHECK(witness.at("shape") == nlohmann::json({3, 3, 2}));
  const int64_t exact =
      sum_of_field(f.graph, witness.at("channel").get<int64_t>(), witness.at("input"));
  CHECK(std::to_string(exact) == witness.at("exact").get<std::string>());
  CHECK(exact != static_cast<int16_t>(exact));
  CHECK(static_cast<int16_t>(exact) == witness.at("accumulator").get<int64_t>());
  const backends::NamedTensors written = backends::read_npz(f.folder / "w.npz");
  REQUIRE(written.size() == 1);
  CHECK(written[0].first == "conv");
  for (int64_t i = 0; i < 18; ++i) {
    CHECK(written[0].second.int_at(i) == witness.at("input")[static_cast<size_t>(i)]);
  }
  const CommandResult table =
      run_command({"ranges", "--model", f.file("net.json"), "--bits", "16"});
  CHECK(table.exit_code == 1);
  CHECK(contains(table.out, "NOT PROVED  0 of 1 layer proved"));
  CHECK(contains(table.out, "can leave int16 wrap"));
  // One bit more than the widest sum needs is enough, one less is not.
  CHECK(run_command({"ranges", "--model", f.file("net.json"), "--bits", "17"}).exit_code == 0);
  CHECK(run_command({"ranges", "--model", f.file("net.json"), "--bits", "16"}).exit_code == 1);
}

TEST_CASE("facsim ranges: the profile's own accumulator counts") {
  const DeployedFixture f;
  const auto json = ranges_json(f, {"--set", "/accumulator/bits=16"}, 1);
  CHECK(json.at("layers")[0].at("accumulator").at("bits") == 16);
  CHECK(json.at("layers")[0].at("verdict") == "overflows");
}

TEST_CASE("facsim ranges: bad command lines and files") {
  const DeployedFixture f;
  CHECK(run_command({"ranges"}).exit_code == 2);
  CHECK(run_command({"ranges", "--model", f.file("net.json"), "--bits", "7"}).exit_code == 2);
  CHECK(run_command({"ranges", "--model", f.file("none.json")}).exit_code == 3);
}

TEST_CASE("facsim ranges: accumulators that inputs caused stand beside those that are possible") {
  const DeployedFixture f;
  const auto layer = ranges_json(f, {"--channels", "--inputs", f.file("x.npz")}, 0).at("layers")[0];
  REQUIRE(layer.at("observed").size() == 3);
  // The same sums by hand, over the five images' receptive fields.
  const Tensor& weights = *f.graph.tensors[1].data;
  for (int64_t c = 0; c < 3; ++c) {
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t field = 0; field < 5 * 4; ++field) {
      const int64_t n = field / 4, oh = field / 2 % 2, ow = field % 2;
      int64_t sum = f.graph.tensors[2].data->int_at(c);
      for (int64_t tap = 0; tap < 18; ++tap) {
        const int64_t kh = tap / 6, kw = tap / 2 % 3, ic = tap % 2;
        const int64_t x = f.input.int_at(((n * 4 + oh + kh) * 4 + ow + kw) * 2 + ic);
        sum += weights.int_at(c * 18 + tap) * (x + 3);  // zero point -3
      }
      low = std::min(low, sum);
      high = std::max(high, sum);
    }
    const auto observed = layer.at("observed")[static_cast<size_t>(c)];
    CHECK(observed.at("min") == low);
    CHECK(observed.at("max") == high);
    CHECK(observed.at("min") >= layer.at("ranges")[static_cast<size_t>(c)].at("min"));
    CHECK(observed.at("max") <= layer.at("ranges")[static_cast<size_t>(c)].at("max"));
  }
  const CommandResult table =
      run_command({"ranges", "--model", f.file("net.json"), "--inputs", f.file("x.npz")});
  CHECK(contains(table.out, "observed from"));
}

}  // namespace facsim::test
