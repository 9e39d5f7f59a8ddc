// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/suite.h"

#include <doctest/doctest.h>

#include <functional>
#include <set>

#include "backends/io/provenance.h"
#include "backends/parity/junit.h"
#include "tests/backends/schema_validator.h"
#include "tests/formats/temp_folder.h"

namespace facsim::test {

namespace {

using backends::Suite;
using backends::SuiteCase;
using backends::SuiteGolden;
using SuiteJson = nlohmann::json;

const std::filesystem::path kSuiteSource = FACSIM_SOURCE_DIR;

SuiteJson suite_schema() {
  return SuiteJson::parse(contents(kSuiteSource / "configs/schema/suite.schema.json"));
}

SuiteGolden golden_of(char digit, std::string reason) {
  return {std::string(32, digit),
          SuiteGolden::Origin::recorded,
          std::string(32, 'a'),
          std::string(16, 'b'),
          "0.1.0",
          "2026-11-29T00:44:10Z",
          std::move(reason)};
}

Suite two_cases() {
  Suite suite;
  suite.name = "two";
  suite.profile = "../chip.json";
  suite.network = "/models/n.onnx";
  suite.dims = {{"N", 1}, {"T", 16}};
  suite.qdq = "every";
  suite.settings = {{"/accumulator/bits", "20"}, {"/requantize/rounding", "floor"}};
  suite.cases = {{"day", std::string(32, '1'), golden_of('2', "init"), {}},
                 {"night.2",
                  std::string(32, '3'),
                  golden_of('4', "µ \"b\""),
                  {golden_of('5', "init"), golden_of('6', "then")}}};
  return suite;
}

/// The first ```json block of a page.
std::string json_block(const std::string& page) {
  const size_t start = page.find("```json\n");
  REQUIRE(start != std::string::npos);
  const size_t begin = start + 8;
  return page.substr(begin, page.find("```", begin) - begin);
}

/// Names of all members that a schema declares, wherever they are.
void collect_members(const SuiteJson& schema, std::set<std::string>& names) {
  if (schema.is_array()) {
    for (const SuiteJson& part : schema) collect_members(part, names);
  }
  if (!schema.is_object()) return;
  for (const auto& [key, value] : schema.items()) {
    if (key == "properties") {
      for (const auto& [name, ignored] : value.items()) names.insert(name);
    }
    collect_members(value, names);
  }
}

}  // namespace

TEST_CASE("suite.json: what is written is read again, and follows the published schema") {
  const TempFolder folder;
  const Suite suite = two_cases();
  backends::write_suite(folder.path(), suite);
  const Suite again = backends::read_suite(folder.path());
  CHECK(again.name == suite.name);
  CHECK(again.network == suite.network);
  CHECK(again.dims == suite.dims);
  CHECK(again.qdq == suite.qdq);
  CHECK(again.profile == suite.profile);
  REQUIRE(again.settings.size() == 2);
  CHECK(again.settings[1].pointer == "/requantize/rounding");
  CHECK(again.settings[1].value == "floor");
  CHECK(again.cases == suite.cases);
  CHECK(folder.files() == 1);
  PublishedSchema schema(suite_schema());
  CHECK(schema.findings(SuiteJson::parse(contents(folder / "suite.json"))) == "");
}

TEST_CASE("SUITES.md: the example is a suite, and every member is explained") {
  const std::string page = contents(kSuiteSource / "configs/SUITES.md");
  const std::string example = json_block(page);
  const TempFolder folder;
  folder.write("suite.json", example);
  const Suite suite = backends::read_suite(folder.path());
  CHECK(suite.cases.size() == 1);
  CHECK(suite.dims.at("N") == 1);
  PublishedSchema schema(suite_schema());
  CHECK(schema.findings(SuiteJson::parse(example)) == "");
  std::set<std::string> members;
  collect_members(suite_schema(), members);
  CHECK(members.size() == 21);
  for (const std::string& member : members) {
    CAPTURE(member);
    CHECK(contains(page, "`" + member + "`"));
  }
}

TEST_CASE("read_suite: reader and schema refuse the same files, with their place") {
  const TempFolder folder;
  backends::write_suite(folder.path(), two_cases());
  const SuiteJson good = SuiteJson::parse(contents(folder / "suite.json"));
  PublishedSchema schema(suite_schema());
  struct Row {
    const char* what;
    std::function<void(SuiteJson&)> change;
    ErrorCode code;
    const char* text;
  };
  const Row rows[] = {
      {"format", [](auto& j) { j["format"] = "other"; }, ErrorCode::bad_value, "/format"},
      {"newer", [](auto& j) { j["version"] = 2; }, ErrorCode::unsupported, "newer facsim"},
      {"no name", [](auto& j) { j.erase("name"); }, ErrorCode::missing_key, "name"},
      {"empty name", [](auto& j) { j["name"] = ""; }, ErrorCode::bad_value, "/name"},
      {"misspelt", [](auto& j) { j["case"] = 1; }, ErrorCode::unknown_key, "\"cases\""},
      {"no cases", [](auto& j) { j["cases"] = SuiteJson::array(); }, ErrorCode::bad_value,
       "/cases"},
      {"qdq", [](auto& j) { j["network"]["qdq"] = "all"; }, ErrorCode::bad_value, "/network/qdq"},
      {"dim", [](auto& j) { j["network"]["dims"]["N"] = 0; }, ErrorCode::bad_value, "/dims/N"},
      {"setting", [](auto& j) { j["profile"]["settings"][0].erase("value"); },
       ErrorCode::missing_key, "/profile/settings/0"},
      {"path as name", [](auto& j) { j["cases"][0]["name"] = "../x"; }, ErrorCode::bad_value,
       "/cases/0/name"},
      {"hidden", [](auto& j) { j["cases"][0]["name"] = ".x"; }, ErrorCode::bad_value,
       "/cases/0/name"},
      {"inputs", [](auto& j) { j["cases"][1]["inputs"] = "12"; }, ErrorCode::bad_value,
       "32 hex digits"},
      {"capital", [](auto& j) { j["cases"][1]["inputs"] = std::string(32, 'A'); },
       ErrorCode::bad_value, "/cases/1/inputs"},
      {"profile", [](auto& j) { j["cases"][1]["golden"]["profile"] = std::string(32, 'a'); },
       ErrorCode::bad_value, "16 hex digits"},
      {"origin", [](auto& j) { j["cases"][1]["golden"]["origin"] = "guessed"; },
       ErrorCode::bad_value, "/cases/1/golden/origin"},
      {"date", [](auto& j) { j["cases"][1]["history"][1]["date"] = "yesterday"; },
       ErrorCode::bad_value, "/cases/1/history/1/date"},
      {"reason", [](auto& j) { j["cases"][1]["golden"]["reason"] = ""; }, ErrorCode::bad_value,
       "/cases/1/golden/reason"},
      {"person", [](auto& j) { j["cases"][1]["golden"]["by"] = "x"; }, ErrorCode::unknown_key,
       "/cases/1/golden/by"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    SuiteJson bad = good;
    row.change(bad);
    folder.write("suite.json", bad.dump(2));
    CHECK(contains(error_text(row.code, [&] { backends::read_suite(folder.path()); }), row.text));
    CHECK(!schema.accepts(bad));
  }
  SuiteJson twice = good;  // beyond what a schema says
  twice["cases"][1]["name"] = "day";
  folder.write("suite.json", twice.dump());
  CHECK(contains(error_text(ErrorCode::bad_value, [&] { backends::read_suite(folder.path()); }),
                 "names two cases"));
  folder.write("suite.json", "{");
  error_text(ErrorCode::bad_json, [&] { backends::read_suite(folder.path()); });
  error_text(ErrorCode::io, [&] { backends::read_suite(folder / "absent"); });
}

TEST_CASE("write_suite: refuses what read_suite would refuse, and leaves the file as it was") {
  const TempFolder folder;
  backends::write_suite(folder.path(), two_cases());
  const std::string before = contents(folder / "suite.json");
  struct Row {
    const char* what;
    std::function<void(Suite&)> change;
    const char* text;
  };
  const Row rows[] = {
      {"no name", [](Suite& s) { s.name.clear(); }, "/name"},
      {"no case", [](Suite& s) { s.cases.clear(); }, "/cases"},
      {"path as name", [](Suite& s) { s.cases[0].name = "../x"; }, "/cases/0/name"},
      {"twice", [](Suite& s) { s.cases[1].name = "day"; }, "names two cases"},
      {"extent", [](Suite& s) { s.dims["N"] = 0; }, "/network/dims/N"},
      {"fingerprint", [](Suite& s) { s.cases[0].golden.profile = "b"; }, "/cases/0/golden/profile"},
      {"reason", [](Suite& s) { s.cases[1].history[0].reason.clear(); }, "/history/0/reason"},
      {"no UTF-8", [](Suite& s) { s.name = "\xff"; }, "UTF-8"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    Suite bad = two_cases();
    row.change(bad);
    CHECK(contains(
        error_text(ErrorCode::bad_value, [&] { backends::write_suite(folder.path(), bad); }),
        row.text));
    CHECK(contents(folder / "suite.json") == before);
  }
}

TEST_CASE("suite files: names follow fingerprints, and an approval's leftovers go") {
  const TempFolder folder;
  Suite suite = two_cases();
  const SuiteCase& day = suite.cases[0];
  const auto golden = backends::suite_golden_file(folder.path(), day);
  CHECK(golden == folder.path() / "cases/day" / ("golden-" + std::string(16, '2') + ".npz"));
  std::filesystem::create_directories(golden.parent_path());
  const auto old = golden.parent_path() / "golden-0000000000000000.npz";
  const auto other = golden.parent_path() / "notes.txt";
  const auto profile = backends::suite_profile_file(folder.path(), std::string(16, 'b'));
  const auto old_profile = backends::suite_profile_file(folder.path(), "0123456789abcdef");
  for (const auto& file : {golden, old, other, profile, old_profile}) {
    backends::write_file_atomically(file, "x");
  }
  backends::remove_unused_suite_files(folder.path(), suite);
  CHECK(std::filesystem::exists(golden));
  CHECK(std::filesystem::exists(other));
  CHECK(std::filesystem::exists(profile));
  CHECK(!std::filesystem::exists(old));
  CHECK(!std::filesystem::exists(old_profile));
}

TEST_CASE("Suite: network and profile are found from the folder") {
  Suite suite;
  suite.network = "../models/n.json";
  suite.profile = "../chip.json";
  CHECK(suite.network_file("suites/a") == "suites/models/n.json");
  CHECK(suite.profile_of("suites/a") == "suites/chip.json");
  suite.network = "/n.json";
  suite.profile = "tflite-micro";
  CHECK(suite.network_file("suites/a") == "/n.json");
  CHECK(suite.profile_of("suites/a") == "tflite-micro");
  suite.profile = "./chip.json";
  CHECK(suite.profile_of(".") == "chip.json");
}

TEST_CASE("changed_settings: values by pointer, lists as a whole, prose aside") {
  const std::string before =
      R"({"name": "a", "title": "t", "x": {"bits": 8, "list": [1, 2]}, "gone": true, "same": "s"})";
  const std::string now =
      R"({"name": "b", "title": "u", "x": {"bits": 16, "list": [1, 3], "new/~": null}, "same": "s"})";
  const auto changes = backends::changed_settings(before, now);
  const std::vector<std::array<std::string, 3>> expected = {{"/gone", "true", ""},
                                                            {"/x/bits", "8", "16"},
                                                            {"/x/list", "[1,2]", "[1,3]"},
                                                            {"/x/new~1~0", "", "null"}};
  REQUIRE(changes.size() == expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    CHECK(changes[i].pointer == expected[i][0]);
    CHECK(changes[i].before == expected[i][1]);
    CHECK(changes[i].now == expected[i][2]);
  }
  CHECK(backends::changed_settings(before, before).empty());
  error_text(ErrorCode::bad_json, [&] { backends::changed_settings(before, "[]"); });
  error_text(ErrorCode::bad_json, [&] { backends::changed_settings("{", now); });
}

TEST_CASE("fingerprint of arrays: names, types, shapes and values count, their order does not") {
  const Tensor a = Tensor::from<int8_t>({2, 2}, std::vector<int8_t>{1, 2, 3, 4});
  const Tensor b = Tensor::from<int8_t>({4}, std::vector<int8_t>{1, 2, 3, 4});
  const auto of = [](const backends::NamedTensors& arrays) {
    return backends::fingerprint(arrays);
  };
  const std::string base = of({{"a", a}, {"b", b}});
  CHECK(base.size() == 32);
  CHECK(of({{"b", b}, {"a", a}}) == base);
  CHECK(of({{"b", a}, {"a", b}}) != base);
  CHECK(of({{"a", a}, {"c", b}}) != base);
  CHECK(of({{"a", b}, {"b", b}}) != base);
  Tensor changed = b.clone();
  changed.set_int(3, 5);
  CHECK(of({{"a", a}, {"b", changed}}) != base);
}

TEST_CASE("junit_xml: sums, outcomes and escaped texts") {
  using Outcome = backends::JunitCase::Outcome;
  const backends::JunitSuite suites[] = {
      {"s.a",
       {{"x<y", "s.a", 0.5, Outcome::passed, ""}, {"z", "s.a", 0, Outcome::failure, "1 & 2"}}},
      {"s.b", {{"(run)", "s.b", 0, Outcome::error, "e"}, {"n", "s.b", 0, Outcome::skipped, "no"}}}};
  const std::string xml = backends::junit_xml("all", suites);
  CHECK(contains(
      xml, "<testsuites name=\"all\" tests=\"4\" failures=\"1\" errors=\"1\" skipped=\"1\">"));
  CHECK(contains(xml,
                 "<testsuite name=\"s.a\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\">"));
  CHECK(contains(xml, "<testcase name=\"x&lt;y\" classname=\"s.a\" time=\"0.500000\"/>"));
  CHECK(contains(xml, "<failure message=\"1 &amp; 2\"/>"));
  CHECK(contains(xml, "<error message=\"e\"/>"));
  CHECK(contains(xml, "<skipped message=\"no\"/>"));
}

}  // namespace facsim::test
