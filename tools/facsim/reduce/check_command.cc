// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/reduce/check_command.h"

#include <fmt/format.h>

#include "tools/facsim/child_process.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/layer_profiles.h"
#include "tools/facsim/output.h"
#include "tools/facsim/scratch_folder.h"

namespace facsim::cli {

namespace {

constexpr int kDiffers = 0, kDoesNot = 1, kNoProgram = 127;

/// The last line of a file that is not empty.
std::string last_line(const std::filesystem::path& file) {
  std::string text = backends::read_file(file);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const size_t end = text.rfind('\n');
  return end == std::string::npos ? text : text.substr(end + 1);
}

[[noreturn]] void stop(const std::string& command, std::string found, std::string hint) {
  throw CheckCommand::Stopped{
      Error({ErrorCode::bad_value, "--check \"" + printable(command) + "\"", std::move(found),
             "exit code 0 (differs) or 1 (does not)", std::move(hint)})};
}

}  // namespace

CheckCommand::CheckCommand(std::string command, Limits limits, ReduceRules rules,
                           std::function<void(int64_t)> progress)
    : command_(std::move(command)),
      limits_(limits),
      rules_(std::move(rules)),
      progress_(std::move(progress)) {}

bool CheckCommand::operator()(const backends::Reproduction& at) {
  throw_if_interrupted();
  if (is_used_up()) return false;
  const bool one_node = at.graph.nodes.size() == 1;
  const ReduceRules rules = one_node ? rules_.of(at.graph.nodes[0]) : rules_;
  const backends::Profile profile = rules.load();
  LayerProfiles others(rules.search);
  const backends::NamedTensors outputs =
      outputs_of(by_itself(at), {profile, [&](std::string_view name) -> const backends::Profile& {
                                   return others.find(name);
                                 }});
  ++runs_;
  progress_(runs_);
  return ask(at, rules, outputs);
}

bool CheckCommand::ask(const backends::Reproduction& at, const ReduceRules& rules,
                       const backends::NamedTensors& outputs) const {
  const ScratchFolder folder, output;
  write_side_a(folder.path(), at, profile_text(rules, "a"), outputs);
  const auto end = run_child(
      {{"sh", "-c", command_}, output / "out", output / "err", folder.path(), limits_.seconds});
  if (!end) stop(command_, "no program sh", "");
  if (end->timed_out) {
    stop(command_, fmt::format("no answer in {} s", limits_.seconds), "--timeout");
  }
  if (end->code == kDiffers) return true;
  if (end->code == kDoesNot) return false;
  const std::string said = last_line(output / "err");
  stop(command_,
       fmt::format("exit code {}{}", end->code, said.empty() ? "" : ": " + printable(said)),
       end->code == kNoProgram ? "it runs in a folder of its own: name programs and files there by "
                                 "their full path"
                               : "");
}

}  // namespace facsim::cli
