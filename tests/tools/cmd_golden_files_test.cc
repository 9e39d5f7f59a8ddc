// SPDX-License-Identifier: Apache-2.0
// What compare, diagnose and explain take as golden, the same for all three.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "fused/value.h"
#include "tests/tools/deployed_fixture.h"
#include "tests/tools/printed_schema.h"
#include "tests/tools/ten_layer_fixture.h"

namespace facsim::test {

namespace {

using Words = std::vector<std::string>;
using Layout = backends::IntGraph::Layout;

/// The three commands on one golden file; explain is asked about node conv.
std::vector<CommandResult> all_three(const DeployedFixture& f, const char* golden,
                                     const Words& more = {}, const char* layer = "conv") {
  std::vector<CommandResult> results;
  for (Words words : {Words{"compare"}, Words{"diagnose"}, Words{"explain", layer}}) {
    words.insert(words.end(), {"--model", f.file("net.json"), "--inputs", f.file("x.npz"),
                               "--golden", f.file(golden)});
    words.insert(words.end(), more.begin(), more.end());
    results.push_back(run_command(words));
  }
  return results;
}

size_t count_of(const std::string& text, std::string_view part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

size_t longest_line(const std::string& text) {
  size_t longest = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    longest = std::max(longest, end - begin);
    begin = end + 1;
  }
  return longest;
}

}  // namespace

TEST_CASE("golden files: arrays by the name of a node, for every command that takes golden") {
  const DeployedFixture f;
  backends::write_npz(f.folder / "nodes.npz",
                      {{"conv", f.expected.tensors[1]}, {"flatten", f.expected.tensors[2]}});
  for (const CommandResult& result : all_three(f, "nodes.npz")) {
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(contains(result.err, "compared under other names: y = conv, z = flatten"));
  }
  // A tensor's own name goes before its node's.
  backends::write_npz(f.folder / "both.npz", {{"y", f.expected.tensors[1]},
                                              {"conv", changed_at(f.expected.tensors[1], 0)}});
  const CommandResult both = run_command({"compare", "--model", f.file("net.json"), "--inputs",
                                          f.file("x.npz"), "--golden", f.file("both.npz")});
  CHECK(both.exit_code == 1);
  CHECK(contains(both.out, "0 of 60 values differ, 1 tensor cannot be compared"));
}

TEST_CASE("golden files: one array without a name is the network's only output") {
  const DeployedFixture f;
  const Tensor& z = f.expected.tensors[2];
  backends::write_npy(f.folder / "device.npy", z);
  backends::write_npz(f.folder / "device.npz", {{"arr_0", z}});
  backends::write_npy(f.folder / "wrong.npy", changed_at(z, 7));
  for (const char* golden : {"device.npy", "device.npz"}) {
    for (const CommandResult& result : all_three(f, golden, {}, "flatten")) {
      CAPTURE(result.err);
      CHECK(result.exit_code == 0);
    }
  }
  for (const CommandResult& result : all_three(f, "wrong.npy", {}, "flatten")) {
    CHECK(result.exit_code == 1);
  }
  // explain takes it for the layer that is asked about where it fits that.
  backends::write_npy(f.folder / "layer.npy", f.expected.tensors[1]);
  CHECK(all_three(f, "layer.npy")[2].exit_code == 0);
}

TEST_CASE("golden files: another number of images is one message, and --images chooses them") {
  const DeployedFixture f(Layout::nhwc, 10);
  const Tensor &y = f.expected.tensors[1], &z = f.expected.tensors[2];
  backends::write_npz(f.folder / "four.npz", {{"y", y.slice(0, 4)}, {"z", z.slice(0, 4)}});
  backends::write_npz(f.folder / "last.npz", {{"y", y.slice(6, 4)}, {"z", z.slice(6, 4)}});
  for (const CommandResult& result : all_three(f, "four.npz")) {
    CHECK(result.exit_code == 3);
    CHECK(count_of(result.err, "facsim: error:") == 1);
    CHECK(contains(result.err,
                   "four.npz: 4 images; expected 10 images, as the inputs are; "
                   "--images 0:3 says that golden holds the first"));
  }
  for (const CommandResult& result : all_three(f, "four.npz", {"--images", "0:3"})) {
    CHECK(result.exit_code == 0);
  }
  for (const CommandResult& result : all_three(f, "last.npz", {"--images", "6:9"})) {
    CHECK(result.exit_code == 0);
  }
  for (const CommandResult& result : all_three(f, "last.npz", {"--images", "0:3"})) {
    CHECK(result.exit_code == 1);  // others than golden holds
  }
  for (const CommandResult& result : all_three(f, "four.npz", {"--images", "7:10"})) {
    CHECK(result.exit_code == 3);
    CHECK(contains(result.err, "--images: 7:10; expected 0:9 at most"));
  }
  for (const char* range : {"3", "3:1", ":3", "a:b", "-1:2", "1:2:3"}) {
    CAPTURE(range);
    for (const CommandResult& result :
         all_three(f, "four.npz", {std::string("--images=") + range})) {
      CHECK(result.exit_code == 2);
      CHECK(contains(result.err, "expected FIRST:LAST"));
    }
  }
}

TEST_CASE("golden files: other inputs end the comparison, unless --fail-on lets them pass") {
  const DeployedFixture f;
  backends::write_npz(
      f.folder / "golden.npz",
      {{"x", changed_at(f.input, 5)}, {"y", f.expected.tensors[1]}, {"z", f.expected.tensors[2]}});
  const Words words = {"compare",       "--model",  f.file("net.json"),  "--inputs",
                       f.file("x.npz"), "--golden", f.file("golden.npz")};
  const auto with = [&](const Words& more) {
    Words all = words;
    all.insert(all.end(), more.begin(), more.end());
    return run_command(all);
  };
  const CommandResult stopped = with({"--junit", f.file("j.xml")});
  CHECK(stopped.exit_code == 1);
  CHECK(contains(stopped.out,
                 "DIFFERENT  inputs differ: x: 1 of 160 values, first at [0,0,2,1]: "
                 "ours "));
  CHECK(contains(stopped.out, "nothing else was compared"));
  CHECK(contains(backends::read_file(f.folder / "j.xml"), "<testcase name=\"inputs\""));
  const auto json = printed_json("compare", with({"--format", "json"}).out);
  CHECK(json.at("accepted") == false);
  CHECK(contains(json.at("stopped").get<std::string>(), "inputs differ: x"));
  CHECK(json.at("tensors").size() == 1);
  const CommandResult never = with({"--fail-on", "never"});
  CHECK(never.exit_code == 0);
  CHECK(contains(never.out, "of 280 values differ"));
  CHECK(with({"--fail-on", "lsb:1"}).exit_code == 0);  // one step of one input is let pass
  CHECK(contains(with({"--fail-on", "lsb:0"}).out, "inputs differ"));
  // Real values of the inputs are those codes.
  Tensor real(DType::float32, f.input.shape());
  for (int64_t i = 0; i < real.numel(); ++i) {
    real.data<float>()[i] = 0.5f * static_cast<float>(f.input.int_at(i) + 3);
  }
  backends::write_npz(f.folder / "golden.npz", {{"x", real}, {"z", f.expected.tensors[2]}});
  CHECK(with({}).exit_code == 0);
}

TEST_CASE("golden files: results of a run on other inputs end the comparison as well") {
  const DeployedFixture f;
  backends::write_npz(f.folder / "other.npz", {{"x", codes({5, 4, 4, 2}, 41)}});
  for (const char* side : {"x", "other"}) {
    const std::string name = side;
    REQUIRE(run_command({"run", "--model", f.file("net.json"), "--inputs", f.file(name + ".npz"),
                         "-o", f.file(name + "_out.npz")})
                .exit_code == 0);
  }
  const Words files = {"compare", f.file("x_out.npz"), f.file("other_out.npz")};
  const Words model = {"compare",       "--model",  f.file("net.json"),     "--inputs",
                       f.file("x.npz"), "--golden", f.file("other_out.npz")};
  for (Words words : {files, model}) {
    const CommandResult result = run_command(words);
    CHECK(result.exit_code == 1);
    CHECK(contains(result.out, "DIFFERENT  inputs differ: "));
    CHECK_FALSE(contains(result.out, "MISMATCH"));
    words.insert(words.end(), {"--fail-on", "never"});
    CHECK(contains(run_command(words).out, "values differ"));
  }
}

TEST_CASE("inputs in the other layout: the shape error says how to turn them") {
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    const DeployedFixture f(layout);
    const bool nhwc = layout == Layout::nhwc;
    const Tensor turned = nhwc ? fused::nchw_from_nhwc(f.input) : f.input;
    backends::write_npz(f.folder / "x.npz", {{"x", turned}});
    const CommandResult result = run_command(
        {"run", "--model", f.file("net.json"), "--inputs", f.file("x.npz"), "-o", f.file("o.npz")});
    CHECK(result.exit_code == 3);
    CHECK(contains(result.err, nhwc
                                   ? "NCHW where the network is NHWC: np.transpose(x, (0, 2, 3, 1))"
                                   : "NHWC where the network is NCHW: np.transpose(x, (0, 3, 1, "
                                     "2))"));
    backends::write_npz(f.folder / "x.npz", {{"x", codes({5, 3, 3, 2}, 1)}});
    CHECK_FALSE(contains(run_command({"run", "--model", f.file("net.json"), "--inputs",
                                      f.file("x.npz"), "-o", f.file("o.npz")})
                             .err,
                         "transpose"));
  }
}

