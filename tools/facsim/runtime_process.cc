// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/runtime_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "tools/facsim/interrupt.h"
#include "tools/facsim/output.h"

extern char** environ;

namespace facsim::cli {

namespace {

constexpr int kNotInstalled = 4;  ///< exit code of the scripts

/// A folder that is removed at the end.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "facsim-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
      throw Error({ErrorCode::io, name, std::strerror(errno), "a folder for temporary files", ""});
    }
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

[[noreturn]] void not_installed(std::string found) {
  throw Error({ErrorCode::unsupported, "runtimes", std::move(found),
               "node and the packages of tools/runtimes/install.sh",
               "run it, or name its folder by --runtimes or FACSIM_RUNTIMES"});
}

std::filesystem::path installed_folder(const std::filesystem::path& given) {
  if (!given.empty()) return given;
  const char* variable = std::getenv("FACSIM_RUNTIMES");
  return variable != nullptr && *variable != '\0' ? variable : "build/runtimes";
}

bool is_on_path(const char* program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "/bin:/usr/bin");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::filesystem::path file = std::filesystem::path(folder) / program;
    if (access(file.c_str(), X_OK) == 0) return true;
  }
  return false;
}

/// Waits for a child and returns its status. An interrupt ends the child first, then the wait by
/// Interrupted.
int wait_for(pid_t pid) {
  constexpr auto kPause = std::chrono::milliseconds(5);
  int status = 0;
  while (true) {
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) break;
    if (ended < 0 && errno != EINTR) {
      throw Error({ErrorCode::io, "waitpid", std::strerror(errno), "the runtime's process", ""});
    }
    if (interrupted()) {
      kill(pid, SIGKILL);
      while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
      }
      break;
    }
    std::this_thread::sleep_for(kPause);
  }
  throw_if_interrupted();
  return status;
}

/// Runs a program with its output in files. Returns its exit code, 128 + signal if one ended it, or
/// nothing if there is no such program. SIGTERM means Ctrl-C meanwhile: it must not leave the
/// program behind.
std::optional<int> run_program(std::vector<std::string> words, const std::filesystem::path& out,
                               const std::filesystem::path& err) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), kFlags, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), kFlags, 0600);
  const TerminationInterrupts termination;
  pid_t pid = -1;
  const int failed = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return {};
  const int status = wait_for(pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The first line of what a program said of a network, without "error: " and the network's name.
std::string first_line(const std::filesystem::path& file, const std::filesystem::path& network) {
  std::string text = backends::read_file(file);
  text = text.substr(0, text.find('\n'));
  for (const std::string& start : {std::string("error: "), network.string() + ": "}) {
    if (text.starts_with(start)) text.erase(0, start.size());
  }
  return text;
}

std::string text_member(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

const DeployedRuntime& runtime_of(const std::filesystem::path& file) {
  static const std::array<DeployedRuntime, 2> runtimes{
      {{"ONNX Runtime", "run_onnx.mjs", "onnxruntime-cpu"},
       {"TensorFlow Lite with XNNPACK", "run_tflite.mjs", "xnnpack-x86"}}};
  if (file.extension() == ".onnx") return runtimes[0];
  if (file.extension() == ".tflite") return runtimes[1];
  throw Error({ErrorCode::unsupported, file.string(),
               "extension \"" + file.extension().string() + "\"", ".onnx or .tflite", ""});
}

std::vector<std::string> int8_options(const std::filesystem::path& file,
                                      const backends::IntGraph& graph) {
  const bool any_int8 = std::any_of(graph.tensors.begin(), graph.tensors.end(), [](const auto& t) {
    return !t.data && t.qparams && t.qparams->type == sim::kInt8;
  });
  if (file.extension() != ".onnx" || !any_int8) return {};
  note(
      "int8 activations: verified with session.qdqisint8allowed=1, without which ONNX Runtime on "
      "x86 computes them in float");
  return {"--config", "session.qdqisint8allowed=1"};
}

std::filesystem::path find_runtime(const DeployedRuntime& runtime,
                                   const std::filesystem::path& folder) {
  std::filesystem::path script = installed_folder(folder) / runtime.script;
  if (!std::filesystem::exists(script)) not_installed("no " + script.string());
  if (!is_on_path("node")) not_installed("no program \"node\"");
  return script;
}

RuntimeResult run_in_runtime(const DeployedRuntime& runtime, const std::filesystem::path& script,
                             const std::filesystem::path& file,
                             const backends::NamedTensors& inputs,
                             const std::vector<std::string>& options) {
  const ScratchFolder scratch;
  backends::write_npz(scratch / "inputs.npz", inputs);
  std::vector<std::string> words{"node", script.string(), file.string(),
                                 (scratch / "inputs.npz").string(),
                                 (scratch / "outputs.npz").string()};
  words.insert(words.end(), options.begin(), options.end());
  const auto code = run_program(words, scratch / "out", scratch / "err");
  if (!code) not_installed("no program \"node\"");
  const std::string said = first_line(scratch / "err", file);
  if (*code == kNotInstalled) not_installed(said);
  if (*code != 0) {
    throw Error({ErrorCode::unsupported, file.string(),
                 said.empty() ? fmt::format("{} ended with {}", runtime.script, *code) : said,
                 "a network that " + runtime.title + " executes", ""});
  }
  const auto line = nlohmann::json::parse(backends::read_file(scratch / "out"), nullptr, false);
  RuntimeResult result;
  if (line.is_object()) {
    result.version = text_member(line, "runtime") + " " + text_member(line, "version");
    const auto seconds = line.find("seconds");
    if (seconds != line.end() && seconds->is_number()) result.seconds = seconds->get<double>();
  }
  result.outputs = backends::read_npz(scratch / "outputs.npz");
  return result;
}

}  // namespace facsim::cli
