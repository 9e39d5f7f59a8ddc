// SPDX-License-Identifier: Apache-2.0
// Walks all commands as `facsim help --format json` lists them, and what is made from that list.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <thread>

#include "tests/tools/command_runner.h"
#include "tests/tools/training_fixture.h"

namespace facsim::test {
namespace {

using TreeJson = nlohmann::json;

const TreeJson& tree() {
  static const TreeJson json =
      TreeJson::parse(run_command({"help", "--format", "json"}).out, nullptr, false);
  REQUIRE_FALSE(json.is_discarded());
  return json;
}

using Visit = std::function<void(const TreeJson& command)>;
void for_each_command(const TreeJson& command, const Visit& visit) {
  visit(command);
  for (const TreeJson& nested : command["commands"]) for_each_command(nested, visit);
}

/// The words of an example up to a redirection, without quotes.
std::vector<std::string> words_of_example(const std::string& example) {
  std::vector<std::string> words;
  std::string word;
  bool quoted = false, any = false;
  for (const char c : example + " ") {
    if (c == '"') {
      quoted = !quoted;
      any = true;
    } else if (c == ' ' && !quoted) {
      if (any && (word == ">" || word == "|" || word == "#")) break;
      if (any) words.push_back(word);
      word.clear();
      any = false;
    } else {
      word += c;
      any = true;
    }
  }
  return words;
}

std::vector<std::string> words_of_path(const TreeJson& command) {
  std::vector<std::string> words = words_of_example(command["path"].get<std::string>());
  words.erase(words.begin());
  return words;
}

/// An option of the last command of a chain or of one above it; null if there is none.
const TreeJson* find_option(const std::vector<const TreeJson*>& chain, const std::string& name) {
  for (auto command = chain.rbegin(); command != chain.rend(); ++command) {
    for (const TreeJson& option : (**command)["options"]) {
      const auto& names = option["names"];
      if (std::find(names.begin(), names.end(), name) != names.end()) return &option;
    }
  }
  return nullptr;
}

/// What a shell prints for a command; its errors too.
std::string shell(const std::string& command) {
  std::string out;
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) out += static_cast<char>(c);
  pclose(pipe);
  return out;
}

bool has_program(const std::string& name) {
  return shell("command -v " + name + " >/dev/null && echo yes") == "yes\n";
}

}  // namespace

TEST_CASE("facsim: every command says what it is, every option what it does") {
  int commands = 0;
  for_each_command(tree(), [&](const TreeJson& command) {
    ++commands;
    CAPTURE(command["path"].get<std::string>());
    CHECK(!command["summary"].get<std::string>().empty());
    CHECK(!command["examples"].empty());
    for (const TreeJson& option : command["options"]) {
      CAPTURE(option["names"].dump());
      CHECK(!option["description"].get<std::string>().empty());
    }
  });
  CHECK(commands > 30);
}

TEST_CASE("facsim: the examples' commands, options and listed words exist") {
  int options = 0;
  for_each_command(tree(), [&](const TreeJson& command) {
    for (const TreeJson& text : command["examples"]) {
      const std::string example = text;
      CAPTURE(example);
      std::vector<std::string> words = words_of_example(example);
      REQUIRE(words.front() == "facsim");
      std::vector<const TreeJson*> chain = {&tree()};
      for (size_t i = 1; i < words.size() && words[i] != "--"; ++i) {
        const std::string& word = words[i];
        const bool is_option = word.size() > 1 && word[0] == '-' && std::isdigit(word[1]) == 0;
        if (is_option) {
          const TreeJson* option = find_option(chain, word.substr(0, word.find('=')));
          CHECK_MESSAGE(option != nullptr, word);
          if (option == nullptr) continue;
          ++options;
          const auto& listed = (*option)["words"];
          if ((*option)["value"] == "" || word.find('=') != std::string::npos) continue;
          ++i;
          REQUIRE(i < words.size());
          if (listed.empty() || words[i].find(',') != std::string::npos) continue;
          CHECK_MESSAGE(std::find(listed.begin(), listed.end(), words[i]) != listed.end(),
                        words[i]);
          continue;
        }
        const TreeJson& nested = (*chain.back())["commands"];
        if (nested.empty()) continue;
        const auto found = std::find_if(nested.begin(), nested.end(),
                                        [&](const TreeJson& c) { return c["name"] == word; });
        CHECK_MESSAGE(found != nested.end(), word);
        if (found == nested.end()) break;
        chain.push_back(&*found);
      }
    }
  });
  CHECK(options > 60);
}

