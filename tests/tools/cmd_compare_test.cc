// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>
#include <zip.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include <nlohmann/json.hpp>

#include "fused/value.h"
#include "tests/tools/deployed_fixture.h"
#include "tests/tools/printed_schema.h"

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
  const auto json = printed_json("compare", result.out);
  CHECK(json.at("equal") == false);
  CHECK(json.at("compared") == 24);
  CHECK(json.at("mismatches") == 1);
  CHECK(json.at("max_difference") == 2);
  const auto t = json.at("tensors")[1];
  CHECK(t.at("name") == "t");
  CHECK(t.at("histogram") == nlohmann::json({{{"difference", -2}, {"elements", 1}},
                                             {{"difference", 0}, {"elements", 11}}}));
  CHECK(t.at("first")[0].at("index") == nlohmann::json({1, 2}));
  CHECK(t.at("argmax").at("images") == 3);
  // The schema sees what is missing or of another kind.
  auto spoilt = json;
  spoilt["tensors"][1]["histogram"] = {{"-2", 1}};
  CHECK(contains(schema_findings("compare", spoilt.dump()), "histogram"));
  spoilt = json;
  spoilt.erase("accepted");
  CHECK(contains(schema_findings("compare", spoilt.dump()), "accepted"));
}

TEST_CASE("compare.schema.json has the definitions of explain's and diagnose's") {
  const auto definitions = [](const std::string& name) {
    return nlohmann::json::parse(
               contents(FACSIM_SOURCE_DIR "/configs/schema/" + name + ".schema.json"))
        .at("definitions");
  };
  const auto compare = definitions("compare"), explain = definitions("explain"),
             diagnose = definitions("diagnose");
  for (const char* name : {"count", "index", "setting", "element"}) {
    CHECK(compare.at(name) == explain.at(name));
  }
  for (const char* name : {"finding", "settings", "cause"}) {
    CHECK(compare.at(name) == diagnose.at(name));
  }
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
    CHECK(printed_json("compare", result.out).at("accepted") == (code == 0));
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
    CHECK(printed_json("compare", good.out).at("compared") == 300 * 24);

    const CommandResult bad = against("bad.npz");
    CHECK(bad.exit_code == 1);
    const auto json = printed_json("compare", bad.out);
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
  CHECK(contains(result.out, "to name the cause: facsim diagnose --model "));
}

TEST_CASE("facsim compare: the probable cause, unless it is not asked for") {
  const DeployedFixture f(backends::IntGraph::Layout::nhwc, 400);
  backends::write_npz(f.folder / "golden.npz",
                      {{"y", f.expected.tensors[1]}, {"z", f.expected.tensors[2]}});
  const std::vector<std::string> arguments = {"compare",
                                              "--model",
                                              f.file("net.json"),
                                              "--inputs",
                                              f.file("x.npz"),
                                              "--golden",
                                              f.file("golden.npz"),
                                              "--set",
                                              "/requantize/rounding=floor"};
  const CommandResult table = run_command(arguments);
  CAPTURE(table.out);
  CHECK(contains(table.out, "  probable cause     the device rounds half_up by 31"));
  CHECK(contains(table.out, "  try                facsim compare --model "));
  CHECK(contains(table.out, "  set by             "));
  std::vector<std::string> as_json = arguments;
  as_json.insert(as_json.end(), {"--format", "json"});
  const auto json = printed_json("compare", run_command(as_json).out);
  const auto& cause = json.at("probable_cause");
  CHECK(cause.at("images_tried") == 8);
  CHECK(cause.at("complete") == true);
  const auto& first = cause.at("causes")[0];
  CHECK(first.at("explained") == first.at("of"));
  CHECK(first.at("introduced") == 0);
  CHECK(first.at("settings")[0].at("pointer") == "/requantize/rounding");
  // What it says to try makes the difference go away.
  std::vector<std::string> tried = arguments;
  tried.back() = "/requantize/rounding=" + first.at("settings")[0].at("to").dump();
  CHECK(run_command(tried).exit_code == 0);

  std::vector<std::string> without = arguments;
  without.push_back("--no-diagnose");
  const CommandResult plain = run_command(without);
  CHECK(plain.exit_code == 1);
  CHECK_FALSE(contains(plain.out, "probable cause"));
  CHECK(contains(plain.out, "to name the cause: facsim diagnose --model "));
}

