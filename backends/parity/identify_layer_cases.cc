// SPDX-License-Identifier: Apache-2.0
// Recorded cases of whole layers under any profile, and which of its rules they follow.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "backends/parity/compare.h"
#include "backends/parity/identify_layers-internal.h"
#include "backends/parity/vectors_gen_suite-internal.h"
#include "backends/text/did_you_mean.h"
#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

/// FNV-1a over bytes.
constexpr uint64_t kHashStart = 0xcbf29ce484222325u;
uint64_t hashed(uint64_t hash, const void* data, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < bytes; ++i) hash = (hash ^ at[i]) * 0x100000001b3u;
  return hash;
}

/// Of two tensors of one type and shape.
bool are_equal_at(const Tensor& a, const Tensor& b, int64_t i) {
  if (a.dtype() != DType::float32) return a.int_at(i) == b.int_at(i);
  const float x = a.data<float>()[i], y = b.data<float>()[i];
  return x == y || (std::isnan(x) && std::isnan(y));
}

int64_t equal_elements(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return 0;
  int64_t equal = 0;
  for (int64_t i = 0; i < a.numel(); ++i) equal += are_equal_at(a, b, i);
  return equal;
}

double value_at(const Tensor& tensor, int64_t i) {
  return tensor.dtype() == DType::float32 ? tensor.data<float>()[i]
                                          : static_cast<double>(tensor.int_at(i));
}

std::string type_and_shape(const Tensor& tensor) {
  return fmt::format("{}{}", to_string(tensor.dtype()), to_string(tensor.shape()));
}

/// The first element in which a computed output is not the device's.
std::optional<IdentifyExclusion> first_difference(const Tensor& computed, const Tensor& golden) {
  IdentifyExclusion found;
  if (computed.dtype() != golden.dtype() || computed.shape() != golden.shape()) {
    found.reason =
        fmt::format("an output {} instead of {}", type_and_shape(computed), type_and_shape(golden));
    return found;
  }
  int64_t at = 0;
  while (at < golden.numel() && are_equal_at(computed, golden, at)) ++at;
  if (at == golden.numel()) return std::nullopt;
  found.index = unflatten(at, golden.shape());
  found.expected = value_at(golden, at);
  found.computed = value_at(computed, at);
  return found;
}

/// The profile without some of its rules.
Profile without_ops(const Profile& profile, std::span<const std::string> ops) {
  Profile fewer = profile;
  std::erase_if(fewer.ops, [&](const auto& entry) {
    const std::string word = entry.first.substr(0, entry.first.find(' '));
    return std::find(ops.begin(), ops.end(), word) != ops.end();
  });
  return fewer;
}

/// Rules that every reader refuses: of a type that no tensor has, and an algorithm that no lowering
/// knows.
Profile with_refused_rules(const Profile& profile, const std::string& key) {
  Profile changed = profile;
  OpRules& rules = changed.ops.at(key);
  constexpr sim::IntType kNone{63, true};
  rules.activation_types = rules.weight_types = rules.output_types = {kNone};
  rules.algorithm = "none";
  return changed;
}

}  // namespace

int64_t tensor_hash(const Tensor& tensor) {
  const int head[] = {static_cast<int>(tensor.dtype()), tensor.shape().rank()};
  uint64_t hash = hashed(kHashStart, head, sizeof(head));
  for (const int64_t extent : tensor.shape().extents())
    hash = hashed(hash, &extent, sizeof(extent));
  return static_cast<int64_t>(hashed(hash, tensor.raw(), tensor.bytes()));
}

IdentifyCase::IdentifyCase(std::shared_ptr<const VectorSuite> suite, const VectorCase& vector_case,
                           const NpzFile& npz)
    : name_(vector_case.name), suite_(std::move(suite)) {
  data_.emplace(*suite_, vector_case, npz);
  golden_ = data_->golden();
  if (golden_.empty()) {
    throw Error({ErrorCode::bad_value, suite_->manifest.place(vector_case.pointer),
                 "an empty output", "values to compare", ""});
  }
  if (is_network_case(vector_case)) {
    network_ = read_case_network(*data_);
  } else {
    adapter_ = find_adapter(vector_case.op);
    if (adapter_ == nullptr) {
      throw Error({ErrorCode::unsupported, suite_->manifest.place(vector_case.pointer),
                   "op " + vector_case.op, "an op that this build computes", ""});
    }
  }
  check_output_shape(*data_);
}

