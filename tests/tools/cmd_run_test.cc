// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <thread>

#include <nlohmann/json.hpp>

#include "fused/value.h"
#include "quant/qparams.h"
#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

using Layout = backends::IntGraph::Layout;

TEST_CASE("facsim run: writes the library's outputs, for any isa and number of threads") {
  const DeployedFixture f;
  for (const char* isa : {"best", "scalar"}) {
    for (const char* threads : {"1", "3"}) {
      const CommandResult result = run_command({"run", "--model", f.file("net.json"), "--profile",
                                                "tflite-micro", "--inputs", f.file("x.npz"), "-o",
                                                f.file("out.npz"), "--isa", isa, "-j", threads});
      CAPTURE(result.err);
      REQUIRE(result.exit_code == 0);
      const auto outputs = backends::read_npz(f.folder / "out.npz");
      REQUIRE(outputs.size() == 1);
      CHECK(outputs[0].first == "z");
      CHECK(same(outputs[0].second, f.expected.outputs[0]));
    }
  }
}

TEST_CASE("facsim run: the network names its profile; --dump all and JSON report every tensor") {
  const DeployedFixture f;
  const CommandResult result =
      run_command({"run", "--model", f.file("net.json"), "--inputs", f.file("x.npz"), "-o",
                   f.file("all.npz"), "--dump", "all", "--events", "--format", "json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto tensors = backends::read_npz(f.folder / "all.npz");
  REQUIRE(tensors.size() == 3);
  for (size_t t = 0; t < 3; ++t) CHECK(same(tensors[t].second, f.expected.tensors[t]));
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("profile") == "tflite-micro");
  CHECK(json.at("images") == 5);
  CHECK(json.at("tensors").size() == 3);
  CHECK(json.at("tensors")[1].at("name") == "y");
  CHECK(json.at("events").size() == 2);
  CHECK(json.at("events")[0].at("node") == "conv");
}

TEST_CASE("facsim run: a single .npy goes in and out, codes in any integer type") {
  const DeployedFixture f;
  Tensor wide(DType::int64, f.input.shape());
  for (int64_t i = 0; i < wide.numel(); ++i) wide.set_int(i, f.input.int_at(i));
  backends::write_npy(f.folder / "wide.npy", wide);
  const CommandResult result = run_command({"run", "--model", f.file("net.json"), "--inputs",
                                            f.file("wide.npy"), "-o", f.file("out.npy")});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(same(backends::read_npy(f.folder / "out.npy"), f.expected.outputs[0]));
}

TEST_CASE("facsim run: real inputs go through the network input's quantizer") {
  const DeployedFixture f;
  const Tensor real = quant::dequantize(f.input, *f.graph.tensors[0].qparams);
  backends::write_npz(f.folder / "real.npz", {{"x", real}});
  const CommandResult result = run_command({"run", "--model", f.file("net.json"), "--inputs",
                                            f.file("real.npz"), "-o", f.file("out.npz")});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(same(backends::read_npz(f.folder / "out.npz")[0].second, f.expected.outputs[0]));
}

TEST_CASE("facsim run: a channel-first network takes and writes channel-first tensors") {
  const DeployedFixture f(Layout::nchw);
  backends::write_npz(f.folder / "x.npz", {{"x", fused::nchw_from_nhwc(f.input)}});
  const CommandResult result =
      run_command({"run", "--model", f.file("net.json"), "--inputs", f.file("x.npz"), "-o",
                   f.file("all.npz"), "--dump", "all"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto tensors = backends::read_npz(f.folder / "all.npz");
  CHECK(tensors[1].second.shape() == Shape{5, 3, 2, 2});
  CHECK(same(tensors[1].second, fused::nchw_from_nhwc(f.expected.tensors[1])));
  CHECK(same(tensors[2].second, f.expected.tensors[2]));
}

TEST_CASE("facsim run: bad input is one clear error, its exit code, and no output file") {
  const DeployedFixture f;
  const TempFolder& folder = f.folder;
  backends::write_npz(folder / "empty_batch.npz", {{"x", Tensor(DType::int8, {0, 4, 4, 2})}});
  backends::write_npz(folder / "shape.npz", {{"x", Tensor(DType::int8, {1, 4, 4, 3})}});
  backends::write_npz(folder / "name.npz",
                      {{"X1", f.input}, {"other", Tensor(DType::int8, {1, 1})}});
  Tensor big(DType::int16, {1, 4, 4, 2});
  big.set_int(9, 128);
  backends::write_npz(folder / "range.npz", {{"x", big}});
  Tensor real(DType::float32, {1, 4, 4, 2});
  real.data<float>()[7] = NAN;
  backends::write_npz(folder / "nan.npz", {{"x", real}});
  backends::IntGraph strange = f.graph;
  strange.nodes[1].profile = "no-such-chip";
  backends::write_int_graph(folder / "strange.json", strange);
  folder.write("broken.json", "{\"format\": \"facsim-network\",");
  folder.write("cut.npz", contents(folder / "x.npz").substr(0, 100));
  folder.write("net.onnx", "x");
  folder.write("net.tflite", "x");
  const std::string net = f.file("net.json"), x = f.file("x.npz"), out = f.file("out.npz");
  struct Case {
    const char* reason;
    std::vector<std::string> arguments;
    int exit_code;
    const char* text;
  };
  const Case cases[] = {
      {"no model file", {"--model", f.file("no.json"), "--inputs", x}, 3, "no.json"},
      {"broken model", {"--model", f.file("broken.json"), "--inputs", x}, 3, "broken.json"},
      {"no ONNX model", {"--model", f.file("net.onnx"), "--inputs", x}, 3, "not an ONNX model"},
      {"no TFLite model", {"--model", f.file("net.tflite"), "--inputs", x}, 3, "not a TFLite file"},
      {"no input file", {"--model", net, "--inputs", f.file("no.npz")}, 3, "no.npz"},
      {"truncated input", {"--model", net, "--inputs", f.file("cut.npz")}, 3, "cut.npz"},
      {"0-sized batch", {"--model", net, "--inputs", f.file("empty_batch.npz")}, 3, "N at least 1"},
      {"wrong shape",
       {"--model", net, "--inputs", f.file("shape.npz")},
       3,
       "x: shape (1, 4, 4, 3); expected (N, 4, 4, 2)"},
      {"wrong name", {"--model", net, "--inputs", f.file("name.npz")}, 3, "no array \"x\""},
      {"a code outside int8",
       {"--model", net, "--inputs", f.file("range.npz")},
       3,
       "x[9]: 128; expected codes -128..127"},
      {"NaN", {"--model", net, "--inputs", f.file("nan.npz")}, 3, "x[7]: nan; expected finite"},
      {"a node's unknown profile",
       {"--model", f.file("strange.json"), "--inputs", x},
       3,
       "no profile \"no-such-chip\""},
      {"unknown profile",
       {"--model", net, "--inputs", x, "--profile", "tflite-mirco"},
       3,
       "tflite-mirco"},
      {"--set on an unknown key",
       {"--model", net, "--inputs", x, "--set", "/nothing=1"},
       3,
       "nothing"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.reason);
    std::vector<std::string> arguments = {"run", "-o", out};
    arguments.insert(arguments.end(), c.arguments.begin(), c.arguments.end());
    const CommandResult result = run_command(arguments);
    CAPTURE(result.err);
    CHECK(result.exit_code == c.exit_code);
    CHECK(result.out.empty());
    CHECK(result.err.starts_with("facsim: error: "));
    CHECK(contains(result.err, c.text));
    CHECK_FALSE(std::filesystem::exists(out));
  }
}

TEST_CASE("facsim run: an output that cannot be written is an error") {
  const DeployedFixture f;
  const CommandResult result = run_command({"run", "--model", f.file("net.json"), "--inputs",
                                            f.file("x.npz"), "-o", f.file("no/out.npz")});
  CHECK(result.exit_code == 3);
  CHECK(contains(result.err, "out.npz"));
}

TEST_CASE("facsim run: a node keeps the profile it names") {
  DeployedFixture f;
  const auto search = backends::ProfileSearch::standard();
  const auto own = backends::load_profile("tflite-single-rounding", search);
  f.graph.nodes[1].profile = own.name;
  backends::write_int_graph(f.folder / "net.json", f.graph);
  const sim::Graph graph =
      backends::lower(f.graph, backends::load_profile("tflite-micro", search),
                      [&](std::string_view) -> const backends::Profile& { return own; });
  const sim::RunResult expected = sim::Executor(graph, {}).run({f.input});
  const CommandResult result = run_command(
      {"run", "--model", f.file("net.json"), "--inputs", f.file("x.npz"), "-o", f.file("out.npz")});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(same(backends::read_npz(f.folder / "out.npz")[0].second, expected.outputs[0]));
}

TEST_CASE("facsim run: a full disk leaves the old output and nothing else") {
  const DeployedFixture f(Layout::nhwc, 1000);
  f.folder.write("out.npz", "old");
  const size_t before = f.folder.files();
  const TempFolder logs;
  rlimit normal{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &normal) == 0);
  const rlimit small{4096, normal.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);  // inherited by the command
  CommandProcess process(logs, {"run", "--model", f.file("net.json"), "--inputs", f.file("x.npz"),
                                "-o", f.file("out.npz"), "--dump", "all"});
  setrlimit(RLIMIT_FSIZE, &normal);
  const CommandResult result = process.wait();
  CHECK(result.exit_code == 3);
  CHECK(contains(result.err, "out.npz: cannot write"));
  CHECK(contents(f.folder / "out.npz") == "old");
  CHECK(f.folder.files() == before);
}

TEST_CASE("facsim run: Ctrl-C exits 130 and leaves the old output and nothing else") {
  const DeployedFixture f(Layout::nhwc, 60000);
  f.folder.write("out.npz", "old");
  const size_t before = f.folder.files();
  const TempFolder logs;
  CommandProcess process(logs,
                         {"run", "--model", f.file("net.json"), "--inputs", f.file("x.npz"), "-o",
                          f.file("out.npz"), "--isa", "scalar", "-j", "1", "--progress", "always"});
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!contains(process.err_so_far(), "run  [") && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  kill(process.pid(), SIGINT);
  const CommandResult result = process.wait();
  CHECK(result.exit_code == 130);
  CHECK(contains(result.err, "interrupted"));
  CHECK(contents(f.folder / "out.npz") == "old");
  CHECK(f.folder.files() == before);
}

TEST_CASE("facsim run: never over what it reads") {
  const DeployedFixture f;
  for (const char* name : {"net.json", "net.npz", "x.npz"}) {
    CAPTURE(std::string(name));
    const std::string before = contents(f.folder / name);
    const CommandResult result = run_command(
        {"run", "--model", f.file("net.json"), "--inputs", f.file("x.npz"), "-o", f.file(name)});
    CHECK(result.exit_code == 2);
    CHECK(contains(result.err, "write to another file"));
    CHECK(contents(f.folder / name) == before);
  }
}

}  // namespace facsim::test
