// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/report/page.h"

#include <fmt/format.h>

#include "tools/facsim/report/charts.h"

namespace facsim::cli {

namespace {

constexpr std::string_view kStyle = R"css(
:root { color-scheme: light dark; --ink: #1c2330; --dim: #5a6474; --page: #f6f7f9; --card: #ffffff;
  --edge: #dfe3e9; --c0: #2563eb; --c1: #d9730d; --good: #12805c; --bad: #c22b2b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #9aa4b5; --page: #12151b;
  --card: #1b2029; --edge: #303846; --c0: #6ea0ff; --c1: #f0a35c; --good: #4fc59a; --bad: #ff7b72; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 62rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 0 0 .4rem; }
p { margin: .3rem 0 .6rem; } .dim { color: var(--dim); font-size: .92rem; }
section { background: var(--card); border: 1px solid var(--edge); border-radius: 10px;
  padding: 1rem; margin-top: 1rem; }
.verdict { font-size: 1.25rem; font-weight: 650; }
.good { color: var(--good); } .bad { color: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .7rem; }
.tile { border: 1px solid var(--edge); border-radius: 8px; padding: .6rem .8rem; }
.tile b { display: block; font-size: 1.45rem; font-weight: 650; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(19rem, 1fr)); gap: 1rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .55rem; border-bottom: 1px solid var(--edge);
  white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
svg { width: 100%; max-width: 34rem; height: auto; display: block; }
svg text { fill: var(--dim); font-size: 12px; font-family: inherit; }
.grid { stroke: var(--edge); } .divider { stroke: var(--dim); stroke-dasharray: 4 4; }
.track { fill: var(--edge); } .mark { stroke: var(--c1); stroke-width: 2.5; }
.heat { fill: var(--bad); }
.steps td:first-child { white-space: normal; }
.text { text-align: left; white-space: normal; }
@media (max-width: 40rem) { .steps tr:first-child { display: none; }
  .steps td { display: inline-block; border: 0; padding: .1rem .5rem .1rem 0; white-space: normal; }
  .steps td.text { display: block; color: var(--dim); padding-left: 1rem; } }
.wrap td { white-space: normal; overflow-wrap: anywhere; text-align: left; }
.wrap td:first-child { color: var(--dim); white-space: nowrap; vertical-align: top; }
@media (max-width: 40rem) { .wrap td { display: block; border: 0; padding: .1rem 0; }
  .wrap td:first-child { padding-top: .5rem; white-space: normal; } }
.line { fill: none !important; stroke-width: 2; }
.series-0 { fill: var(--c0); stroke: var(--c0); background: var(--c0); }
.series-1 { fill: var(--c1); stroke: var(--c1); background: var(--c1); }
.legend { font-size: .88rem; } .legend span { margin-right: 1rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px;
  margin-right: .35rem; vertical-align: -1px; }
)css";

}  // namespace

std::string html_page(std::string_view title, std::string_view details, std::string_view body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>facsim: {0}</title>\n<style>{1}</style>\n</head>\n<body>\n"
      "<h1>{0}</h1>\n<p class=\"dim\">{2}</p>\n{3}</body>\n</html>\n",
      escape_html(title), kStyle, escape_html(details), body);
}

}  // namespace facsim::cli