IdentifyCase::IdentifyCase(const GeneratedCase& layer) : name_(layer.name), golden_(layer.golden) {
  network_ = CaseNetwork{layer.graph, layer_of(layer).inputs};
}

int64_t IdentifyCase::values() const { return golden_.empty() ? 1 : golden_.numel(); }

const Tensor& IdentifyCase::golden_of(const Computed& computed) const {
  return computed.golden.empty() ? golden_ : data_->array(computed.golden);
}

std::vector<Computed> IdentifyCase::compute(const Profile& profile) const {
  const sim::RunContext context{sim::Isa::best, nullptr, false};
  if (network_) return {{"", compute_case_network(*network_, profile, context)}};
  return adapter_({*data_, profile, context});
}

IdentifyTally IdentifyCase::tally(const Profile& profile) const {
  IdentifyTally counts;
  try {
    const std::vector<Computed> all = compute(profile);
    if (golden_.empty() || all.empty()) {
      counts.contradicted = values();
      return counts;
    }
    // Each way of computing it must give the output: the value is explained by all or not at all.
    int64_t worst = values();
    for (const Computed& computed : all) {
      const Tensor& golden = golden_of(computed);
      const int64_t missed = golden.numel() - equal_elements(computed.tensor, golden);
      worst = std::min(worst, std::max<int64_t>(0, values() - missed));
    }
    counts.explained = worst;
    counts.contradicted = values() - worst;
  } catch (const Error& error) {
    const ErrorInfo& first = error.infos().front();
    if (is_broken(error)) throw;
    if (golden_.empty()) {
      counts.explained = 1;
    } else {
      counts.refused = values();
      counts.reason = to_string(first);
    }
  }
  return counts;
}

bool IdentifyCase::is_broken(const Error& error) const {
  const ErrorInfo& first = error.infos().front();
  return suite_ && first.code != ErrorCode::unsupported &&
         first.place.starts_with(suite_->manifest.name + ":");
}

std::optional<IdentifyExclusion> IdentifyCase::contradiction(const Profile& profile) const {
  std::optional<IdentifyExclusion> found;
  try {
    const std::vector<Computed> all = compute(profile);
    if (golden_.empty() && !all.empty()) {  // the device refuses it
      found.emplace();
      if (all.front().tensor.numel() > 0) found->computed = value_at(all.front().tensor, 0);
    }
    for (size_t i = 0; i < all.size() && !found; ++i) {
      found = first_difference(all[i].tensor, golden_of(all[i]));
    }
  } catch (const Error& error) {
    if (is_broken(error)) throw;
  }
  if (found) found->layer = name_;
  return found;
}

