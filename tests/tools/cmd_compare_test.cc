// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "fused/value.h"
#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

namespace {

CommandResult compare_json(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"compare", "--format", "json"});
  return run_command(arguments);
}

}  // namespace

TEST_CASE("facsim compare: equal files exit 0, different ones 1, with counts and indices") {
  const TempFolder folder;
  const Tensor x = codes({3, 4}, 11);
  Tensor y = x.clone();
  y.set_int(6, x.int_at(6) + 2);
  backends::write_npz(folder / "a.npz", {{"s", x}, {"t", x}});
  backends::write_npz(folder / "b.npz", {{"t", y}, {"s", x}});
  const std::string a = (folder / "a.npz").string(), b = (folder / "b.npz").string();

  const CommandResult equal = run_command({"compare", a, a});
  CHECK(equal.exit_code == 0);
  CHECK(contains(equal.out, "EQUAL  0 of 24 values differ"));

  const CommandResult table = run_command({"compare", a, b});
  CHECK(table.exit_code == 1);
  CHECK(contains(table.out, "DIFFERENT  1 of 24 values differ"));
  CHECK(contains(table.out, "[1,2]  got"));
  CHECK(contains(table.out, "-2: 1"));

  const CommandResult result = compare_json({a, b});
  CHECK(result.exit_code == 1);
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json.at("equal") == false);
  CHECK(json.at("compared") == 24);
  CHECK(json.at("mismatches") == 1);
  CHECK(json.at("max_difference") == 2);
  const auto t = json.at("tensors")[1];
  CHECK(t.at("name") == "t");
  CHECK(t.at("histogram") == nlohmann::json({{"+0", 11}, {"-2", 1}}));
  CHECK(t.at("first")[0].at("index") == nlohmann::json({1, 2}));
  CHECK(t.at("argmax").at("images") == 3);
}

TEST_CASE("facsim compare: --fail-on decides what is refused") {
  const TempFolder folder;
  const Tensor x = Tensor::from<int8_t>({2, 2}, std::vector<int8_t>{1, 9, 8, 3});
  const Tensor y = Tensor::from<int8_t>({2, 2}, std::vector<int8_t>{2, 9, 8, 3});
  backends::write_npy(folder / "x.npy", x);
  backends::write_npy(folder / "y.npy", y);
  const std::pair<const char*, int> cases[] = {{"any", 1},      {"lsb:0", 1},     {"lsb:1", 0},
                                               {"rate:0.2", 1}, {"rate:0.25", 0}, {"argmax", 0},
                                               {"never", 0}};
  for (const auto& [tolerance, code] : cases) {
    CAPTURE(tolerance);
    const CommandResult result = compare_json(
        {(folder / "x.npy").string(), (folder / "y.npy").string(), "--fail-on", tolerance});
    CHECK(result.exit_code == code);
    CHECK(nlohmann::json::parse(result.out).at("accepted") == (code == 0));
  }
}

TEST_CASE("facsim compare: what cannot be compared is never equal") {
  const TempFolder folder;
  const Tensor x = codes({3, 4}, 11);
  backends::write_npz(folder / "one.npz", {{"s", x}});
  backends::write_npz(folder / "two.npz", {{"s", x}, {"t", x}});
  backends::write_npz(folder / "other.npz", {{"u", x}});
  backends::write_npz(folder / "shape.npz", {{"s", x.reshaped({4, 3})}});
  backends::write_npz(folder / "empty.npz", {{"s", Tensor(DType::int8, {0, 4})}});
  const auto file = [&](const char* name) { return (folder / name).string(); };

  const CommandResult missing = run_command({"compare", file("one.npz"), file("two.npz")});
  CHECK(missing.exit_code == 1);
  CHECK(contains(missing.out, "t: missing"));
  CHECK(run_command({"compare", file("two.npz"), file("one.npz")}).exit_code == 1);

  const std::pair<const char*, const char*> nothing[] = {
      {"one.npz", "other.npz"}, {"one.npz", "shape.npz"}, {"empty.npz", "empty.npz"}};
  for (const auto& [a, b] : nothing) {
    CAPTURE(b);
    const CommandResult result = run_command({"compare", file(a), file(b), "--fail-on", "never"});
    CHECK(result.exit_code == 3);
    CHECK(contains(result.err, "no value to compare"));
  }
  CHECK(contains(run_command({"compare", file("one.npz"), file("shape.npz")}).err,
                 "s: shape (3, 4); expected (4, 3)"));
}

