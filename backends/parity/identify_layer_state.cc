// SPDX-License-Identifier: Apache-2.0
// A dialogue about layers as a folder: the layers to run on the device, and those it computed.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "backends/io/network_file.h"
#include "backends/parity/identify_layers-internal.h"
#include "backends/parity/identify_state-internal.h"
#include "backends/parity/vectors_gen_suite-internal.h"
#include "backends/text/did_you_mean.h"

namespace facsim::backends {

namespace {

constexpr const char* kLayerFormat = "facsim-identify-layers-1";
constexpr const char* kAnsweredFolder = "answered";
constexpr const char* kRefusedFolder = "refused";

void write_layers(const std::filesystem::path& folder, const std::vector<GeneratedCase>& layers,
                  const char* origin, const std::function<void()>& before_file) {
  if (layers.empty()) return;
  GeneratedSuite suite;
  suite.profile = "unknown";
  suite.op = "layers";
  suite.origin = origin;
  suite.cases = layers;
  write_vectors(folder, suite, {}, before_file);
}

/// What write_layers wrote.
std::vector<GeneratedCase> read_layers(const std::filesystem::path& folder,
                                       detail::VectorGoldens goldens) {
  const detail::VectorSuite suite = detail::read_vector_suite(folder, goldens);
  std::map<std::string, NpzFile> archives;
  std::vector<GeneratedCase> layers;
  for (const detail::VectorCase& c : suite.cases) {
    if (!detail::is_network_case(c)) {
      throw Error({ErrorCode::bad_value, suite.manifest.place(c.pointer), "no network",
                   "files.model, a network of one layer", ""});
    }
    auto npz = archives.find(c.npz);
    if (npz == archives.end()) npz = archives.emplace(c.npz, NpzFile(folder / c.npz)).first;
    const detail::CaseData data(suite, c, npz->second);
    GeneratedCase layer;
    layer.name = c.name;
    layer.op = c.op;
    layer.family = c.family;
    layer.graph = detail::read_case_network(data).graph;
    if (layer.graph.nodes.size() != 1 || layer.graph.inputs.empty()) {
      throw Error(
          {ErrorCode::bad_value, (folder / c.model).string(),
           fmt::format("{} layers, {} inputs", layer.graph.nodes.size(), layer.graph.inputs.size()),
           "one layer with inputs", ""});
    }
    for (const auto& [role, array] : c.arrays) {
      if (role != c.golden) layer.arrays.emplace_back(role, data.array(role));
    }
    if (goldens == detail::VectorGoldens::recorded) layer.golden = data.golden();
    layers.push_back(std::move(layer));
  }
  return layers;
}

/// "onednn", ["/requantize/rounding=floor"] of each.
nlohmann::ordered_json left_json(const std::vector<IdentifySetting>& left) {
  auto list = nlohmann::ordered_json::array();
  for (const IdentifySetting& setting : left) {
    auto settings = nlohmann::ordered_json::array();
    for (const ProfileOverride& one : setting.overrides) {
      settings.push_back(one.pointer + "=" + one.value);
    }
    list.push_back({{"profile", setting.base}, {"settings", std::move(settings)}});
  }
  return list;
}

std::vector<IdentifySetting> read_left(const json::Document& document, json::ObjectReader& reader,
                                       std::vector<ErrorInfo>& errors) {
  constexpr size_t kMost = 1'000'000;
  std::vector<IdentifySetting> left;
  const auto list = reader.list("left", kMost, json::ObjectReader::Presence::required);
  for (size_t i = 0; i < list.size(); ++i) {
    json::ObjectReader one(document, list[i], json::child(reader.pointer("left"), i), errors);
    IdentifySetting setting;
    setting.base = one.text("profile");
    for (const std::string& text : one.texts("settings", {0, 100})) {
      const size_t equals = text.find('=');
      if (equals == std::string::npos) one.fail("settings", text, "/pointer=value");
      if (equals == std::string::npos) continue;
      setting.overrides.push_back({text.substr(0, equals), text.substr(equals + 1)});
    }
    one.finish();
    left.push_back(std::move(setting));
  }
  return left;
}

json::Document read_state_document(const std::filesystem::path& state) {
  json::ReadOptions options;
  options.max_bytes = uint64_t{1} << 28;
  return json::read_json(state, options);
}

/// The output of a layer, as any profile computes it: its type and shape.
void require_output_of(const GeneratedCase& layer, const Tensor& output) {
  const IntTensor& described =
      layer.graph.tensors[static_cast<size_t>(layer.graph.outputs.front())];
  Shape shape = described.shape;
  const detail::VectorLayer inputs = detail::layer_of(layer);
  // Networks describe one image; a layer's inputs may be several.
  const IntTensor& input = layer.graph.tensors[static_cast<size_t>(layer.graph.inputs.front())];
  if (shape.rank() > 0 && input.shape.rank() > 0 && inputs.inputs.front().shape().rank() > 0) {
    const int64_t images = inputs.inputs.front().shape()[0] / std::max<int64_t>(input.shape[0], 1);
    shape[0] *= images;
  }
  if (output.dtype() != described.dtype || output.shape() != shape) {
    throw Error({ErrorCode::shape_mismatch, fmt::format("answers, {}", layer.name),
                 fmt::format("{}{}", to_string(output.dtype()), to_string(output.shape())),
                 fmt::format("{}{}", to_string(described.dtype), to_string(shape)), ""});
  }
}

}  // namespace

void write_layer_dialogue(const std::filesystem::path& folder, const LayerDialogue& dialogue,
                          const std::function<void()>& before_file) {
  write_layers(folder, dialogue.pending, "the device", before_file);
  write_layers(folder / kAnsweredFolder, dialogue.answered, "the device", before_file);
  write_layers(folder / kRefusedFolder, dialogue.refused, "the device", before_file);
  nlohmann::ordered_json json = {{"format", kLayerFormat},
                                 {"suite", std::filesystem::absolute(dialogue.suite).string()},
                                 {"cases", dialogue.cases},
                                 {"round", dialogue.round},
                                 {"suggested", dialogue.suggested},
                                 {"answered", !dialogue.answered.empty()},
                                 {"refused", !dialogue.refused.empty()}};
  if (dialogue.left) json["left"] = left_json(*dialogue.left);
  detail::put_asked(json, dialogue.asked);
  if (before_file) before_file();
  write_file_atomically(folder / "state.json", json.dump(1) + "\n");
}

bool is_layer_dialogue(const std::filesystem::path& state) {
  const json::Document document = read_state_document(state);
  const auto format =
      document.value.is_object() ? document.value.find("format") : document.value.end();
  return format != document.value.end() && *format == kLayerFormat;
}

LayerDialogue read_layer_dialogue(const std::filesystem::path& state) {
  const json::Document document = read_state_document(state);
  std::vector<ErrorInfo> errors;
  json::ObjectReader reader(document, document.value, "", errors);
  LayerDialogue dialogue;
  const std::string formats[] = {kLayerFormat};
  reader.word("format", formats, "a format");
  dialogue.suite = reader.text("suite");
  dialogue.cases = reader.texts("cases", {0, 1'000'000});
  constexpr int64_t kMany = int64_t{1} << 40;
  dialogue.round = reader.integer("round", {0, kMany});
  dialogue.suggested = reader.integer("suggested", {0, kMany});
  const bool answered = reader.boolean("answered"), refused = reader.boolean("refused");
  if (reader.has("left")) dialogue.left = read_left(document, reader, errors);
  dialogue.asked = detail::read_asked(reader);
  reader.finish();
  if (!errors.empty()) throw Error(std::move(errors));
  using detail::VectorGoldens;
  const std::filesystem::path folder = state.parent_path();
  dialogue.pending = read_layers(folder, VectorGoldens::awaited);
  if (answered) dialogue.answered = read_layers(folder / kAnsweredFolder, VectorGoldens::recorded);
  if (refused) dialogue.refused = read_layers(folder / kRefusedFolder, VectorGoldens::awaited);
  return dialogue;
}

void answer_layers(LayerDialogue& dialogue, const NamedTensors& outputs,
                   const std::set<std::string>& refused) {
  std::vector<std::string> names;
  for (const GeneratedCase& layer : dialogue.pending) names.push_back(layer.name);
  const auto require_known = [&](const std::string& name, const char* place) {
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    const std::string near = did_you_mean(name, names);
    throw Error({ErrorCode::missing_key, place, fmt::format("\"{}\"", name),
                 "the name of a suggested layer",
                 near.empty() ? std::string() : fmt::format("\"{}\"?", near)});
  };
  std::map<std::string, const Tensor*> by_name;
  for (const auto& [name, tensor] : outputs) {
    constexpr std::string_view kRole = "/golden";
    const std::string stem =
        name.ends_with(kRole) ? name.substr(0, name.size() - kRole.size()) : name;
    require_known(stem, "answers");
    by_name[stem] = &tensor;
  }
  for (const std::string& name : refused) require_known(name, "refused layers");
  for (GeneratedCase& layer : dialogue.pending) {
    const auto output = by_name.find(layer.name);
    const bool is_refused = refused.contains(layer.name);
    if (is_refused == (output != by_name.end())) {
      throw Error({is_refused ? ErrorCode::bad_value : ErrorCode::missing_key,
                   fmt::format("answers, {}", layer.name),
                   is_refused ? "an output of a layer that was refused" : "no output",
                   "an array of this name, or --refused with it", ""});
    }
    if (is_refused) {
      dialogue.refused.push_back(std::move(layer));
      continue;
    }
    require_output_of(layer, *output->second);
    layer.golden = *output->second;
    dialogue.answered.push_back(std::move(layer));
  }
  dialogue.pending.clear();
}

}  // namespace facsim::backends
