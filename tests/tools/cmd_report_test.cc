// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "tests/tools/training_fixture.h"

namespace facsim::test {

namespace {

void run_deployed(const TrainingFixture& f, const std::string& output,
                  std::vector<std::string> more) {
  std::vector<std::string> words = {"run",
                                    "--model",
                                    f.file("out/model.json"),
                                    "--inputs",
                                    f.file("out/input.npz"),
                                    "--dump",
                                    "all",
                                    "-o",
                                    f.file(output)};
  words.insert(words.end(), more.begin(), more.end());
  REQUIRE(run_command(words).exit_code == 0);
}

}  // namespace

TEST_CASE("facsim report: summary and page say what the runs say") {
  const TrainingFixture f;
  REQUIRE(run_command(f.qat({"--epochs", "1", "--dump", "all"})).exit_code == 0);
  run_deployed(f, "deployed.npz", {});
  run_deployed(f, "control.npz", {"--set", "/requantize/rounding=floor"});
  std::vector<std::string> words = {"report",
                                    "--training",
                                    f.file("out"),
                                    "--deployed",
                                    f.file("deployed.npz"),
                                    "--control",
                                    f.file("control.npz"),
                                    "--control-setting",
                                    "/requantize/rounding=floor",
                                    "--output",
                                    f.file(""),
                                    "--seconds",
                                    "12.5",
                                    "--format",
                                    "json"};
  CommandResult result = run_command(words);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto summary = nlohmann::json::parse(contents(f.folder / "summary.json"));
  CHECK(summary == nlohmann::json::parse(result.out));
  const auto history = nlohmann::json::parse(contents(f.folder / "out/history.json"));
  CHECK(summary.at("profile") == "tflite-micro");
  CHECK(summary.at("float_accuracy") == history.at("float_accuracy"));
  CHECK(summary.at("qat_accuracy") == history.at("qat_accuracy"));
  CHECK(summary.at("deployed_accuracy") == history.at("qat_accuracy"));
  CHECK(summary.at("compared") == 48 * (64 + 64 + 64 + 2));
  CHECK(summary.at("mismatches") == 0);
  CHECK(summary.at("control_mismatches").get<int64_t>() > 0);
  CHECK(summary.at("fake_quantize_compared") == history.at("fake_quantize").at("compared"));
  CHECK(summary.at("fake_quantize_mismatches") == history.at("fake_quantize").at("mismatches"));
  CHECK(summary.at("fake_quantize_flips") == history.at("fake_quantize").at("flips"));
  CHECK(summary.at("seconds") == 12.5);
  CHECK(summary.size() == 11);

  const std::string page = contents(f.folder / "report.html");
  CHECK(contains(page, "0 mismatches of 9,312 compared values"));
  CHECK(contains(page, "Accumulator occupancy"));
  // Nothing is loaded from anywhere.
  for (const char* external : {"http:", "https:", "src=", "href=", "@import", "url("}) {
    CAPTURE(external);
    CHECK(!contains(page, external));
  }

  // A run that differs is seen, counted and returned.
  backends::NamedTensors changed = backends::read_npz(f.folder / "deployed.npz");
  changed.back().second.set_int(0, changed.back().second.int_at(0) == 5 ? 8 : 5);
  backends::write_npz(f.folder / "deployed.npz", changed);
  result = run_command(words);
  CHECK(result.exit_code == 1);
  CHECK(nlohmann::json::parse(result.out).at("mismatches") == 1);
  CHECK(contains(contents(f.folder / "report.html"), "1 mismatches of 9,312 compared values"));
}

TEST_CASE("facsim report: refuses a run of other images and a damaged history") {
  const TrainingFixture f;
  REQUIRE(run_command(f.qat({"--epochs", "0", "--dump", "all"})).exit_code == 0);
  run_deployed(f, "deployed.npz", {});
  const std::vector<std::string> words = {"report",     "--training",           f.file("out"),
                                          "--deployed", f.file("deployed.npz"), "--output",
                                          f.file("")};
  CHECK(run_command(words).exit_code == 0);
  backends::NamedTensors fewer = backends::read_npz(f.folder / "deployed.npz");
  for (auto& [name, tensor] : fewer) tensor = tensor.slice(0, 3).clone();
  backends::write_npz(f.folder / "deployed.npz", fewer);
  CommandResult result = run_command(words);
  CHECK(result.exit_code == 3);
  CHECK(contains(result.err, "is it a run of the same images"));

  for (const char* text : {"", "[]", "{\"format\": \"facsim-history\", \"version\": 1}",
                           "{\"format\": 3, \"version\": 1}"}) {
    CAPTURE(text);
    f.folder.write("out/history.json", text);
    result = run_command(words);
    CHECK(result.exit_code == 3);
    CHECK(contains(result.err, "history.json"));
  }
}

}  // namespace facsim::test