TEST_CASE("facsim compare: text beside the arrays of the inputs is passed over") {
  const DeployedFixture f;
  std::string header = "{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }";
  header.resize(117, ' ');
  const std::string text = std::string("\x93NUMPY\x01\x00\x76\x00", 10) + header + "\n" +
                           std::string("a\0\0\0b\0\0\0c\0\0\0", 12);
  int code = 0;
  zip_t* archive = zip_open(f.file("x.npz").c_str(), 0, &code);
  REQUIRE(archive != nullptr);
  zip_source_t* source = zip_source_buffer(archive, text.data(), text.size(), 0);
  REQUIRE(zip_file_add(archive, "source.npy", source, 0) >= 0);
  REQUIRE(zip_close(archive) == 0);
  backends::write_npz(f.folder / "golden.npz", {{"z", f.expected.tensors[2]}});
  const CommandResult result = run_command({"compare", "--model", f.file("net.json"), "--inputs",
                                            f.file("x.npz"), "--golden", f.file("golden.npz")});
  CAPTURE(result.err);
  CHECK(result.exit_code == 0);
  CHECK(contains(result.err, "passed over: "));
}

TEST_CASE("facsim compare: --runtime, where the runtimes are") {
  const char* folder = std::getenv("FACSIM_RUNTIMES");
  const bool has_them =
      folder != nullptr && std::filesystem::exists(std::filesystem::path(folder) / "run_onnx.mjs");
  if (!has_them) {
    // Not "SKIPPED:", which would call all of this binary skipped.
    std::cout << "facsim compare --runtime is not tried: FACSIM_RUNTIMES names no runtimes\n";
    return;
  }
  const DeployedFixture f(backends::IntGraph::Layout::nhwc, 8);
  const std::pair<const char*, const char*> runtimes[] = {{"onnxruntime", "net.onnx"},
                                                          {"tflite", "net.tflite"}};
  for (const auto& [runtime, file] : runtimes) {
    CAPTURE(runtime);
    REQUIRE(
        run_command({"export", "--model", f.file("net.json"), "--to", f.file(file)}).exit_code ==
        0);
    const bool is_onnx = std::string_view(runtime) == "onnxruntime";
    backends::write_npz(f.folder / "in.npz",
                        {{"x", is_onnx ? fused::nchw_from_nhwc(f.input) : f.input}});
    const std::vector<std::string> arguments = {"compare",        "--model",  f.file(file),
                                                "--runtime",      runtime,    "--inputs",
                                                f.file("in.npz"), "--format", "json"};
    const CommandResult result = run_command(arguments);
    CAPTURE(result.err);
    CHECK(result.exit_code == 0);
    CHECK(printed_json("compare", result.out).at("compared") > 0);
    // Under another rounding it differs, and the cause is the one that was put in.
    std::vector<std::string> changed = arguments;
    changed.insert(changed.end(), {"--set", "/requantize/rounding=ceil"});
    const CommandResult other = run_command(changed);
    CAPTURE(other.err);
    CHECK(other.exit_code == 1);
    const auto json = printed_json("compare", other.out);
    CHECK(json.at("mismatches") > 0);
    CHECK(json.at("probable_cause").at("causes")[0].at("settings")[0].at("pointer") ==
          "/requantize/rounding");
  }
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
    const auto json = printed_json("compare", compare_json({f.file("a.npz"), f.file(other)}).out);
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

TEST_CASE("facsim compare: names that converters change are matched and told, others by --map") {
  const DeployedFixture f;
  const Tensor &y = f.expected.tensors[1], &z = f.expected.tensors[2];
  backends::write_npz(f.folder / "tf.npz", {{"y/Relu:0", y}, {"z_quantized", z}});
  backends::write_npz(f.folder / "other.npz", {{"first", y}, {"second", z}});
  f.folder.write("map.json", "{\"y\": \"first\", \"z\": \"second\"}");
  f.folder.write("wrong.json", "{\"y\": \"frist\"}");
  const auto compare = [&](const char* golden, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"compare",       "--model",  f.file("net.json"), "--inputs",
                                      f.file("x.npz"), "--golden", f.file(golden)};
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words);
  };
  const CommandResult converted = compare("tf.npz");
  CAPTURE(converted.err);
  CHECK(converted.exit_code == 0);
  CHECK(contains(converted.err, "compared under other names: y = y/Relu:0, z = z_quantized"));
  // Shape and order alone are told, not used.
  const CommandResult guess = compare("other.npz");
  CHECK(guess.exit_code == 3);
  CHECK(contains(guess.err, "no value to compare"));
  CHECK(contains(guess.err, "{\"y\": \"first\", \"z\": \"second\"}; if they are the same"));
  CHECK(compare("other.npz", {"--map", f.file("map.json")}).exit_code == 0);
  const CommandResult wrong = compare("other.npz", {"--map", f.file("wrong.json")});
  CHECK(wrong.exit_code == 3);
  CHECK(contains(wrong.err, "no tensor \"frist\"; did you mean \"first\"?"));
  // Two files: the same rules.
  backends::write_npz(f.folder / "ours.npz", {{"y", y}, {"z", z}});
  CHECK(run_command({"compare", f.file("ours.npz"), f.file("tf.npz")}).exit_code == 0);
  CHECK(run_command({"compare", f.file("ours.npz"), f.file("other.npz")}).exit_code == 3);
  CHECK(
      run_command({"compare", f.file("ours.npz"), f.file("other.npz"), "--map", f.file("map.json")})
          .exit_code == 0);
}