TEST_CASE("facsim: a misspelt option or command of any command is exit code 2 and a suggestion") {
  for_each_command(tree(), [&](const TreeJson& command) {
    std::vector<std::string> words = words_of_path(command);
    CAPTURE(command["path"].get<std::string>());
    std::string name = "--format";
    for (const TreeJson& option : command["options"]) {
      const std::string last = option["names"].back();
      if (last.starts_with("--") && last.size() > 5) name = last;
    }
    std::string misspelt = name;
    misspelt.insert(misspelt.size() - 1, "q");
    std::vector<std::string> arguments = words;
    arguments.push_back(misspelt);
    const CommandResult option = run_command(arguments);
    CHECK(option.exit_code == 2);
    CHECK(option.out.empty());
    const bool suggests = contains(option.err, "did you mean \"");
    CHECK_MESSAGE(suggests, option.err);
    if (command["commands"].empty()) return;
    const std::string nested = command["commands"].back()["name"];
    words.push_back(nested.substr(0, 1) + "q" + nested.substr(1));
    const CommandResult wrong = run_command(words);
    CHECK(wrong.exit_code == 2);
    CHECK(contains(wrong.err, "did you mean \"" + nested + "\"?"));
  });
}

TEST_CASE("facsim: every listed word of an option is suggested when it is misspelt") {
  for_each_command(tree(), [&](const TreeJson& command) {
    for (const TreeJson& option : command["options"]) {
      const std::string name = option["names"].back();
      if (option["words"].empty() || !name.starts_with("--")) continue;
      std::string word = option["words"].back();
      std::vector<std::string> arguments = words_of_path(command);
      if (arguments.empty()) arguments = {"version"};
      arguments.insert(arguments.end(), {name, word + "q"});
      const CommandResult result = run_command(arguments);
      CAPTURE(name);
      CAPTURE(result.err);
      CHECK(result.exit_code == 2);
      const bool suggests = contains(result.err, "did you mean \"");
      CHECK((word.size() < 3 || suggests));
    }
  });
}

TEST_CASE("facsim: with --format json errors are one JSON object on stderr") {
  const auto errors = [](const std::vector<std::string>& arguments) {
    const CommandResult result = run_command(arguments);
    CAPTURE(result.err);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    const TreeJson json = TreeJson::parse(result.err, nullptr, false);
    REQUIRE_FALSE(json.is_discarded());
    CHECK(json["exit_code"] == result.exit_code);
    REQUIRE(!json["errors"].empty());
    return json;
  };
  const TreeJson input = errors({"--format=json", "compare", "/no/a.npy", "/no/b.npy"});
  CHECK(input["exit_code"] == 3);
  CHECK(input["errors"][0]["code"] == "io");
  CHECK(contains(input["errors"][0]["message"].get<std::string>(), "/no/a.npy"));
  const TreeJson all =
      errors({"profile", "show", "ruy", "--set", "/a=1", "--set", "/b=2", "--format", "json"});
  CHECK(all["errors"].size() == 2);
  CHECK(all["errors"][0]["code"] == "unknown_key");
  const TreeJson usage = errors({"comprae", "--format", "json"});
  CHECK(usage["exit_code"] == 2);
  CHECK(usage["errors"][0]["code"] == "usage");
  CHECK(usage["errors"][0]["see"] == "facsim --help");
  CHECK(errors({"profile", "lint", "--format", "json"})["errors"][0]["see"] ==
        "facsim profile lint --help");
  CHECK(errors({"list", "ops", "more", "--format", "json"})["exit_code"] == 2);
  CHECK(run_command({"comprae", "--", "--format", "json"}).err.starts_with("facsim: error:"));
}

