// SPDX-License-Identifier: Apache-2.0
// facsim explain --against golden whose inputs of the layer are others.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/printed_schema.h"
#include "tests/tools/ten_layer_fixture.h"

namespace facsim::test {

namespace {

using Words = std::vector<std::string>;

backends::NamedTensors selected(const backends::NamedTensors& values, const Words& names) {
  backends::NamedTensors out;
  for (const std::string& name : names)
    out.emplace_back(name, TenLayerFixture::value_in(values, name));
  return out;
}

}  // namespace

TEST_CASE("facsim explain: golden's inputs that differ are said, with the first layer to look at") {
  const TenLayerFixture f;
  const backends::NamedTensors golden = f.run(f.input, {{"/requantize/rounding", "floor"}});
  backends::write_npz(f.folder / "golden.npz", golden);
  const Words against = {"--against", f.file("golden.npz")};
  const CommandResult result = f.command({"explain", "conv3"}, against);
  CAPTURE(result.out);
  CHECK(result.exit_code == 1);
  CHECK(contains(result.out, "golden's inputs of this layer differ"));
  CHECK_FALSE(contains(result.out, "no rounding of this sum gives the expected code"));
  CHECK(contains(result.out, "  inputs differ      " + f.output_of("leaky") + ": "));
  CHECK(contains(result.out, "  first to differ    layer conv1: "));
  CHECK(contains(result.out, "facsim explain conv1 shows it"));
  CHECK(contains(result.out, "B: golden's inputs"));

  Words as_json = against;
  as_json.insert(as_json.end(), {"--format", "json"});
  const auto json = printed_json("explain", f.command({"explain", "conv3"}, as_json).out);
  const auto& inputs = json.at("golden_inputs");
  REQUIRE(inputs.at("differ").size() == 1);
  CHECK(inputs.at("first_to_differ").at("node") == "conv1");
  // Which element, and both values, as the two runs have them.
  const auto& differ = inputs.at("differ")[0];
  const std::string tensor = differ.at("tensor");
  const Tensor &ours = f.value(tensor), &theirs = TenLayerFixture::value_in(golden, tensor);
  const std::vector<int64_t> at = differ.at("index");
  const int64_t per_image = ours.numel() / ours.shape()[0];
  int64_t flat = 0, mismatches = 0;
  for (size_t axis = 0; axis < at.size(); ++axis) {
    flat = flat * ours.shape()[static_cast<int>(axis)] + at[axis];
  }
  CHECK(differ.at("ours") == std::to_string(ours.int_at(flat)));
  CHECK(differ.at("golden") == std::to_string(theirs.int_at(flat)));
  for (int64_t i = 0; i < per_image; ++i) {
    const int64_t j = at[0] * per_image + i;
    mismatches += ours.int_at(j) != theirs.int_at(j);
    if (j < flat) CHECK(ours.int_at(j) == theirs.int_at(j));
  }
  CHECK(differ.at("mismatches") == mismatches);
}

TEST_CASE("facsim explain: from golden's inputs the layer computes golden's output, or does not") {
  const TenLayerFixture f;
  // Another input: every layer follows its rules, and golden's chain gives golden's code.
  const Tensor other = f.input.slice(0, f.input.shape()[0]).clone();
  Tensor changed = other.clone();
  for (int64_t i = 0; i < changed.numel(); i += 3) changed.set_int(i, neighbour(changed.int_at(i)));
  backends::NamedTensors golden = f.run(changed);
  const auto json_of = [&](const char* file, const char* element) {
    return printed_json(
        "explain",
        f.command({"explain", element}, {"--against", f.file(file), "--format", "json"}).out);
  };
  backends::write_npz(f.folder / "followed.npz", golden);
  for (const char* layer : {"conv2", "add", "average", "linear"}) {
    CAPTURE(layer);
    const auto json = json_of("followed.npz", layer);
    REQUIRE(json.contains("golden_inputs"));
    CHECK(json.at("golden_inputs").at("gives_expected") == true);
    CHECK(json.at("golden_inputs").at("from_golden").at("result") == json.at("expected"));
    CHECK(json.at("golden_inputs").at("first_to_differ").at("tensor") == "x");
    CHECK(contains(json.at("why").get<std::string>(), "it computes the expected code"));
  }
  // Without the tensors between: they are computed from what golden holds.
  backends::write_npz(f.folder / "ends.npz", selected(golden, {"x", f.output_of("linear")}));
  const auto ends = json_of("ends.npz", "linear");
  CHECK(ends.at("golden_inputs").at("gives_expected") == true);
  CHECK(ends.at("golden_inputs").at("differ")[0].at("held") == false);
  // A layer that computes otherwise as well.
  const std::string sum = f.output_of("add");
  for (auto& [name, tensor] : golden) {
    if (name != sum) continue;
    for (int64_t i = 0; i < tensor.numel(); ++i) tensor.set_int(i, neighbour(tensor.int_at(i)));
  }
  backends::write_npz(f.folder / "wrong.npz", golden);
  const auto wrong = json_of("wrong.npz", "add");
  CHECK(wrong.at("golden_inputs").at("gives_expected") == false);
  // Nothing upstream is in golden: nothing is known.
  backends::write_npz(f.folder / "alone.npz", selected(golden, {sum}));
  const CommandResult alone = f.command({"explain", "add"}, {"--against", f.file("alone.npz")});
  CHECK(contains(alone.out, "golden holds nothing that this layer depends on"));
  CHECK(json_of("alone.npz", "add").at("golden_inputs").at("known") == false);
}

TEST_CASE("facsim explain: equal inputs of golden leave the rounding to explain") {
  const TenLayerFixture f;
  backends::NamedTensors golden = f.values;
  const std::string tensor = f.output_of("conv2");
  for (auto& [name, values] : golden) {
    if (name == tensor) values = changed_at(values, 11);
  }
  backends::write_npz(f.folder / "golden.npz", golden);
  const CommandResult result = f.command({"explain", "conv2"}, {"--against", f.file("golden.npz")});
  CHECK(result.exit_code == 1);
  CHECK_FALSE(contains(result.out, "inputs"));
  const auto json = printed_json(
      "explain",
      f.command({"explain", "conv2"}, {"--against", f.file("golden.npz"), "--format", "json"}).out);
  CHECK(json.at("golden_inputs").at("known") == true);
  CHECK(json.at("golden_inputs").at("differ").empty());
  CHECK_FALSE(json.at("golden_inputs").contains("from_golden"));
}

}  // namespace facsim::test