TEST_CASE("facsim compare: another layout is one line, not thousands of mismatches") {
  const DeployedFixture f(backends::IntGraph::Layout::nhwc, 20);
  const Tensor& y = f.expected.tensors[1];
  backends::write_npz(f.folder / "nchw.npz", {{"y", fused::nchw_from_nhwc(y)}});
  backends::write_npz(f.folder / "nhwc.npz", {{"y", y}});
  std::vector<std::string> words = {"compare",       "--model",  f.file("net.json"), "--inputs",
                                    f.file("x.npz"), "--golden", f.file("nchw.npz")};
  const CommandResult model = run_command(words);
  CAPTURE(model.err);
  CHECK(model.exit_code == 1);
  const char* line =
      "is NCHW where ours is NHWC (y): compare with --layout nchw; 0 of 240 values differ when "
      "transposed";
  CHECK(contains(model.out, line));
  CHECK_FALSE(contains(model.out, "expected ("));
  words.insert(words.end(), {"--layout", "nchw"});
  CHECK(run_command(words).exit_code == 0);

  CHECK(contains(run_command({"compare", f.file("nhwc.npz"), f.file("nchw.npz")}).out, line));
  CHECK(run_command({"compare", f.file("nhwc.npz"), f.file("nchw.npz"), "--layout", "nchw"})
            .exit_code == 0);
  CHECK(run_command({"compare", f.file("nchw.npz"), f.file("nhwc.npz"), "--layout", "nhwc"})
            .exit_code == 0);

  // Where the shapes fit either way, the values decide.
  const Tensor cube = codes({2, 4, 4, 4}, 37);
  Tensor other = fused::nchw_from_nhwc(cube).clone();
  backends::write_npz(f.folder / "cube.npz", {{"t", cube}});
  backends::write_npz(f.folder / "turned.npz", {{"t", other}});
  const CommandResult turned = compare_json({f.file("cube.npz"), f.file("turned.npz")});
  CHECK(turned.exit_code == 1);
  const auto json = printed_json("compare", turned.out);
  REQUIRE(json.contains("layouts"));
  CHECK(json.at("layouts")[0].at("theirs") == "NCHW");
  CHECK(json.at("layouts")[0].at("mismatches_transposed") == 0);
  CHECK(json.at("layouts")[0].at("mismatches") == json.at("mismatches"));
  // A wrong value is no layout.
  Tensor wrong = cube.clone();
  wrong.set_int(5, wrong.int_at(5) == 0 ? 1 : 0);
  backends::write_npz(f.folder / "wrong.npz", {{"t", wrong}});
  CHECK_FALSE(printed_json("compare", compare_json({f.file("cube.npz"), f.file("wrong.npz")}).out)
                  .contains("layouts"));
}

