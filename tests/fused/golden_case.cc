// SPDX-License-Identifier: Apache-2.0
#include "tests/fused/golden_case.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>

namespace facsim::test {

std::optional<std::filesystem::path> qat_folder() {
  const char* folder = std::getenv("FACSIM_QAT_DIR");
  if (folder == nullptr || *folder == '\0') return std::nullopt;
  return folder;
}

GoldenCase::GoldenCase(const std::filesystem::path& folder, const nlohmann::json& entry)
    : id_(entry.at("id")),
      op_(entry.at("op")),
      attrs_(entry.at("attrs")),
      rules_(entry.at("compare")) {
  for (auto& [name, tensor] : backends::read_npz(folder / entry.at("file").get<std::string>())) {
    arrays_.emplace(name, tensor);
  }
}

bool GoldenCase::skips_everything() const { return rules_.value("*", nlohmann::json()) == "skip"; }

void GoldenCase::compare(const std::string& name, const Tensor& got) {
  if (!has(name)) return;
  const nlohmann::json rule = rules_.contains(name) ? rules_.at(name) : rules_.at("*");
  if (rule == "skip") return;
  ++compared_;
  const Tensor& expected = array(name);
  CAPTURE(id_);
  CAPTURE(name);
  REQUIRE(got.numel() == expected.numel());
  const auto value = [](const Tensor& t, int64_t i) {
    return t.dtype() == DType::float32 ? static_cast<double>(t.data<float>()[i])
                                       : static_cast<double>(t.int_at(i));
  };
  int64_t wrong = 0, first = -1;
  for (int64_t i = 0; i < got.numel(); ++i) {
    const double e = value(expected, i), g = value(got, i);
    bool equal = e == g || (std::isnan(e) && std::isnan(g));
    if (rule != "bits" && !equal) {
      equal = std::fabs(g - e) <=
              rule.at("atol").get<double>() + rule.at("rtol").get<double>() * std::fabs(e);
    }
    if (equal) continue;
    if (first < 0) first = i;
    ++wrong;
  }
  if (wrong > 0) {
    FAIL_CHECK(id_ << " " << name << ": " << wrong << " of " << got.numel() << " differ, first at "
                   << first << ": got " << value(got, first) << ", expected "
                   << value(expected, first) << ", rule " << rule.dump());
  }
}

void GoldenCase::finish() const {
  CAPTURE(id_);
  CHECK(compared_ > 0);
}

std::vector<GoldenCase> golden_cases(const std::vector<std::string>& ops) {
  const auto folder = qat_folder();
  std::vector<GoldenCase> cases;
  if (!folder) {
    std::cout << "SKIPPED: FACSIM_QAT_DIR is not set\n";
    return cases;
  }
  std::ifstream file(*folder / "manifest.json");
  const nlohmann::json manifest = nlohmann::json::parse(file);
  REQUIRE(manifest.at("format") == "facsim-qat-1");
  for (const auto& entry : manifest.at("cases")) {
    if (std::find(ops.begin(), ops.end(), entry.at("op")) != ops.end()) {
      cases.emplace_back(*folder, entry);
    }
  }
  return cases;
}

quant::TensorSpec torch_spec(int64_t quant_min, int64_t quant_max, bool symmetric,
                             int channel_axis) {
  using Spec = quant::TensorSpec;
  Spec spec;
  spec.type.is_signed = quant_min < 0;
  spec.type.bits = std::bit_width(static_cast<uint64_t>(quant_max)) + (quant_min < 0 ? 1 : 0);
  spec.narrow_range = quant_min == -quant_max;
  spec.zero_point = !symmetric            ? Spec::ZeroPoint::any
                    : spec.type.is_signed ? Spec::ZeroPoint::zero
                                          : Spec::ZeroPoint::middle;
  spec.granularity =
      channel_axis >= 0 ? Spec::Granularity::per_channel : Spec::Granularity::per_tensor;
  spec.channel_axis = channel_axis < 0 ? 0 : channel_axis;
  spec.formula = Spec::Formula::reciprocal;
  REQUIRE(spec.quant_min() == quant_min);
  REQUIRE(spec.quant_max() == quant_max);
  return spec;
}

}  // namespace facsim::test
