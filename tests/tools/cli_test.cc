// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include "tests/tools/command_runner.h"

namespace facsim::test {

namespace {

const std::vector<std::string>& command_names() {
  static const std::vector<std::string> names = {
#define FACSIM_COMMAND(name, summary) #name,
#include "tools/facsim/commands.def"
#undef FACSIM_COMMAND
  };
  return names;
}

}  // namespace

TEST_CASE("facsim: --help lists every command, each command's --help has examples") {
  const CommandResult help = run_command({"--help"});
  CHECK(help.exit_code == 0);
  CHECK(help.err.empty());
  for (const std::string& name : command_names()) {
    CAPTURE(name);
    CHECK(contains(help.out, "  " + name + " "));
    const CommandResult own = run_command({name, "--help"});
    CHECK(own.exit_code == 0);
    CHECK(contains(own.out, "facsim " + name));
    CHECK(contains(own.out, "Example"));
  }
}

TEST_CASE("facsim: nested commands have examples of their own, usage errors point at their help") {
  const std::vector<std::vector<std::string>> nested = {
      {"vectors", "gen"},    {"vectors", "check"},  {"profile", "list"},    {"profile", "show"},
      {"profile", "schema"}, {"profile", "fields"}, {"profile", "lint"},    {"profile", "explain"},
      {"bench", "layers"},   {"bench", "nets"},     {"bench", "requantize"}};
  for (std::vector<std::string> words : nested) {
    const std::string command = "facsim " + words[0] + " " + words[1];
    CAPTURE(command);
    std::vector<std::string> wrong = words;
    words.emplace_back("--help");
    const CommandResult help = run_command(words);
    const size_t examples = help.out.find("Examples:\n  " + command);
    CHECK(examples != std::string::npos);
    CHECK(help.out.find("Global options", examples) != std::string::npos);
    wrong.emplace_back("--no-such-option");
    const CommandResult result = run_command(wrong);
    CHECK(result.exit_code == 2);
    CHECK(contains(result.err, "\nsee " + command + " --help\n"));
  }
  const auto points_at = [](const std::vector<std::string>& arguments) {
    const std::string err = run_command(arguments).err;
    const size_t see = err.find("\nsee ");
    return see == std::string::npos ? err : err.substr(see + 5);
  };
  CHECK(points_at({"vectors", "check"}) == "facsim vectors check --help\n");
  CHECK(points_at({"vectors", "gen", "--op", "conv2d", "--out", "x"}) ==
        "facsim vectors gen --help\n");
  CHECK(points_at({"profile", "lint"}) == "facsim profile lint --help\n");
  CHECK(points_at({"compare", "a.npy"}) == "facsim compare --help\n");
  CHECK(points_at({"vectors", "chekc"}) == "facsim vectors --help\n");
  CHECK(points_at({"vectros"}) == "facsim --help\n");
}

TEST_CASE("facsim: --version") {
  const CommandResult result = run_command({"--version"});
  CHECK(result.exit_code == 0);
  CHECK(result.out.starts_with("facsim "));
}

TEST_CASE("facsim: usage errors exit 2, say what is wrong and suggest the nearest word") {
  struct Case {
    std::vector<std::string> arguments;
    const char* text;
  };
  const Case cases[] = {
      {{}, "facsim needs a command: "},
      {{"profile"}, "profile needs a command: "},
      {{"list", "rounding", "b", "c"}, "unexpected arguments \"b\", \"c\""},
      {{"run", "--model", "m", "--inputs"}, "--inputs needs a value"},
      {{"comprae", "a", "b"}, "unknown command \"comprae\"; did you mean \"compare\"?"},
      {{"zzz"}, "unknown command \"zzz\""},
      {{"compare", "--fial-on", "any", "a", "b"},
       "unknown option \"--fial-on\"; did you mean \"--fail-on\"?"},
      {{"list", "--fromat=json", "ops"}, "unknown option \"--fromat\"; did you mean \"--format\"?"},
      {{"list", "-q", "ops"}, "unknown option \"-q\""},
      {{"list", "roundng"}, "did you mean \"rounding\"?"},
      {{"list", "ops", "more"}, "unexpected argument \"more\""},
      {{"list"}, "what is required"},
      {{"list", "ops", "--format", "jsn"}, "did you mean \"json\"?"},
      {{"list", "ops", "--isa", "avx9"}, "is not one of best, scalar"},
      {{"list", "ops", "-j", "999"}, "999"},
      {{"list", "ops", "-j", "x"}, "x"},
      {{"list", "ops", "--seed", "-1"}, "--seed: Value -1 is negative"},
      {{"list", "ops", "--profile", ""}, "--profile: empty name"},
      {{"list", "ops", "--set", "bits=4"}, "--set \"bits=4\": expected /pointer=value"},
      {{"run", "--model", "m.json"}, "is required"},
      {{"run", "--model"}, "--model needs a value"},
      {{"compare", "a.npy"}, "compare needs two files"},
      {{"compare", "a.npy", "b.npy", "--fail-on", "some"}, "any, lsb:N"},
      {{"compare", "a.npy", "b.npy", "--fail-on", "ayn"}, "did you mean \"any\"?"},
      {{"compare", "a.npy", "b.npy", "--fail-on", "lbs:1"}, "did you mean \"lsb\"?"},
      {{"compare", "--model", "m.json"}, "needs --inputs and --golden"},
      {{"compare", "a", "b", "--model", "m.json"}, "not both"},
      {{"requantize", "--acc", "a.npy", "-o", "o.npy"},
       "--multiplier and --shift, --scale, or --input-scale"},
      {{"requantize", "--acc", "a.npy", "-o", "o.npy", "--multiplier", "m.npy"}, "--shift"},
      {{"requantize", "--acc", "a.npy", "-o", "o.npy", "--scale", "s.npy"},
       "--profile is required"},
  };
  for (const Case& c : cases) {
    const CommandResult result = run_command(c.arguments);
    CAPTURE(c.text);
    CAPTURE(result.err);
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(result.err.starts_with("facsim: error: "));
    CHECK(contains(result.err, c.text));
  }
}

TEST_CASE("facsim: control characters of arguments are not sent to the terminal") {
  const CommandResult result = run_command({"list", "\x1b[31mops"});
  CHECK(result.exit_code == 2);
  CHECK_FALSE(contains(result.err, "\x1b"));
  CHECK(contains(result.err, "\\x1b[31mops"));
}

TEST_CASE("facsim: colours only when asked for or on a terminal") {
  CHECK(contains(run_command({"compare", "--color", "always", "a.npy", "b.npy"}).err, "\x1b[31"));
  CHECK_FALSE(contains(run_command({"compare", "a.npy", "b.npy"}).err, "\x1b"));
}

}  // namespace facsim::test
