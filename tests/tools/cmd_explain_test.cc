// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "backends/parity/compare.h"
#include "fused/value.h"
#include "tests/tools/deployed_fixture.h"
#include "tests/tools/printed_schema.h"

namespace facsim::test {

namespace {

using Words = std::vector<std::string>;
using Layout = backends::IntGraph::Layout;

CommandResult explain(const DeployedFixture& f, const std::string& element, const Words& more = {},
                      const char* inputs = "x.npz") {
  Words words = {"explain", element, "--model", f.file("net.json"), "--inputs", f.file(inputs)};
  words.insert(words.end(), more.begin(), more.end());
  return run_command(words);
}

nlohmann::json explain_json(const DeployedFixture& f, const std::string& element, Words more = {},
                            const char* inputs = "x.npz") {
  more.insert(more.end(), {"--format", "json"});
  const CommandResult result = explain(f, element, more, inputs);
  CAPTURE(result.err);
  return printed_json("explain", result.out);
}

}  // namespace

TEST_CASE("facsim explain: an element's products, sum, scale, steps and who set them") {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    const DeployedFixture f(layout);
    const bool nchw = layout == Layout::nchw;
    const Tensor x = nchw ? fused::nchw_from_nhwc(f.input) : f.input;
    backends::write_npz(f.folder / "x.npz", {{"x", x}});
    const Tensor& y = f.expected.tensors[1];  // (5, 2, 2, 3)
    const int64_t flat = ((3 * 2 + 1) * 2 + 0) * 3 + 2;
    const auto json = explain_json(f, nchw ? "y[3,2,1,0]" : "conv[3,1,0,2]", {"--taps", "18"});
    CHECK(json.at("node") == "conv");
    CHECK(json.at("tensor") == "y");
    CHECK(json.at("index") == (nchw ? nlohmann::json({3, 2, 1, 0}) : nlohmann::json({3, 1, 0, 2})));
    CHECK(json.at("result") == y.int_at(flat));
    CHECK(json.at("profile") == "tflite-micro");
    const auto sum = json.at("sum");
    REQUIRE(sum.at("largest").size() == 18);
    int64_t total = sum.at("bias");
    for (const auto& tap : sum.at("largest")) {
      total += tap.at("product").get<int64_t>();
      const std::vector<int64_t> at = tap.at("input_index");
      REQUIRE(at.size() == 4);
      CHECK(at[0] == 3);
      const int64_t in_file =
          ((at[0] * x.shape()[1] + at[1]) * x.shape()[2] + at[2]) * x.shape()[3] + at[3];
      CHECK(tap.at("input") == x.int_at(in_file));
    }
    CHECK(total == sum.at("value"));
    CHECK(total == json.at("accumulator"));
    CHECK(contains(sum.at("set_by").at("place").get<std::string>(), "tflite-reference.json:"));
    CHECK(json.at("scale").at("channel") == 2);
    const auto rounding = json.at("steps").back();
    CHECK(rounding.contains("set_by"));
  }
  const DeployedFixture f;
  const CommandResult table = explain(f, "conv[0,0,0,0]");
  CHECK(table.exit_code == 0);
  for (const char* part :
       {"conv (conv2d)  y[0,0,0,0]  under tflite-micro", "largest 5 of 18", "acc ", "scale[c=0]",
        "tie distance", "multiplier = ", "result", "tflite-reference.json:"}) {
    CAPTURE(part);
    CHECK(contains(table.out, part));
  }
}

