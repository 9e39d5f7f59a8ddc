// SPDX-License-Identifier: Apache-2.0
#include "fused/train/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <sstream>

#include "sim/core/error.h"

namespace facsim::fused::train {

namespace {

constexpr int64_t kVersion = 1;
constexpr int64_t kPositionFields = 4, kHistoryFields = 6;

int64_t to_bits(double value) { return std::bit_cast<int64_t>(value); }
double from_bits(int64_t bits) { return std::bit_cast<double>(bits); }

Tensor text_tensor(const std::string& text) {
  Tensor t = Tensor::uninitialized(DType::uint8, Shape{static_cast<int64_t>(text.size())});
  std::copy(text.begin(), text.end(), t.data<uint8_t>());
  return t;
}

const Tensor& integers(const backends::NamedTensors& members, const char* name, DType dtype,
                       const std::string& file) {
  const Tensor& t = backends::member(members, name, file);
  if (t.dtype() != dtype) {
    throw Error({ErrorCode::bad_value, file + "!" + name, std::string(to_string(t.dtype())),
                 std::string(to_string(dtype)), ""});
  }
  return t;
}

[[noreturn]] void damaged(const std::string& file, const char* name) {
  throw Error({ErrorCode::bad_value, file + "!" + name, "damaged", "a facsim checkpoint", ""});
}

/// The first line in which two settings differ.
void require_same(const std::string& file, std::string found, const std::string& wanted) {
  // Files from before there was a choice.
  if (found.find("\ngrad=") == std::string::npos && found.find("\nmode=") != std::string::npos) {
    found.insert(found.find("\nmode=") + 1, "grad=float32\n");
  }
  const auto line_of = [](const std::string& settings) {
    const size_t at = settings.find("\npreprocessing=") + 1;
    return settings.substr(at, settings.find('\n', at) + 1 - at);
  };
  if (found.find("\npreprocessing=") == std::string::npos &&
      found.find("\nseed=") != std::string::npos) {
    found.insert(found.find("\nseed=") + 1, line_of(wanted));
  }
  std::istringstream a(found), b(wanted);
  std::string left, right;
  while (std::getline(b, right)) {
    if (!std::getline(a, left)) left.clear();
    if (left != right) {
      throw Error({ErrorCode::bad_value, file, "made with " + left, right,
                   "resume with the settings of the interrupted run, or start afresh"});
    }
  }
}

}  // namespace

std::string settings_of(const Job& job) {
  const Recipe& r = job.recipe;
  const OptimizerOptions& o = r.optimizer;
  std::string s;
  const auto line = [&](const std::string& name, const auto& value) {
    s += fmt::format("{}={}\n", name, value);
  };
  line("network", job.graph.name);
  if (job.graph.trained()) line("network parameters", backends::parameters_hash(job.graph));
  line("profile", job.profile.name);
  line("profile fingerprint", job.profile.fingerprint);
  for (const auto& [name, profile] : job.layer_profiles) {
    line("profile fingerprint of " + name, profile.fingerprint);
  }
  line("training images", job.train.size());
  const backends::Preprocessing& p = job.graph.preprocessing;
  line("preprocessing",
       fmt::format("mean {} std {}", fmt::join(p.mean, " "), fmt::join(p.std, " ")));
  line("seed", r.seed);
  line("batch", r.batch);
  line("float_epochs", r.float_epochs);
  line("epochs", r.epochs);
  line("float_lr", r.float_lr);
  line("lr", r.lr);
  line("schedule", to_string(r.schedule));
  line("optimizer", to_string(o.kind));
  line("momentum", o.momentum);
  line("weight_decay", o.weight_decay);
  line("augmentation", r.augmentation == Augmentation::none ? "none" : "shift_flip");
  line("calibration_images", r.calibration_images);
  line("frozen_part", r.frozen_part);
  line("grad", to_string(r.grad));
  line("mode", r.mode == ForwardMode::simulate ? "simulate" : "fake_quantize");
  return s;
}

void write_checkpoint(const std::filesystem::path& file, const Checkpoint& c,
                      const std::string& settings) {
  backends::NamedTensors members;
  members.emplace_back("settings", text_tensor(settings));
  const int64_t position[kPositionFields] = {kVersion, static_cast<int64_t>(c.stage), c.epoch,
                                             to_bits(c.float_accuracy)};
  members.emplace_back("position", Tensor::from<int64_t>(Shape{kPositionFields}, position));
  std::vector<int64_t> history;
  for (const EpochRecord& e : c.history) {
    history.insert(history.end(),
                   {static_cast<int64_t>(e.stage), e.epoch, to_bits(e.loss),
                    to_bits(e.train_accuracy), to_bits(e.test_accuracy), to_bits(e.seconds)});
  }
  members.emplace_back("history",
                       Tensor::from<int64_t>(
                           Shape{static_cast<int64_t>(c.history.size()), kHistoryFields}, history));
  for (const auto& [name, tensor] : c.model) members.emplace_back("model." + name, tensor);
  for (const auto& [name, tensor] : c.optimizer) members.emplace_back("optimizer." + name, tensor);
  backends::write_npz(file, members);
}

Checkpoint read_checkpoint(const std::filesystem::path& path, const std::string& settings) {
  const std::string file = path.string();
  const backends::NamedTensors members = backends::read_npz(path);
  const Tensor& text = integers(members, "settings", DType::uint8, file);
  require_same(file, std::string(text.data<uint8_t>(), text.data<uint8_t>() + text.numel()),
               settings);

  Checkpoint c;
  const Tensor& position = integers(members, "position", DType::int64, file);
  if (position.numel() != kPositionFields || position.int_at(0) != kVersion ||
      position.int_at(1) < 0 || position.int_at(1) > 1 || position.int_at(2) < 0 ||
      position.int_at(2) > 1'000'000) {
    damaged(file, "position");
  }
  c.stage = static_cast<Stage>(position.int_at(1));
  c.epoch = static_cast<int>(position.int_at(2));
  c.float_accuracy = from_bits(position.int_at(3));

  const Tensor& history = integers(members, "history", DType::int64, file);
  if (history.shape().rank() != 2 || history.shape()[1] != kHistoryFields) damaged(file, "history");
  for (int64_t i = 0; i < history.numel(); i += kHistoryFields) {
    if (history.int_at(i) < 0 || history.int_at(i) > 1) damaged(file, "history");
    c.history.push_back({.stage = static_cast<Stage>(history.int_at(i)),
                         .epoch = static_cast<int>(history.int_at(i + 1)),
                         .loss = from_bits(history.int_at(i + 2)),
                         .train_accuracy = from_bits(history.int_at(i + 3)),
                         .test_accuracy = from_bits(history.int_at(i + 4)),
                         .seconds = from_bits(history.int_at(i + 5))});
  }
  constexpr std::string_view kModel = "model.", kOptimizer = "optimizer.";
  for (const auto& [name, tensor] : members) {
    if (name.starts_with(kModel)) c.model.emplace_back(name.substr(kModel.size()), tensor);
    if (name.starts_with(kOptimizer)) {
      c.optimizer.emplace_back(name.substr(kOptimizer.size()), tensor);
    }
  }
  return c;
}

}  // namespace facsim::fused::train
