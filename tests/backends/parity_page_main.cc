// SPDX-License-Identifier: Apache-2.0
// usage: facsim_parity_page VECTORS.json LOG CONFIGS
// Writes CONFIGS/parity.json and CONFIGS/PARITY.md from a report of `facsim vectors check --format
// json` and the output of the tests (see tools/parity.sh). Exit code 1 if claims are not supported.
#include <exception>
#include <fstream>
#include <iostream>

#include "backends/io/npy.h"
#include "tests/backends/parity_page.h"

namespace {

int write_parity_page(const std::filesystem::path& vectors, const std::filesystem::path& log,
                      const std::filesystem::path& configs) {
  namespace test = facsim::test;
  const facsim::backends::ProfileSearch search{{configs / "profiles"}};
  std::vector<test::ParityEvidence> evidence =
      test::evidence_of_vectors(nlohmann::json::parse(facsim::backends::read_file(vectors)));
  for (test::ParityEvidence& e : test::evidence_of_log(facsim::backends::read_file(log))) {
    evidence.push_back(std::move(e));
  }
  evidence = test::merged(std::move(evidence));
  std::ofstream(configs / "parity.json") << test::to_json(evidence).dump(1) << "\n";
  std::ofstream(configs / "PARITY.md") << test::parity_page(evidence, search);
  const std::vector<std::string> problems = test::parity_problems(evidence, search);
  for (const std::string& problem : problems) std::cerr << problem << "\n";
  return problems.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: facsim_parity_page VECTORS.json LOG CONFIGS\n";
    return 2;
  }
  try {
    return write_parity_page(argv[1], argv[2], argv[3]);
  } catch (const std::exception& error) {
    std::cerr << "facsim_parity_page: " << error.what() << "\n";
    return 3;
  }
}