TEST_CASE("compare: the first layer that differs comes first, the others a line each") {
  const TenLayerFixture f;
  backends::write_npz(f.folder / "golden.npz", f.run(f.input, {{"/requantize/rounding", "floor"}}));
  const CommandResult result =
      f.command({"compare"}, {"--golden", f.file("golden.npz"), "--no-diagnose"});
  CAPTURE(result.out);
  CHECK(result.exit_code == 1);
  CHECK(result.out.starts_with("DIFFERENT  "));
  CHECK(contains(result.out, "; first in conv1\n\nMISMATCH  layer conv1 (conv2d)"));
  CHECK(count_of(result.out, "got - expected") == 1);
  CHECK(result.out.find("MISMATCH") < result.out.find("\nlayer "));
  CHECK(count_of(result.out, "\nconv2 ") == 1);
  CHECK(contains(result.out, "no value differs in "));  // the network's input, layers of small sums
  // Classes are the largest of an output's values, not of a hidden layer's.
  const auto json = printed_json(
      "compare",
      f.command({"compare"}, {"--golden", f.file("golden.npz"), "--format", "json"}).out);
  for (const auto& tensor : json.at("tensors")) {
    CAPTURE(tensor.at("name").get<std::string>());
    CHECK(tensor.contains("argmax") == (tensor.at("name") == f.output_of("linear")));
  }
  // Mismatches of each are shown where their number is given.
  const CommandResult each =
      f.command({"compare"}, {"--golden", f.file("golden.npz"), "--no-diagnose", "--first", "1"});
  CHECK(count_of(each.out, "got - expected") > 5);
}

