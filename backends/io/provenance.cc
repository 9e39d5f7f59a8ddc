// SPDX-License-Identifier: Apache-2.0
#include "backends/io/provenance.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "backends/io/network_json-internal.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

constexpr std::string_view kProvenanceFormat = "facsim-run";

constexpr std::array<std::pair<const char*, std::string Provenance::*>, 4> kMembers{{
    {"network", &Provenance::network},
    {"profile", &Provenance::profile},
    {"profile_fingerprint", &Provenance::profile_fingerprint},
    {"inputs", &Provenance::inputs},
}};

std::string tensor_digest(const Tensor& tensor) {
  std::string text(to_string(tensor.dtype()));
  text += to_string(tensor.shape());
  return text + detail::hash_hex({static_cast<const char*>(tensor.raw()), tensor.bytes()});
}

}  // namespace

std::string fingerprint(const IntGraph& graph) {
  IntGraph unnamed = graph;
  unnamed.name.clear();
  unnamed.profile.clear();
  unnamed.profile_fingerprint.clear();
  std::string text = detail::network_to_json(unnamed, {});
  for (const IntTensor& tensor : graph.tensors) {
    if (tensor.data) text += tensor_digest(*tensor.data);
  }
  return detail::hash_hex(text);
}

std::string fingerprint(std::span<const Tensor> tensors) {
  std::string text;
  for (const Tensor& tensor : tensors) text += tensor_digest(tensor);
  return detail::hash_hex(text);
}

std::string fingerprint(const NamedTensors& arrays) {
  std::vector<std::string> digests;
  for (const auto& [name, tensor] : arrays) {
    digests.push_back(
        tensor_digest(tensor) +
        nlohmann::json(name).dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  }
  std::sort(digests.begin(), digests.end());
  std::string text;
  for (const std::string& digest : digests) text += digest;
  return detail::hash_hex(text);
}

std::string to_comment(const Provenance& provenance) {
  nlohmann::ordered_json json = {{"format", kProvenanceFormat}};
  for (const auto& [key, member] : kMembers) json[key] = provenance.*member;
  return json.dump();
}

std::optional<Provenance> provenance_from_comment(std::string_view comment) {
  if (!comment.starts_with("{\"format\":\"facsim-run\"")) return {};
  try {
    const json::Document document = json::parse_json(comment, "comment", {.max_depth = 2});
    Provenance provenance;
    for (const auto& [key, member] : kMembers) {
      const auto found = document.value.find(key);
      if (found == document.value.end() || !found->is_string()) return {};
      provenance.*member = found->get<std::string>();
    }
    return provenance;
  } catch (const Error&) {
    return {};  // a comment is anybody's text
  }
}

}  // namespace facsim::backends
