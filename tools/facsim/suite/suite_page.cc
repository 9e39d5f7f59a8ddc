// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/suite/suite_page.h"

#include <fmt/format.h>

#include "tools/facsim/compare_network.h"
#include "tools/facsim/report/charts.h"
#include "tools/facsim/report/comparison_page.h"
#include "tools/facsim/report/page.h"
#include "tools/facsim/suite/suite_output.h"

namespace facsim::cli {

namespace {

std::string errors_html(const std::vector<ErrorInfo>& errors) {
  std::string html;
  for (const ErrorInfo& info : errors) {
    html += fmt::format("<p class=\"bad\">{}</p>\n", escape_html(to_string(info)));
  }
  return html;
}

std::string case_title(const SuiteRun& run, const SuiteCaseRun& c) {
  return fmt::format("<h2>{}: {}, {}</h2>\n", escape_html(run.name), escape_html(c.name),
                     to_string(c.status));
}

}  // namespace

std::string OpenSuite::page_of(const backends::SuiteCase& c, const SuiteCaseRun& run) const {
  if (!run.errors.empty()) return errors_html(run.errors);
  const std::vector<Tensor> inputs =
      network_->inputs(backends::read_npz(run.inputs_file), run.inputs_file.string());
  Golden golden;
  golden.tensors = backends::read_npz(run.golden_file);
  const NetworkComparison comparison =
      compare_network(*network_, inputs, golden, {.first_mismatches = 1, .page = true}, globals_);
  ComparisonPage page;
  for (const SuiteChange& change : run.changes) {
    page.runs_differ.push_back(change_text(change));
    for (const backends::SettingChange& setting : change.settings) {
      page.runs_differ.push_back(setting_change_text(setting));
    }
  }
  page.sources = {
      {"network", fmt::format("{}, fingerprint {}", suite_.network_file(folder_).string(),
                              network_fingerprint_)},
      {"inputs", fmt::format("{}, fingerprint {}", run.inputs_file.string(), c.inputs_fingerprint)},
      {"golden", fmt::format("{}, {}, accepted {}: {}", run.golden_file.string(),
                             to_string(c.golden.origin), c.golden.date, c.golden.reason)},
      {"profile",
       fmt::format("{}, fingerprint {}", globals_.profile, network_->profile().fingerprint)}};
  for (const backends::ProfileOverride& set : globals_.overrides) {
    page.sources.emplace_back("--set", set.pointer + "=" + set.value);
  }
  return comparison_sections(page, comparison);
}

std::string suite_html(const std::vector<SuiteRun>& runs) {
  std::string html;
  for (const SuiteRun& run : runs) {
    if (!run.errors.empty()) {
      html += fmt::format("<section>\n<h2>{}</h2>\n{}</section>\n",
                          escape_html(run.folder.string()), errors_html(run.errors));
    }
    for (const SuiteCaseRun& c : run.cases) html += case_title(run, c) + c.page;
  }
  const std::string title =
      runs.size() == 1 ? "Suite " + runs[0].name : fmt::format("{} suites", runs.size());
  return html_page(title, suite_summary(runs), html);
}

}  // namespace facsim::cli