TEST_CASE("compare: --fail-on argmax without an output says why it fails") {
  const TenLayerFixture f;
  const std::string mean = f.output_of("mean");
  backends::write_npz(f.folder / "golden.npz", {{mean, f.value(mean)}});
  const CommandResult result =
      f.command({"compare"}, {"--golden", f.file("golden.npz"), "--fail-on", "argmax"});
  CHECK(result.exit_code == 1);
  CHECK(contains(result.err, "none of the tensors is an output of classes"));
}

TEST_CASE("compare and diagnose: tables fit a terminal, however long the names are") {
  TenLayerFixture f;
  const std::string stem(120, 'n');
  for (auto& node : f.graph.nodes) node.name = "StatefulPartitionedCall/" + stem + node.name;
  for (auto& tensor : f.graph.tensors) {
    if (!tensor.data && tensor.name != "x") tensor.name = stem + "/" + tensor.name;
  }
  backends::write_int_graph(f.folder / "net.json", f.graph);
  backends::write_npz(f.folder / "golden.npz", f.run(f.input, {{"/requantize/rounding", "floor"}}));
  const CommandResult compared =
      f.command({"compare"}, {"--golden", f.file("golden.npz"), "--no-diagnose"});
  CAPTURE(compared.out);
  const std::string report = compared.out.substr(0, compared.out.find("to name the cause"));
  for (size_t begin = 0; begin < report.size();) {
    const size_t end = std::min(report.find('\n', begin), report.size());
    const std::string line = report.substr(begin, end - begin);
    begin = end + 1;
    CAPTURE(line);
    CHECK((line.size() <= 100 || contains(line, ".json:")));  // who set a rule is not cut
  }
  CHECK(contains(report, "StatefulPa"));
  CHECK(contains(report, "...nnnn"));
  const CommandResult diagnosed = f.command({"diagnose"}, {"--golden", f.file("golden.npz")});
  CHECK(longest_line(diagnosed.out.substr(0, diagnosed.out.find("\n\n"))) <= 100);
}

TEST_CASE("hints: a tolerance without its number, a pointer without its slash, a quoted value") {
  const DeployedFixture f;
  const std::string x = f.file("x.npz");
  CHECK(contains(run_command({"compare", x, x, "--fail-on", "lsb"}).err, "lsb:N with a number"));
  CHECK(contains(run_command({"compare", x, x, "--fail-on", "rate"}).err, "rate:P with a number"));
  CHECK(contains(run_command({"compare", x, x, "--fail-on", "lbs:1"}).err, "did you mean \"lsb\""));
  CHECK(contains(run_command({"list", "ops", "--set", "requantize/rounding=floor"}).err,
                 "expected /pointer=value; did you mean \"/requantize/rounding\"?"));
  CHECK(contains(run_command({"explain", "conv[0,0,0,0]", "--model", f.file("net.json"), "--inputs",
                              x, "--with-set", "foo=1"})
                     .err,
                 "--with-set \"foo=1\": expected /pointer=value; did you mean \"/foo\"?"));
  const std::string word(70, 'w');
  f.folder.write("wrong.json", "{\"format\": \"" + word + "\"}");
  CHECK(contains(run_command({"inspect", f.file("wrong.json")}).err, word));
}

}  // namespace facsim::test