TEST_CASE("facsim: with --format json what is printed is JSON") {
  const std::vector<std::vector<std::string>> commands = {
      {"list", "ops"},
      {"list", "rounding"},
      {"list", "profiles"},
      {"profile", "list"},
      {"profile", "show", "ruy"},
      {"profile", "lint", "ruy"},
      {"profile", "explain", "ruy", "/accumulator/bits"},
      {"profile", "fields"},
      {"profile", "schema"},
      {"profile", "fingerprint", "ruy"},
      {"profile", "diff", "ruy", "ruy"},
      {"profile", "diff", "ruy", "ruy", "--numeric"},
      {"version"},
      {"help"},
      {"help", "profile", "lint"},
      {"completion", "words", "--", "profile", "li"}};
  for (std::vector<std::string> words : commands) {
    CAPTURE(words.back());
    words.insert(words.begin(), {"--format", "json"});
    const CommandResult result = run_command(words);
    CHECK(result.exit_code == 0);
    CHECK_FALSE(TreeJson::parse(result.out, nullptr, false).is_discarded());
  }
  const TreeJson bits = TreeJson::parse(
      run_command({"profile", "explain", "ruy", "/accumulator", "--format", "json"}).out);
  CHECK(bits["settings"].size() > 3);
  CHECK(bits["settings"][0]["pointer"] == "/accumulator/bits");
  CHECK(bits["settings"][0]["value"] == 32);
}

TEST_CASE("facsim help: of nested commands, with a suggestion for what is none") {
  CHECK(run_command({"help", "profile", "lint"}).out ==
        run_command({"profile", "lint", "--help"}).out);
  CHECK(run_command({"help", "run"}).out == run_command({"run", "--help"}).out);
  CHECK(run_command({"help"}).out == run_command({"--help"}).out);
  const CommandResult wrong = run_command({"help", "profile", "lnit"});
  CHECK(wrong.exit_code == 2);
  CHECK(contains(wrong.err, "facsim profile has no command \"lnit\"; did you mean \"lint\"?"));
}

TEST_CASE("facsim version: text and JSON agree with --version") {
  const std::string line = run_command({"--version"}).out;
  CHECK(run_command({"version"}).out.starts_with(line));
  const TreeJson json = TreeJson::parse(run_command({"version", "--format", "json"}).out);
  CHECK("facsim " + json["version"].get<std::string>() + "\n" == line);
  CHECK(json["isas"][0] == "scalar");
}

TEST_CASE("facsim help --man: every command and option, without a warning of man's") {
  const std::string page = run_command({"help", "--man"}).out;
  CHECK(page.starts_with(".TH FACSIM 1 "));
  for_each_command(tree(), [&](const TreeJson& command) {
    std::string path = command["path"];
    for (size_t i = 0; (i = path.find('-', i)) != std::string::npos; i += 2) path.insert(i, "\\");
    CAPTURE(path);
    CHECK((path == "facsim" || contains(page, ".SS " + path + "\n")));
  });
  CHECK(contains(page, "\\fB\\-\\-fail\\-on\\fR"));
  if (!has_program("groff")) {
    MESSAGE("man's warnings are not tried: no groff");
    return;
  }
  const TempFolder folder;
  const std::string file = folder.write("facsim.1", page).string();
  CHECK(shell("groff -man -Tutf8 -ww -z " + file) == "");
  CHECK(contains(shell("groff -man -Tascii -P-cbou " + file), "facsim profile diff"));
}

