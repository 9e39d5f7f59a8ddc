// SPDX-License-Identifier: Apache-2.0
// configs/NETWORKS.md names every op and every attribute of the deployed format.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "backends/graph/float_layers-internal.h"
#include "backends/graph/int_ops.h"
#include "backends/io/network_file.h"
#include "backends/io/network_json-internal.h"
#include "backends/io/npy.h"
#include "tests/formats/small_network.h"
#include "tests/formats/temp_folder.h"

namespace facsim::backends {
namespace {

/// The row of the page's table of ops that names `op` in its first cell.
std::string row_of(const std::string& page, std::string_view op) {
  size_t begin = page.find("| op | inputs | attributes |");
  while (begin != std::string::npos && begin < page.size()) {
    const size_t end = page.find('\n', begin);
    const std::string line = page.substr(begin, end - begin);
    const size_t name = line.find("`" + std::string(op) + "`");
    if (name != std::string::npos && name < line.find('|', 1)) return line;
    if (end == std::string::npos) break;
    begin = end + 1;
  }
  return {};
}

TEST_CASE("networks page: every op of a quantized network has a row with its attributes") {
  const std::string page =
      read_file(std::filesystem::path(FACSIM_SOURCE_DIR) / "configs/NETWORKS.md");
  for (const IntOp& op : int_ops()) {
    CAPTURE(op.name);
    const std::string row = row_of(page, op.name);
    REQUIRE_FALSE(row.empty());
    // The attributes as they are written, of a node that is not checked.
    IntGraph graph = test::small_network();
    graph.nodes.resize(1);
    graph.nodes[0].op = op.name;
    graph.nodes[0].attributes.state = quant::QParams{};
    const auto json = nlohmann::json::parse(detail::network_to_json(graph, {}));
    const auto attributes = json.at("nodes")[0].value("attributes", nlohmann::json::object());
    const bool as_conv2d =
        row.find("as conv2d") != std::string::npos || row.find("the same") != std::string::npos;
    for (const auto& [key, value] : attributes.items()) {
      CAPTURE(key);
      const bool named = row.find("`" + key + "`") != std::string::npos;
      CHECK((named || as_conv2d));
    }
  }
}

TEST_CASE("networks page: every layer of a float network has a row") {
  const std::string page =
      read_file(std::filesystem::path(FACSIM_SOURCE_DIR) / "configs/NETWORKS.md");
  const std::string table = page.substr(page.find("| layer | keys"));
  for (const detail::FloatLayer& layer : detail::float_layers()) {
    CAPTURE(layer.name);
    CHECK(table.find("`" + std::string(layer.name) + "`") != std::string::npos);
  }
}

TEST_CASE("networks page: every member that a file has is explained") {
  const std::string page =
      read_file(std::filesystem::path(FACSIM_SOURCE_DIR) / "configs/NETWORKS.md");
  IntGraph graph = test::small_network();
  graph.preprocessing = Preprocessing{{0.5f}, {0.5f}};
  const auto json = nlohmann::json::parse(detail::network_to_json(graph, {}));
  for (const auto& [key, value] : json.items()) {
    CAPTURE(key);
    CHECK(page.find("\"" + key + "\"") != std::string::npos);
  }
  for (const auto& [key, value] : json.at("tensors")[1].items()) {
    CAPTURE(key);
    CHECK(page.find("\"" + key + "\"") != std::string::npos);
  }
  for (const auto& [key, value] : json.at("tensors")[1].at("quantization").items()) {
    CAPTURE(key);
    CHECK(page.find("\"" + key + "\"") != std::string::npos);
  }
}

}  // namespace
}  // namespace facsim::backends