TEST_CASE("facsim explain: a second side, the step where they part and both rules") {
  const DeployedFixture f(Layout::nhwc, 40);
  const Tensor& y = f.expected.tensors[1];
  // The first element that floor gives otherwise.
  const backends::Profile floor = backends::load_profile(
      "tflite-micro", backends::ProfileSearch::standard(), {{"/requantize/rounding", "floor"}});
  const Tensor other = sim::Executor(backends::lower(f.graph, floor), {}).run({f.input}).outputs[0];
  int64_t flat = 0;
  const Tensor& z = f.expected.tensors[2];
  REQUIRE(z.numel() == y.numel());
  const Words set = {"--with-set", "/requantize/rounding=floor"};
  backends::write_npz(f.folder / "golden.npz", {{"z", other}});
  bool found = false;
  for (; flat < y.numel() && !found; ++flat) {
    const auto index = backends::unflatten(flat, y.shape());
    const std::string element =
        fmt::format("y[{},{},{},{}]", index[0], index[1], index[2], index[3]);
    const CommandResult result = explain(f, element, set);
    if (result.exit_code == 0) continue;
    found = true;
    CHECK(result.exit_code == 1);
    CHECK(contains(result.out, "<- parts here"));
    CHECK(contains(result.out, "--set"));
    const auto json = explain_json(f, element, set);
    CHECK(json.at("result") == y.int_at(flat));
    CHECK(json.at("other").at("result") == y.int_at(flat) - 1);
    CHECK(contains(json.at("parts_at").at("ours").at("text").get<std::string>(), "shr"));
    CHECK(contains(json.at("parts_at").at("theirs").at("text").get<std::string>(), "floor"));
    CHECK(json.at("parts_at").at("theirs").at("set_by").at("pointer") == "/requantize/rounding");
  }
  CHECK(found);
  // The same profile parts nowhere.
  const CommandResult same = explain(f, "y[0,0,0,0]", {"--with-profile", "tflite-reference"});
  CHECK(same.exit_code == 0);
  CHECK(contains(same.out, "nowhere"));
}

TEST_CASE("facsim explain: against golden values, given or the first that differs") {
  const DeployedFixture f(Layout::nchw, 300);
  const Tensor& y = f.expected.tensors[1];
  Tensor wrong = y.clone();
  const int64_t changed = 270 * 12 + 7;  // image 270, pixel (1, 0), channel 1
  const int64_t truth = y.int_at(changed);
  wrong.set_int(changed, truth == 127 ? 126 : truth + 1);
  backends::write_npz(f.folder / "x.npz", {{"x", fused::nchw_from_nhwc(f.input)}});
  backends::write_npz(f.folder / "good.npz", {{"y:0", fused::nchw_from_nhwc(y)}});
  backends::write_npz(f.folder / "bad.npz", {{"y", fused::nchw_from_nhwc(wrong)}});
  backends::write_npz(f.folder / "nhwc.npz", {{"y", wrong}});
  const CommandResult equal = explain(f, "conv", {"--against", f.file("good.npz")});
  CAPTURE(equal.err);
  CHECK(equal.exit_code == 0);
  CHECK(contains(equal.out, "EQUAL"));
  CHECK(contains(equal.err, "compared under other names: y = y:0"));
  for (const Words& more : {Words{"--against", f.file("bad.npz")},
                            Words{"--against", f.file("nhwc.npz"), "--layout", "nhwc"}}) {
    const CommandResult first = explain(f, "conv", more);
    CHECK(first.exit_code == 1);
    CHECK(contains(first.out, "y[270,1,1,0]"));
    CHECK(contains(first.out, "expected (golden)"));
    const auto json = explain_json(f, "y[270,1,1,0]", more);
    CHECK(json.at("result") == truth);
    CHECK(json.at("expected") == wrong.int_at(changed));
    CHECK(json.at("equal") == false);
    CHECK(json.at("why").get<std::string>().size() > 10);
  }
}

TEST_CASE("facsim explain: what it cannot show is said, with the nearest name") {
  const DeployedFixture f;
  const std::tuple<const char*, int, const char*> cases[] = {
      {"conv2[0,0,0,0]", 3, "no layer or tensor \"conv2\"; did you mean \"conv\"?"},
      {"x[0,0,0,0]", 3, "nothing computes tensor \"x\""},
      {"conv[0,0,0]", 3, "an index into (5, 2, 2, 3)"},
      {"conv[5,0,0,0]", 3, "index [5,0,0,0]"},
      {"conv[0,-1,0,0]", 3, "index [0,-1,0,0]"},
      {"conv[0,a,0,0]", 2, "expected LAYER[n,…] with whole numbers"},
      {"conv[]", 2, "expected LAYER[n,…]"},
      {"conv[99999999999999999999,0,0,0]", 2, "expected LAYER[n,…]"},
      {"conv", 2, "give an index"}};
  for (const auto& [element, code, message] : cases) {
    CAPTURE(element);
    const CommandResult result = explain(f, element);
    CHECK(result.exit_code == code);
    CHECK(contains(result.err, message));
    CHECK(result.out.empty());
  }
  CHECK(explain(f, "conv[0,0,0,0]", {"--with-set", "rounding"}).exit_code == 2);
  CHECK(explain(f, "conv[0,0,0,0]", {"--with-profile", "none-such"}).exit_code == 3);
  CHECK(explain(f, "conv[0,0,0,0]", {"--against", f.file("none.npz")}).exit_code == 3);
}

}  // namespace facsim::test