TEST_CASE("facsim compare: equal shapes in another layout are the verdict, without mismatches") {
  const TempFolder folder;
  const Tensor cube = codes({1, 16, 16, 16}, 37);
  backends::write_npy(folder / "a.npy", cube);
  backends::write_npy(folder / "b.npy", fused::nchw_from_nhwc(cube));
  const CommandResult turned =
      run_command({"compare", (folder / "a.npy").string(), (folder / "b.npy").string()});
  CHECK(turned.exit_code == 1);
  CHECK(contains(turned.out,
                 "DIFFERENT  the other side is NCHW where ours is NHWC (tensor): compare with "
                 "--layout nchw; 0 of 4,096 values differ when transposed, "));
  CHECK_FALSE(contains(turned.out, "expected ("));
  CHECK_FALSE(contains(turned.out, "values differ;"));
  CHECK(std::count(turned.out.begin(), turned.out.end(), '\n') == 1);
  // What differs beside it is shown, and only that.
  const Tensor x = codes({3, 4}, 11);
  Tensor y = x.clone();
  y.set_int(6, x.int_at(6) + 2);
  backends::write_npz(folder / "a.npz", {{"s", x}, {"cube", cube}});
  backends::write_npz(folder / "b.npz", {{"s", y}, {"cube", fused::nchw_from_nhwc(cube)}});
  const CommandResult both =
      run_command({"compare", (folder / "a.npz").string(), (folder / "b.npz").string()});
  CAPTURE(both.out);
  CHECK(contains(both.out, "; first in s\n"));
  CHECK(contains(both.out, "where ours is NHWC (cube)"));
  CHECK(contains(both.out, "  -2: 1\n"));
  CHECK_FALSE(contains(both.out, "\ncube"));
}

TEST_CASE("facsim compare: a histogram fits its line, an unnamed tensor has no file's name") {
  const TempFolder folder;
  const Tensor big = codes({1, 4096}, 37);
  Tensor other(DType::int8, {1, 4096});
  for (int64_t i = 0; i < other.numel(); ++i) other.set_int(i, i * i % 253 - 126);
  backends::write_npy(folder / "big_a.npy", big);
  backends::write_npy(folder / "big_b.npy", other);
  const CommandResult result =
      run_command({"compare", (folder / "big_a.npy").string(), (folder / "big_b.npy").string()});
  CAPTURE(result.out);
  CHECK(contains(result.out, " values differ\n\ntensor\n  got - expected (LSB):  -4: "));
  CHECK(contains(result.out, " others: "));
  CHECK_FALSE(contains(result.out, "big_b"));
  const std::string histogram = result.out.substr(result.out.find("  got - expected"));
  CHECK(histogram.find('\n') < 120);
  // The side that has a name gives it.
  backends::write_npz(folder / "named.npz", {{"probabilities", other}});
  for (const bool swapped : {false, true}) {
    std::vector<std::string> files = {(folder / "big_a.npy").string(),
                                      (folder / "named.npz").string()};
    if (swapped) std::swap(files[0], files[1]);
    const auto json = printed_json("compare", compare_json(files).out);
    CHECK(json.at("tensors")[0].at("name") == "probabilities");
  }
}