TEST_CASE("facsim compare: a network against golden tensors, and how the first mismatch came") {
  using Layout = backends::IntGraph::Layout;
  for (const Layout layout : {Layout::nhwc, Layout::nchw}) {
    const DeployedFixture f(layout, 300);
    const auto in_file = [&](const Tensor& t) {
      return layout == Layout::nchw ? fused::nchw_from_nhwc(t) : t;
    };
    const Tensor& y = f.expected.tensors[1];
    Tensor wrong = y.clone();
    const int64_t changed = 270 * 12 + 7;  // image 270, pixel 2, channel 1
    const int64_t truth = y.int_at(changed);
    wrong.set_int(changed, truth == 127 ? 126 : truth + 1);
    backends::write_npz(f.folder / "x.npz", {{"x", in_file(f.input)}});
    backends::write_npz(f.folder / "good.npz", {{"y", in_file(y)}, {"z", f.expected.tensors[2]}});
    backends::write_npz(f.folder / "bad.npz",
                        {{"z", f.expected.tensors[2]}, {"y", in_file(wrong)}});
    const std::vector<std::string> model = {"--model", f.file("net.json"), "--inputs",
                                            f.file("x.npz"), "--golden"};
    const auto against = [&](const char* golden) {
      std::vector<std::string> arguments = model;
      arguments.push_back(f.file(golden));
      return compare_json(arguments);
    };
    const CommandResult good = against("good.npz");
    CAPTURE(good.err);
    CHECK(good.exit_code == 0);
    CHECK(nlohmann::json::parse(good.out).at("compared") == 300 * 24);

    const CommandResult bad = against("bad.npz");
    CHECK(bad.exit_code == 1);
    const auto json = nlohmann::json::parse(bad.out);
    CHECK(json.at("mismatches") == 1);
    CHECK(json.at("first_divergence") == "y");
    const auto first = json.at("tensors")[0].at("first")[0];
    CHECK(first.at("index") == (layout == Layout::nchw ? nlohmann::json({270, 1, 1, 0})
                                                       : nlohmann::json({270, 1, 0, 1})));
    const auto explanation = json.at("explanations")[0];
    CHECK(explanation.at("node") == "conv");
    CHECK(explanation.at("result") == truth);
    CHECK(explanation.contains("accumulator"));
    CHECK_FALSE(explanation.at("steps").empty());
  }
}

TEST_CASE("facsim compare: a changed rule of the profile is found") {
  const DeployedFixture f(backends::IntGraph::Layout::nhwc, 400);
  backends::write_npz(f.folder / "golden.npz", {{"z", f.expected.tensors[2]}});
  const std::vector<std::string> arguments = {
      "compare",       "--model",  f.file("net.json"),  "--inputs",
      f.file("x.npz"), "--golden", f.file("golden.npz")};
  CHECK(run_command(arguments).exit_code == 0);
  std::vector<std::string> changed = arguments;
  changed.insert(changed.end(), {"--set", "/requantize/rounding=floor"});
  const CommandResult result = run_command(changed);
  CAPTURE(result.err);
  CHECK(result.exit_code == 1);
}

TEST_CASE("facsim compare: unreadable files exit 3") {
  const TempFolder folder;
  folder.write("text.npy", "hello");
  folder.write("text.npz", "hello");
  for (const char* name : {"text.npy", "text.npz", "none.npy", "none.npz"}) {
    const std::string file = (folder / name).string();
    const CommandResult result = run_command({"compare", file, file});
    CAPTURE(result.err);
    CHECK(result.exit_code == 3);
    CHECK(contains(result.err, name));
  }
}

TEST_CASE("facsim compare: results of other inputs, networks or profiles are called so") {
  const DeployedFixture f;
  const auto run = [&](const char* inputs, const char* out, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"run",          "--model", f.file("net.json"), "--inputs",
                                      f.file(inputs), "-o",      f.file(out)};
    words.insert(words.end(), more.begin(), more.end());
    CHECK(run_command(words).exit_code == 0);
  };
  backends::write_npz(f.folder / "other.npz", {{"x", codes({5, 4, 4, 2}, 41)}});
  run("x.npz", "a.npz");
  run("x.npz", "same.npz");
  run("other.npz", "b.npz");
  run("x.npz", "c.npz", {"--set", "/requantize/rounding=floor"});
  const auto differing = [&](const char* other) {
    const auto json = nlohmann::json::parse(compare_json({f.file("a.npz"), f.file(other)}).out);
    return json.value("runs_differ", std::vector<std::string>{});
  };
  CHECK(differing("same.npz").empty());
  REQUIRE(differing("b.npz").size() == 1);
  CHECK(contains(differing("b.npz")[0], "inputs differ"));
  REQUIRE(differing("c.npz").size() == 1);
  CHECK(contains(differing("c.npz")[0], "profiles differ: tflite-micro"));
  CHECK(contains(run_command({"compare", f.file("a.npz"), f.file("b.npz")}).err, "inputs differ"));

  // A model against results of another run says it too.
  const CommandResult model = run_command({"compare", "--model", f.file("net.json"), "--inputs",
                                           f.file("other.npz"), "--golden", f.file("a.npz")});
  CHECK(contains(model.err, "inputs differ"));
}

}  // namespace facsim::test
