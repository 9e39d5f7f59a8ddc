// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/junit.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "backends/parity/vectors.h"
#include "backends/text/xml.h"

namespace facsim::backends {

namespace {

using Outcome = JunitCase::Outcome;
using Status = VectorResult::Status;

std::string junit_counts(std::span<const JunitSuite> suites) {
  int64_t tests = 0;
  const auto count = [&](Outcome outcome) {
    int64_t sum = 0;
    for (const JunitSuite& suite : suites) {
      sum += std::count_if(suite.cases.begin(), suite.cases.end(),
                           [&](const JunitCase& c) { return c.outcome == outcome; });
    }
    return sum;
  };
  for (const JunitSuite& suite : suites) tests += static_cast<int64_t>(suite.cases.size());
  return fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"", tests,
                     count(Outcome::failure), count(Outcome::error), count(Outcome::skipped));
}

std::string case_xml(const JunitCase& c) {
  std::string xml = fmt::format("    <testcase name=\"{}\" classname=\"{}\" time=\"{:.6f}\"",
                                escape_xml(c.name), escape_xml(c.classname), c.seconds);
  if (c.outcome == Outcome::passed) return xml + "/>\n";
  const char* element = c.outcome == Outcome::failure ? "failure"
                        : c.outcome == Outcome::error ? "error"
                                                      : "skipped";
  return xml + fmt::format(">\n      <{} message=\"{}\"/>\n    </testcase>\n", element,
                           escape_xml(c.message));
}

JunitCase junit_case(const VectorResult& result) {
  JunitCase c{result.name, result.profile + "." + result.family, result.seconds, Outcome::passed,
              result.message};
  if (result.status == Status::failed) c.outcome = Outcome::failure;
  if (result.status == Status::invalid) c.outcome = Outcome::error;
  if (result.status == Status::unsupported) c.outcome = Outcome::skipped;
  if (result.first) {
    c.message += fmt::format("; first at {}: got {}, expected {}", result.first->flat_index,
                             result.first->got, result.first->expected);
  }
  return c;
}

}  // namespace

std::string junit_xml(const std::string& name, std::span<const JunitSuite> suites) {
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  xml += fmt::format("<testsuites name=\"{}\" {}>\n", escape_xml(name), junit_counts(suites));
  for (const JunitSuite& suite : suites) {
    xml += fmt::format("  <testsuite name=\"{}\" {}>\n", escape_xml(suite.name),
                       junit_counts({&suite, 1}));
    for (const JunitCase& c : suite.cases) xml += case_xml(c);
    xml += "  </testsuite>\n";
  }
  return xml + "</testsuites>\n";
}

std::string to_junit(const VectorReport& report) {
  std::map<std::string, JunitSuite> families;
  for (const VectorResult& result : report.cases) {
    JunitCase c = junit_case(result);
    JunitSuite& family = families[c.classname];
    family.name = c.classname;
    family.cases.push_back(std::move(c));
  }
  std::vector<JunitSuite> suites;
  for (auto& [name, family] : families) suites.push_back(std::move(family));
  return junit_xml(report.suite, suites);
}

}  // namespace facsim::backends