TEST_CASE("facsim compare: --fail-on with a number out of range says the range") {
  const TempFolder folder;
  backends::write_npy(folder / "x.npy", codes({2, 2}, 11));
  const std::string x = (folder / "x.npy").string();
  const std::pair<const char*, const char*> rows[] = {
      {"rate:1.5", "rate:P with a number from 0 to 1"},
      {"rate:nan", "rate:P with a number from 0 to 1"},
      {"lsb:-1", "lsb:N with a number, an integer from 0"},
      {"lsb:1.5", "lsb:N with a number, an integer from 0"},
      {"any:1", "any without a number"}};
  for (const auto& [tolerance, expected] : rows) {
    CAPTURE(tolerance);
    const CommandResult result = run_command({"compare", x, x, "--fail-on", tolerance});
    CHECK(result.exit_code == 2);
    CHECK(contains(result.err, expected));
    CHECK_FALSE(contains(result.err, "did you mean"));
  }
}

TEST_CASE("facsim compare: a cause of one value is said to be of one") {
  const DeployedFixture f(backends::IntGraph::Layout::nhwc, 40);
  Tensor y = f.expected.tensors[1].clone();
  int64_t i = 0;
  while (y.int_at(i) < -100 || y.int_at(i) > 100) ++i;
  y.set_int(i, y.int_at(i) - 1);
  backends::write_npz(f.folder / "golden.npz", {{"y", y}});
  const std::vector<std::string> words = {"compare",           "--model",       f.file("net.json"),
                                          "--inputs",          f.file("x.npz"), "--golden",
                                          f.file("golden.npz")};
  const CommandResult one = run_command(words);
  CAPTURE(one.out);
  CHECK(contains(one.out, "  probable cause "));
  CHECK(contains(one.out, "only 1 value differs: too few to decide, more inputs may"));
}

TEST_CASE("facsim compare: --layers and --ignore choose what is compared") {
  const DeployedFixture f;
  Tensor bad = f.expected.tensors[2].clone();
  bad.set_int(0, bad.int_at(0) == 0 ? 1 : 0);
  backends::write_npz(f.folder / "g.npz", {{"y", f.expected.tensors[1]}, {"z", bad}, {"u", bad}});
  const auto code = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"compare",       "--model",  f.file("net.json"), "--inputs",
                                      f.file("x.npz"), "--golden", f.file("g.npz")};
    words.insert(words.end(), more.begin(), more.end());
    return run_command(words).exit_code;
  };
  CHECK(code({}) == 1);
  CHECK(code({"--layers", "y"}) == 0);
  CHECK(code({"--layers", "con*"}) == 0);  // the node that computes y
  CHECK(code({"--ignore", "z", "--ignore", "u"}) == 0);
  CHECK(code({"--ignore", "[uz]"}) == 0);
  CHECK(code({"--ignore", "z"}) == 1);   // u is not in the network
  CHECK(code({"--layers", "q*"}) == 2);  // matches nothing
  const CommandResult files =
      run_command({"compare", f.file("g.npz"), f.file("g.npz"), "--layers", "yy"});
  CHECK(files.exit_code == 2);
  CHECK(contains(files.err, "--layers \"yy\" matches no tensor; did you mean \"y\"?"));
}

