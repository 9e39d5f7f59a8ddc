// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/runtime_process.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "sim/core/error.h"
#include "tools/facsim/child_process.h"
#include "tools/facsim/output.h"
#include "tools/facsim/scratch_folder.h"

namespace facsim::cli {

namespace {

constexpr int kNotInstalled = 4;  ///< exit code of the scripts

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
  const auto end = run_child({std::move(words), scratch / "out", scratch / "err"});
  if (!end) not_installed("no program \"node\"");
  const std::string said = first_line(scratch / "err", file);
  if (end->code == kNotInstalled) not_installed(said);
  if (end->code != 0) {
    throw Error({ErrorCode::unsupported, file.string(),
                 said.empty() ? fmt::format("{} ended with {}", runtime.script, end->code) : said,
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
