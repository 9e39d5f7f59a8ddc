// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

namespace facsim::backends {

/// One <testcase> of a JUnit report. `failure`: computed and different; `error`: could not be
/// compared; `skipped`: not computed, for a reason that is no fault.
struct JunitCase {
  enum class Outcome { passed, failure, error, skipped };
  std::string name, classname;
  double seconds = 0;
  Outcome outcome = Outcome::passed;
  std::string message;  ///< of all but passed
};

struct JunitSuite {
  std::string name;
  std::vector<JunitCase> cases;
};

/// JUnit XML as CI servers read it: <testsuites> with the sums of its <testsuite>s. Texts are
/// escaped.
std::string junit_xml(const std::string& name, std::span<const JunitSuite> suites);

}  // namespace facsim::backends