TEST_CASE("facsim completion: commands, options, words and profiles") {
  const auto words = [](std::vector<std::string> typed) {
    std::vector<std::string> arguments = {"completion", "words", "--"};
    arguments.insert(arguments.end(), typed.begin(), typed.end());
    const CommandResult result = run_command(arguments);
    CHECK(result.exit_code == 0);
    std::set<std::string> lines;
    std::istringstream in(result.out);
    for (std::string line; std::getline(in, line);) lines.insert(line);
    return lines;
  };
  using Words = std::set<std::string>;
  CHECK(words({"profi"}) == Words{"profile"});
  CHECK(words({"profile", "li"}) == Words{"list", "lint"});
  CHECK(words({"profile", ""}).contains("diff"));
  CHECK(words({"run", "--mod"}) == Words{"--model"});
  CHECK(words({"run", "--form"}) == Words{"--format"});
  CHECK(words({"run", "--format", ""}) == Words{"table", "json"});
  CHECK(words({"run", "--format", "=", "j"}) == Words{"json"});
  CHECK(words({"run", "--format", "="}) == Words{"table", "json"});
  CHECK(words({"--isa", "scal"}) == Words{"scalar"});
  CHECK(words({"--format", "json", "list", "roun"}) == Words{"rounding"});
  CHECK(words({"run", "--profile", "tflite-mi"}) == Words{"tflite-micro"});
  CHECK(words({"profile", "diff", "ruy", "gemm"}) == Words{"gemmlowp"});
  CHECK(words({"profile", "init", "x", "--from", "gemm"}) == Words{"gemmlowp"});
  CHECK(words({"run", "--model", ""}).empty());  // files
  CHECK(words({"nothing", "known", ""}).contains("run"));
}

TEST_CASE("facsim completion bash: completes in a real bash") {
  if (!has_program("bash")) {
    MESSAGE("completion is not tried: no bash");
    return;
  }
  const TempFolder folder;
  const std::string script = folder
                                 .write("try.bash", "source <(" FACSIM_COMMAND_FILE
                                                    " completion bash)\n"
                                                    "try() { COMP_WORDS=(" FACSIM_COMMAND_FILE
                                                    " \"$@\"); COMP_CWORD=$#; _facsim; echo "
                                                    "\"${COMPREPLY[*]}\"; }\n"
                                                    "try profile fing\n"
                                                    "try run --format js\n"
                                                    "try run --model ''\n"
                                                    "complete -p facsim\n")
                                 .string();
  CHECK(shell("bash " + script) ==
        "fingerprint\njson\n\ncomplete -o bashdefault -o default -F _facsim facsim\n");
}

TEST_CASE("facsim: an explicit --color wins over NO_COLOR, auto follows it") {
  setenv("NO_COLOR", "1", 1);
  const CommandResult always = run_command({"compare", "--color", "always", "a.npy", "b.npy"});
  const CommandResult quiet = run_command({"compare", "a.npy", "b.npy"});
  unsetenv("NO_COLOR");
  CHECK(contains(always.err, "\x1b[31"));
  CHECK_FALSE(contains(quiet.err, "\x1b"));
  CHECK_FALSE(contains(run_command({"compare", "--color", "never", "a.npy", "b.npy"}).err, "\x1b"));
}

TEST_CASE("facsim qat: Ctrl-C exits 130, no half-written file, and the run can be resumed") {
  const TrainingFixture f;
  const TempFolder logs;
  CommandProcess process(logs, f.qat({"--epochs", "100000", "--progress", "always"}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const std::filesystem::path out = f.folder / "out";
  while (!std::filesystem::exists(out) && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  kill(process.pid(), SIGINT);
  const CommandResult result = process.wait();
  CAPTURE(result.err);
  CHECK(result.exit_code == 130);
  CHECK(contains(result.err, "interrupted"));
  REQUIRE(std::filesystem::exists(out));
  CHECK_FALSE(std::filesystem::exists(out / "model.json"));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(f.folder.path())) {
    const std::string name = entry.path().filename().string();
    CHECK_MESSAGE(!contains(name, ".tmp"), name);
  }
}

}  // namespace facsim::test
