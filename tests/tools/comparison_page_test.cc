// SPDX-License-Identifier: Apache-2.0
// The page of `facsim compare --html` in a real browser: chromium without a window.
#include <doctest/doctest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/tools/deployed_fixture.h"

namespace facsim::test {

namespace {

/// The program to run, or empty with a line that says so.
std::string find_browser() {
  for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
    if (std::system(fmt::format("command -v {} > /dev/null 2>&1", name).c_str()) == 0) return name;
  }
  std::cout << "SKIPPED: no chromium: the page of facsim compare --html is not rendered\n";
  return {};
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer{};
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) {
    out.append(buffer.data(), n);
  }
  pclose(pipe);
  return out;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// What a browser window of `width` pixels made of a page.
struct Rendered {
  int width = 0;      ///< of the page inside, after layout
  int widest = 0;     ///< scrollWidth: more than the width scrolls sideways
  bool dark = false;  ///< the page saw prefers-color-scheme: dark
  int requests = 0;   ///< for anything besides the page itself
  std::string background, ink;
};

/// A window of a browser is 500 pixels wide at least: the page is shown in a frame, whose width its
/// media queries and layout see.
Rendered render(const std::string& browser, const TempFolder& folder, const std::string& page,
                int width, bool dark) {
  const std::string framed = replaced(replaced(page, "&", "&amp;"), "\"", "&quot;");
  folder.write("frame.html", fmt::format(R"html(<!doctype html><html><head>
<meta name="color-scheme" content="light dark"><style>body {{ margin: 0; }}
iframe {{ border: 0; width: {}px; height: 5200px; color-scheme: light dark; }}</style></head>
<body><iframe id="page" srcdoc="{}"></iframe><script>
addEventListener('load', () => {{
  const frame = document.getElementById('page'), inside = frame.contentDocument;
  inside.querySelectorAll('details').forEach((d) => {{ d.open = true; }});
  const style = frame.contentWindow.getComputedStyle(inside.body);
  document.body.dataset.result = JSON.stringify({{
    width: frame.contentWindow.innerWidth,
    widest: Math.max(inside.documentElement.scrollWidth, inside.body.scrollWidth),
    dark: frame.contentWindow.matchMedia('(prefers-color-scheme: dark)').matches,
    requests: frame.contentWindow.performance.getEntriesByType('resource').length,
    background: style.backgroundColor, ink: style.color }});
}});</script></body></html>)html",
                                         width, framed));
  const std::string common = fmt::format(
      "timeout 120 {} --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir={} "
      "--window-size={},5200 --blink-settings=preferredColorScheme={}",
      browser, (folder / "profile").string(), std::max(width, 500), dark ? 0 : 1);
  const std::string url = "file://" + (folder / "frame.html").string();
  const std::string dom = output_of(common + " --dump-dom " + url + " 2>/dev/null");
  const std::string start = "data-result=\"";
  const size_t at = dom.find(start);
  REQUIRE_MESSAGE(at != std::string::npos, "the browser gave no result: " << dom.substr(0, 300));
  const size_t begin = at + start.size();
  const auto json = nlohmann::json::parse(
      replaced(dom.substr(begin, dom.find('"', begin) - begin), "&quot;", "\""));
  // Pictures to look at.
  if (const char* pictures = std::getenv("FACSIM_SCREENSHOTS_DIR")) {
    output_of(fmt::format("{} --screenshot={}/compare-{}-{}.png {} 2>/dev/null", common, pictures,
                          width, dark ? "dark" : "light", url));
  }
  return {json.at("width"),    json.at("widest"),     json.at("dark"),
          json.at("requests"), json.at("background"), json.at("ink")};
}

std::string compare_page(const DeployedFixture& f, std::vector<std::string> more, int exit_code) {
  std::vector<std::string> words = {
      "compare",          "--model",  f.file("net.json"),   "--inputs",
      f.file("x.npz"),    "--golden", f.file("golden.npz"), "--html",
      f.file("page.html")};
  words.insert(words.end(), more.begin(), more.end());
  const CommandResult result = run_command(words);
  CAPTURE(result.err);
  CHECK(result.exit_code == exit_code);
  return backends::read_file(f.folder / "page.html");
}

}  // namespace

TEST_CASE("facsim compare --html: one page with every part, which needs nothing else") {
  const DeployedFixture f(backends::IntGraph::Layout::nhwc, 400);
  backends::write_npz(f.folder / "golden.npz",
                      {{"y", f.expected.tensors[1]}, {"z", f.expected.tensors[2]}});
  const std::string page = compare_page(f, {"--set", "/requantize/rounding=floor"}, 1);
  for (const char* part :
       {"Mismatch rate per layer", "Differences", "Distance to a tie", "Mismatches per channel",
        "Accumulator occupancy", "The first mismatch, step by step", "Where this comes from",
        "another rounding or multiplier of the same sum", "fingerprint", "probable cause",
        "/requantize/rounding=floor", "prefers-color-scheme", "tflite-reference.json:"}) {
    CAPTURE(part);
    CHECK(contains(page, part));
  }
  for (const char* outside : {"http:", "https:", "src=", "href=", "url(", "<script", "<link"}) {
    CAPTURE(outside);
    CHECK_FALSE(contains(page, outside));
  }
  const std::string equal = compare_page(f, {}, 0);
  CHECK(contains(equal, "0 of 9,600 values differ"));
  CHECK_FALSE(contains(equal, "The first mismatch"));
  // Names from files are text.
  backends::write_npz(f.folder / "a.npz", {{"<b>&\"", f.expected.tensors[1]}});
  const CommandResult files =
      run_command({"compare", f.file("a.npz"), f.file("a.npz"), "--html", f.file("page.html")});
  CHECK(files.exit_code == 0);
  CHECK_FALSE(contains(backends::read_file(f.folder / "page.html"), "<b>&"));
}

TEST_CASE("facsim compare --html: in a browser, narrow and wide, light and dark") {
  const std::string browser = find_browser();
  if (browser.empty()) return;
  DeployedFixture f(backends::IntGraph::Layout::nhwc, 400);
  // Converters join the names of all that they fused into one word.
  for (int i = 0; i < 12; ++i) {
    f.graph.tensors[3].name += ";model/batch_normalization/FusedBatchNormV3";
    f.graph.nodes[0].name += "/ReadVariableOp/resource";
  }
  backends::write_int_graph(f.folder / "net.json", f.graph);
  backends::write_npz(f.folder / "golden.npz", {{f.graph.tensors[3].name, f.expected.tensors[1]},
                                                {"z", f.expected.tensors[2]}});
  std::string page = compare_page(f, {"--set", "/requantize/rounding=floor"}, 1);
  if (const char* other = std::getenv("FACSIM_PAGE")) page = backends::read_file(other);
  std::string backgrounds[2];
  for (const int width : {360, 1280}) {
    for (const bool dark : {false, true}) {
      CAPTURE(width);
      CAPTURE(dark);
      const Rendered rendered = render(browser, f.folder, page, width, dark);
      CHECK(rendered.width == width);
      CHECK(rendered.widest <= width);
      CHECK(rendered.dark == dark);
      CHECK(rendered.requests == 0);
      CHECK(rendered.ink != rendered.background);
      backgrounds[dark ? 1 : 0] = rendered.background;
    }
  }
  CHECK(backgrounds[0] != backgrounds[1]);
}

}  // namespace facsim::test