TEST_CASE("facsim compare: the block about the first mismatch, and --junit") {
  const DeployedFixture f(backends::IntGraph::Layout::nhwc, 400);
  backends::write_npz(f.folder / "golden.npz",
                      {{"y", f.expected.tensors[1]}, {"z", f.expected.tensors[2]}});
  const CommandResult result = run_command(
      {"compare", "--model", f.file("net.json"), "--inputs", f.file("x.npz"), "--golden",
       f.file("golden.npz"), "--set", "/requantize/rounding=floor", "--junit", f.file("j.xml")});
  CHECK(result.exit_code == 1);
  for (const char* part :
       {"MISMATCH  layer conv (conv2d)  ", "max |d| = 1 LSB", "  first at           y[", "acc ",
        "range seen ", "of 32 bits", "scale[c=", "tie distance", "expected ", "this profile",
        "another rounding or multiplier of the same sum", "set by", "--set",
        "/requantize/rounding = \"floor\""}) {
    CAPTURE(part);
    CHECK(contains(result.out, part));
  }
  // z copies y: it is explained on demand only.
  CHECK_FALSE(contains(result.out, "layer flatten"));
  const std::string junit = backends::read_file(f.folder / "j.xml");
  CHECK(contains(junit, "tests=\"2\" failures=\"2\""));
  CHECK(contains(junit, "<testcase name=\"conv\" classname=\"facsim.compare\">"));
  CHECK(contains(junit, "values differ, max |d| = 1 LSB; first at ["));
  const CommandResult every =
      run_command({"compare", "--model", f.file("net.json"), "--inputs", f.file("x.npz"),
                   "--golden", f.file("golden.npz"), "--set", "/requantize/rounding=floor",
                   "--explain", "--fail-on", "lsb:1", "--junit", f.file("j.xml")});
  CHECK(every.exit_code == 0);
  CHECK(contains(every.out, "layer flatten"));
  CHECK(contains(backends::read_file(f.folder / "j.xml"), "tests=\"2\" failures=\"0\""));
}

TEST_CASE("facsim compare: options that do not go together exit 2") {
  const DeployedFixture f;
  const std::string net = f.file("net.json"), x = f.file("x.npz");
  const std::vector<std::string> cases[] = {
      {x},
      {x, x, "--model", net, "--inputs", x, "--golden", x},
      {"--model", net, "--inputs", x},
      {"--model", net, "--golden", x},
      {x, x, "--runtime", "tflite"},
      {x, x, "--explain"},
      {x, x, "--junit", x},
      {"--model", net, "--inputs", x, "--golden", x, "--runtime", "tflite"},
      {"--model", net, "--inputs", x, "--runtime", "onnxruntime"},
      {"--model", net, "--inputs", x, "--golden", x, "--runtimes", "."},
      {x, x, "--layout", "hwcn"}};
  for (std::vector<std::string> words : cases) {
    CAPTURE(words.size());
    words.insert(words.begin(), "compare");
    const CommandResult result = run_command(words);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
  }
}

TEST_CASE("facsim compare: two big files are never in memory") {
  const TempFolder folder;
  const int64_t kElements = int64_t{48} << 20;
  const Tensor small = codes({16}, 3);
  backends::write_npy(folder / "small.npy", small);
  {
    Tensor big(DType::int8, {kElements});
    backends::write_npy(folder / "zero.npy", big);
    backends::write_npz(folder / "zero.npz", {{"zero", big}});
    std::memset(big.raw(), 1, big.bytes());
    big.set_int(kElements - 1, 0);
    backends::write_npz(folder / "one.npz", {{"zero", big}});
  }
  const auto peak = [&](const char* a, const char* b, int exit_code) {
    const CommandResult result =
        run_command({"compare", (folder / a).string(), (folder / b).string()});
    CAPTURE(result.err);
    CHECK(result.exit_code == exit_code);
    return result.peak_kilobytes;
  };
  const int64_t base = peak("small.npy", "small.npy", 0);
  CHECK(base > 0);
  // Buffers of a piece of each side; an array would be 48 MiB more.
  const int64_t kRoom = 8 << 10;
  CHECK(peak("zero.npy", "zero.npz", 0) < base + kRoom);
  CHECK(peak("zero.npz", "one.npz", 1) < base + kRoom);
  const auto json = printed_json(
      "compare", compare_json({(folder / "zero.npz").string(), (folder / "one.npz").string()}).out);
  CHECK(json.at("mismatches") == kElements - 1);
  CHECK(json.at("tensors")[0].at("histogram") ==
        nlohmann::json({{{"difference", -1}, {"elements", kElements - 1}},
                        {{"difference", 0}, {"elements", 1}}}));
}

}  // namespace facsim::test
