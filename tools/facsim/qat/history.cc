// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/qat/history.h"

#include <nlohmann/json.hpp>

#include "backends/io/npy.h"
#include "sim/core/error.h"

namespace facsim::cli {

namespace {

using Json = nlohmann::ordered_json;
using fused::train::Stage;

constexpr const char* kFormat = "facsim-history";
constexpr int kVersion = 1;

Json histogram_json(const std::map<int64_t, int64_t>& histogram) {
  Json json = Json::array();
  for (const auto& [difference, count] : histogram) json.push_back({difference, count});
  return json;
}

std::map<int64_t, int64_t> histogram_from(const Json& json) {
  std::map<int64_t, int64_t> histogram;
  for (const Json& pair : json) histogram[pair.at(0).get<int64_t>()] = pair.at(1).get<int64_t>();
  return histogram;
}

Json settings_json(const fused::train::Recipe& r) {
  return {
      {"seed", r.seed},
      {"batch", r.batch},
      {"float_epochs", r.float_epochs},
      {"epochs", r.epochs},
      {"float_lr", r.float_lr},
      {"lr", r.lr},
      {"schedule", to_string(r.schedule)},
      {"optimizer", to_string(r.optimizer.kind)},
      {"momentum", r.optimizer.momentum},
      {"weight_decay", r.optimizer.weight_decay},
      {"augmentation", r.augmentation == fused::train::Augmentation::none ? "none" : "shift_flip"},
      {"calibration_images", r.calibration_images},
      {"frozen_part", r.frozen_part},
      {"grad", fused::train::to_string(r.grad)},
      {"mode", r.mode == fused::ForwardMode::simulate ? "simulate" : "fake_quantize"}};
}

Json contrast_json(const Contrast& contrast) {
  Json layers = Json::array();
  for (const LayerContrast& layer : contrast.layers) {
    layers.push_back({{"name", layer.name},
                      {"compared", layer.compared},
                      {"mismatches", layer.mismatches},
                      {"histogram", histogram_json(layer.histogram)}});
  }
  return {{"images", contrast.images},
          {"correct", contrast.correct},
          {"flips", contrast.flips},
          {"compared", contrast.compared()},
          {"mismatches", contrast.mismatches()},
          {"layers", std::move(layers)}};
}

Contrast contrast_from(const Json& json) {
  Contrast contrast{.layers = {},
                    .images = json.at("images"),
                    .correct = json.at("correct"),
                    .flips = json.at("flips")};
  for (const Json& layer : json.at("layers")) {
    contrast.layers.push_back({.name = layer.at("name"),
                               .compared = layer.at("compared"),
                               .mismatches = layer.at("mismatches"),
                               .histogram = histogram_from(layer.at("histogram"))});
  }
  return contrast;
}

History from_json(const Json& json) {
  History h;
  h.profile = json.at("profile");
  h.profile_fingerprint = json.at("profile_fingerprint");
  h.network = json.at("network");
  h.test_images = json.at("test_images");
  h.float_accuracy = json.at("float_accuracy");
  h.qat_accuracy = json.at("qat_accuracy");
  h.seconds = json.at("seconds");
  h.recipe.float_epochs = json.at("settings").at("float_epochs");
  h.recipe.epochs = json.at("settings").at("epochs");
  h.contrast = contrast_from(json.at("fake_quantize"));
  for (const Json& e : json.at("epochs")) {
    h.epochs.push_back({.stage = e.at("stage") == "float" ? Stage::float_ : Stage::qat,
                        .epoch = e.at("epoch"),
                        .loss = e.at("loss"),
                        .train_accuracy = e.at("train_accuracy"),
                        .test_accuracy = e.at("test_accuracy"),
                        .seconds = e.at("seconds")});
  }
  return h;
}

}  // namespace

Json to_json(const History& h) {
  Json epochs = Json::array();
  for (const fused::train::EpochRecord& e : h.epochs) {
    epochs.push_back({{"stage", to_string(e.stage)},
                      {"epoch", e.epoch},
                      {"loss", e.loss},
                      {"train_accuracy", e.train_accuracy},
                      {"test_accuracy", e.test_accuracy},
                      {"seconds", e.seconds}});
  }
  return {{"format", kFormat},
          {"version", kVersion},
          {"profile", h.profile},
          {"profile_fingerprint", h.profile_fingerprint},
          {"network", h.network},
          {"settings", settings_json(h.recipe)},
          {"test_images", h.test_images},
          {"float_accuracy", h.float_accuracy},
          {"qat_accuracy", h.qat_accuracy},
          {"fake_quantize", contrast_json(h.contrast)},
          {"epochs", std::move(epochs)},
          {"seconds", h.seconds}};
}

History read_history(const std::filesystem::path& file) {
  const std::string text = backends::read_file(file);
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != kFormat || json.at("version") != kVersion) {
      throw Error({ErrorCode::bad_value, file.string(), "another format or version",
                   "facsim-history version 1", ""});
    }
    return from_json(json);
  } catch (const nlohmann::json::exception& error) {
    throw Error({ErrorCode::bad_json, file.string(), error.what(),
                 "a history.json written by facsim qat", ""});
  }
}

}  // namespace facsim::cli