std::optional<int64_t> IdentifyCase::fingerprint(const Profile& profile) const {
  try {
    uint64_t hash = kHashStart;
    for (const Computed& computed : compute(profile)) {
      const int64_t one = tensor_hash(computed.tensor);
      hash = hashed(hash, &one, sizeof(one));
    }
    return static_cast<int64_t>(hash);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::string IdentifyCase::kind() const {
  std::string text;
  if (network_) {
    for (const IntNode& node : network_->graph.nodes) {
      text += fmt::format("network {} {} ", node.op, node.attributes.groups);
    }
    for (const IntTensor& t : network_->graph.tensors) {
      const bool has_many = t.qparams && t.qparams->per_channel();
      text += fmt::format(" {} {}", to_string(t.dtype), has_many ? "many" : "one");
    }
    return text;
  }
  const VectorCase& c = data_->description();
  text = c.op;
  for (const auto& [role, array] : c.arrays) {
    text += fmt::format(" {} {}", role, to_string(array.dtype));
    // Rules may be those of layers with one scale.
    if (role.find("scale") != std::string::npos) text += array.shape.numel() > 1 ? " many" : " one";
  }
  for (const char* attribute : {"weight_bits", "acc_bits", "groups", "group"}) {
    if (data_->has(attribute)) text += fmt::format(" {} {}", attribute, data_->integer(attribute));
  }
  return text;
}

OperandTypes IdentifyCase::types() const {
  const auto codes = [](const Tensor* array) -> std::optional<sim::IntType> {
    if (array == nullptr || array->dtype() == DType::float32) return std::nullopt;
    return code_type(*array);
  };
  OperandTypes types;
  types.output = codes(golden_.empty() ? nullptr : &golden_);
  if (network_) {
    const IntGraph& graph = network_->graph;
    if (graph.nodes.size() != 1) return {};
    const std::vector<int>& inputs = graph.nodes.front().inputs;
    const auto type_of = [&](size_t i) -> std::optional<sim::IntType> {
      if (i >= inputs.size()) return std::nullopt;
      const auto& qparams = graph.tensors[static_cast<size_t>(inputs[i])].qparams;
      return qparams ? std::optional(qparams->type) : std::nullopt;
    };
    types.input = type_of(0);
    types.weight = type_of(1);
    return types;
  }
  types.input = codes(data_->find(
      {"input", "input1", "lhs", "in_x", "in_a", "in_A", "const_x", "const_a", "const_A"}));
  types.weight = codes(data_->find({"weights", "rhs", "const_w", "in_w", "in_b", "const_b"}));
  if (types.weight && types.weight->bits > 16) types.weight.reset();
  if (types.weight && data_->has("weight_bits")) {
    types.weight->bits = static_cast<int>(std::clamp<int64_t>(data_->integer("weight_bits"), 2, 8));
  }
  return types;
}

std::vector<IdentifyCase> read_identify_cases(const std::filesystem::path& folder,
                                              const std::vector<std::string>& names) {
  const auto suite = std::make_shared<const VectorSuite>(read_vector_suite(folder));
  std::vector<const VectorCase*> chosen;
  for (const VectorCase& c : suite->cases) {
    if (names.empty() || std::find(names.begin(), names.end(), c.name) != names.end()) {
      chosen.push_back(&c);
    }
  }
  for (const std::string& name : names) {
    if (std::any_of(chosen.begin(), chosen.end(), [&](const auto* c) { return c->name == name; })) {
      continue;
    }
    std::vector<std::string> known;
    for (const VectorCase& c : suite->cases) known.push_back(c.name);
    const std::string near = did_you_mean(name, known);
    throw Error({ErrorCode::missing_key, suite->manifest.name, fmt::format("no case \"{}\"", name),
                 "the name of a case",
                 near.empty() ? std::string() : fmt::format("\"{}\"?", near)});
  }
  const auto values_of = [](const VectorCase* c) {
    const auto golden = c->arrays.find(c->golden);
    return golden == c->arrays.end() ? 0 : golden->second.shape.numel();
  };
  std::stable_sort(chosen.begin(), chosen.end(), [&](const VectorCase* a, const VectorCase* b) {
    return values_of(a) < values_of(b);
  });
  std::map<std::string, NpzFile> archives;
  std::vector<IdentifyCase> cases;
  for (const VectorCase* c : chosen) {
    auto npz = archives.find(c->npz);
    if (npz == archives.end()) npz = archives.emplace(c->npz, NpzFile(folder / c->npz)).first;
    cases.emplace_back(suite, *c, npz->second);
  }
  return cases;
}

std::vector<size_t> kind_examples(const std::vector<IdentifyCase>& cases) {
  std::set<std::string> seen;
  std::vector<size_t> examples;
  for (size_t i = 0; i < cases.size(); ++i) {
    if (seen.insert(cases[i].kind()).second) examples.push_back(i);
  }
  return examples;
}

std::vector<std::string> rules_read(const Profile& profile, const IdentifyCase& recorded) {
  const std::optional<int64_t> own = recorded.fingerprint(profile);
  std::vector<std::string> ops, read;
  for (const auto& [key, rules] : profile.ops) {
    const std::string word = key.substr(0, key.find(' '));
    if (ops.empty() || ops.back() != word) ops.push_back(word);
  }
  // Halves of the ops: a case follows a few of many.
  const std::function<void(std::span<const std::string>)> search =
      [&](std::span<const std::string> some) {
        if (some.empty() || recorded.fingerprint(without_ops(profile, some)) == own) return;
        if (some.size() == 1) {
          read.push_back(some.front());
          return;
        }
        search(some.first(some.size() / 2));
        search(some.subspan(some.size() / 2));
      };
  search(ops);
  std::vector<std::string> keys;
  for (const std::string& op : read) {
    std::vector<std::string> all, followed;
    for (const auto& [key, rules] : profile.ops) {
      if (key.substr(0, key.find(' ')) == op) all.push_back(key);
    }
    for (const std::string& key : all) {
      if (recorded.fingerprint(with_refused_rules(profile, key)) != own) followed.push_back(key);
    }
    const std::vector<std::string>& found = followed.empty() ? all : followed;
    keys.insert(keys.end(), found.begin(), found.end());
  }
  return keys;
}

}  // namespace facsim::backends::detail
