// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <map>

#include "backends/parity/vectors.h"
#include "backends/text/xml.h"

namespace facsim::backends {

namespace {

using Status = VectorResult::Status;

std::string junit_counts(const VectorReport& report) {
  return fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\"",
                     report.cases.size(), report.count(Status::failed),
                     report.count(Status::invalid), report.count(Status::unsupported));
}

std::string case_xml(const VectorResult& result) {
  std::string xml = fmt::format("    <testcase name=\"{}\" classname=\"{}.{}\" time=\"{:.6f}\"",
                                escape_xml(result.name), escape_xml(result.profile),
                                escape_xml(result.family), result.seconds);
  if (result.status == Status::passed) return xml + "/>\n";
  std::string message = result.message;
  if (result.first) {
    message += fmt::format("; first at {}: got {}, expected {}", result.first->flat_index,
                           result.first->got, result.first->expected);
  }
  const char* element = result.status == Status::failed    ? "failure"
                        : result.status == Status::invalid ? "error"
                                                           : "skipped";
  return xml + fmt::format(">\n      <{} message=\"{}\"/>\n    </testcase>\n", element,
                           escape_xml(message));
}

}  // namespace

std::string to_junit(const VectorReport& report) {
  std::map<std::string, VectorReport> families;
  for (const VectorResult& result : report.cases) {
    families[result.profile + "." + result.family].cases.push_back(result);
  }
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
  xml +=
      fmt::format("<testsuites name=\"{}\" {}>\n", escape_xml(report.suite), junit_counts(report));
  for (const auto& [family, part] : families) {
    xml += fmt::format("  <testsuite name=\"{}\" {}>\n", escape_xml(family), junit_counts(part));
    for (const VectorResult& result : part.cases) xml += case_xml(result);
    xml += "  </testsuite>\n";
  }
  return xml + "</testsuites>\n";
}

}  // namespace facsim::backends
