// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/match_names.h"

#include <doctest/doctest.h>

#include "sim/core/error.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {

namespace {

std::vector<NamedShape> named(const std::vector<std::string>& names, Shape shape = {1, 4}) {
  std::vector<NamedShape> out;
  for (const std::string& name : names) out.push_back({name, DType::int8, shape});
  return out;
}

/// "ours=theirs" of every pair that was found, in order.
std::vector<std::string> pairs(const NameMatching& matching) {
  std::vector<std::string> out;
  for (const NameMatch& pair : matching.pairs) out.push_back(pair.ours + "=" + pair.theirs);
  return out;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("trimmed_name: what converters add, and nothing else") {
  const std::pair<const char*, const char*> cases[] = {{"conv:0", "conv"},
                                                       {"conv/Relu", "conv"},
                                                       {"conv/Relu6:0", "conv"},
                                                       {"x_quantized", "x"},
                                                       {"quant_x", "x"},
                                                       {"/conv1/out_quant", "conv1/out"},
                                                       {"conv", "conv"},
                                                       {":0", ":0"},
                                                       {"a:b", "a:b"},
                                                       {"_quant", "_quant"},
                                                       {"net:12:0", "net"},
                                                       {"x7", "x7"},
                                                       {"/", "/"},
                                                       {"", ""},
                                                       {"fc/BiasAdd/Relu", "fc"}};
  for (const auto& [name, expected] : cases) {
    CAPTURE(name);
    CHECK(trimmed_name(name) == expected);
  }
}

TEST_CASE("match_names: given, same, trimmed, without a shared beginning") {
  const auto match = [](const Names& ours, const Names& theirs) {
    return match_names(named(ours), named(theirs), {}, "map");
  };
  CHECK(pairs(match({"a", "b"}, {"b", "a"})) == Names{"a=a", "b=b"});
  const NameMatching converted = match({"conv/Relu:0", "fc"}, {"fc_quantized", "conv"});
  CHECK(pairs(converted) == Names{"conv/Relu:0=conv", "fc=fc_quantized"});
  CHECK(converted.pairs[0].how == NameMatch::How::trimmed);
  CHECK(pairs(match({"t1", "t12"}, {"ref_t12", "ref_t1"})) == Names{"t1=ref_t1", "t12=ref_t12"});
  CHECK(pairs(match({"m.a.out", "m.b.out"}, {"a", "b"})) == Names{"m.a.out=a", "m.b.out=b"});
  const NameMatching given =
      match_names(named({"a", "b"}), named({"a", "b"}), {{"a", "b"}, {"b", "a"}}, "map");
  CHECK(pairs(given) == Names{"a=b", "b=a"});
  CHECK(given.pairs[0].how == NameMatch::How::given);
}

TEST_CASE("match_names: an ambiguous or ill-fitting name is not used") {
  const NameMatching two = match_names(named({"a"}), named({"a:0", "a:1"}), {}, "map");
  CHECK(two.pairs.empty());
  CHECK(two.ours_only == Names{"a"});
  CHECK(two.theirs_only == Names{"a:0", "a:1"});
  CHECK(two.suggestions.empty());  // one against two
  CHECK(match_names(named({"a"}), named({"a:0"}, {1, 5}), {}, "map").pairs.empty());
  // The same elements in another order of axes may be the same tensor.
  CHECK(match_names(named({"a"}, {1, 2, 3}), named({"a:0"}, {1, 3, 2}), {}, "map").pairs.size() ==
        1);
}

TEST_CASE("match_names: shape and order alone are a suggestion") {
  std::vector<NamedShape> ours = named({"conv", "pool"}), theirs = named({"7", "9"});
  ours.push_back({"fc", DType::int8, {1, 10}});
  theirs.push_back({"11", DType::int8, {1, 10}});
  theirs.push_back({"12", DType::float32, {1, 10}});
  const NameMatching matching = match_names(ours, theirs, {}, "map");
  CHECK(matching.pairs.empty());
  REQUIRE(matching.suggestions.size() == 3);
  CHECK(matching.suggestions[0].ours == "conv");
  CHECK(matching.suggestions[0].theirs == "7");
  CHECK(matching.suggestions[1].theirs == "9");
  CHECK(matching.suggestions[2].ours == "fc");
  CHECK(matching.suggestions[2].theirs == "11");
}

TEST_CASE("match_names: given names must exist, once") {
  const auto ours = named({"conv1", "conv2"}), theirs = named({"a", "b"});
  const auto error = [&](const std::map<std::string, std::string>& given) -> std::string {
    try {
      match_names(ours, theirs, given, "names.json");
    } catch (const Error& e) {
      return e.what();
    }
    return "none";
  };
  CHECK(error({{"conv3", "a"}}).find("names.json: no tensor \"conv3\"; did you mean \"conv1\"?") !=
        std::string::npos);
  CHECK(error({{"conv1", "c"}}).find("no tensor \"c\"") != std::string::npos);
  CHECK(error({{"conv1", "a"}, {"conv2", "a"}}).find("given to two") != std::string::npos);
}

TEST_CASE("read_name_map: names, or where the file is wrong") {
  const test::TempFolder folder;
  folder.write("good.json", "{\"a\": \"b\", \"c\": \"d\"}");
  CHECK(read_name_map((folder / "good.json").string()) ==
        std::map<std::string, std::string>{{"a", "b"}, {"c", "d"}});
  const std::tuple<const char*, const char*, ErrorCode, const char*> bad[] = {
      {"list.json", "[]", ErrorCode::bad_value, "not an object of names"},
      {"number.json", "{\"a\": 5}", ErrorCode::bad_value, "number.json:1:7 /a: 5"},
      {"twice.json", "{\"a\": \"b\", \"a\": \"c\"}", ErrorCode::duplicate_key, "twice.json:1:"},
      {"cut.json", "{\"a\": ", ErrorCode::bad_json, "cut.json:1:"}};
  for (const auto& [name, text, code, message] : bad) {
    CAPTURE(name);
    folder.write(name, text);
    const std::string file = (folder / name).string();
    CHECK(test::contains(test::error_text(code, [&] { read_name_map(file); }), message));
  }
}

}  // namespace facsim::backends
