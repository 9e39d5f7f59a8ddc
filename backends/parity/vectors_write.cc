// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <bit>
#include <nlohmann/json.hpp>

#include "backends/io/network_file.h"
#include "backends/parity/vectors_case-internal.h"
#include "backends/parity/vectors_gen.h"
#include "sim/core/error.h"

namespace facsim::backends {

namespace {

using WrittenJson = nlohmann::ordered_json;

/// Number of bits of an element and its two's complement pattern.
int word_bits(const Tensor& tensor) { return static_cast<int>(8 * size_of(tensor.dtype())); }

uint64_t word_at(const Tensor& tensor, int64_t index) {
  if (tensor.dtype() == DType::float32) {
    return std::bit_cast<uint32_t>(tensor.data<float>()[index]);
  }
  const int bits = word_bits(tensor);
  const auto word = static_cast<uint64_t>(tensor.int_at(index));
  return bits == 64 ? word : word & ((uint64_t{1} << bits) - 1);
}

std::string shape_text(const Shape& shape) {
  return fmt::format("[{}]", fmt::join(shape.extents(), ", "));
}

NamedTensors all_arrays(const GeneratedCase& made) {
  NamedTensors arrays = made.arrays;
  if (!made.golden.empty()) arrays.emplace_back("golden", made.golden);
  return arrays;
}

// ---- manifest -----------------------------------------------------------------------------------

WrittenJson type_json(const Tensor& tensor) {
  return {{"dtype", to_string(tensor.dtype())}, {"shape", tensor.shape().extents()}};
}

WrittenJson attributes_of(const GeneratedCase& made) {
  WrittenJson attrs = {{"strategy", to_string(made.strategy)}};
  if (made.graph.nodes.empty()) {
    attrs["output_type"] = sim::to_string(made.output_type);
  } else {
    attrs.update(detail::node_attributes(made.graph));
  }
  return attrs;
}

WrittenJson coverage_json(const GeneratedSuite& suite) {
  constexpr std::string_view kStates[] = {"reached", "not reached", "unreachable"};
  WrittenJson list = WrittenJson::array();
  for (const BranchCoverage& entry : suite.coverage) {
    list.push_back({{"program", entry.program},
                    {"step", entry.step},
                    {"branch", to_string(entry.branch)},
                    {"hits", entry.hits},
                    {"state", kStates[static_cast<size_t>(entry.state)]}});
  }
  return list;
}

std::string npz_name(const GeneratedSuite& suite) {
  std::string name = "generated_" + suite.op;
  for (char& c : name) {
    if (c == ' ' || c == '/') c = '_';
  }
  return name + ".npz";
}

void write_manifest(const std::filesystem::path& folder, const GeneratedSuite& suite) {
  WrittenJson manifest = {{"format", "facsim-vectors-1"},
                          {"generator",
                           {{"profile", suite.profile},
                            {"profile_fingerprint", suite.fingerprint},
                            {"op", suite.op},
                            {"seed", suite.seed}}},
                          {"coverage", coverage_json(suite)}};
  WrittenJson& cases = manifest["cases"] = WrittenJson::array();
  for (const GeneratedCase& made : suite.cases) {
    WrittenJson arrays = WrittenJson::object();
    for (const auto& [role, tensor] : all_arrays(made)) {
      arrays[role] = type_json(tensor);
      arrays[role]["key"] = made.name + "/" + role;
    }
    WrittenJson entry = {{"name", made.name},
                         {"part", "generated"},
                         {"family", made.family},
                         {"op", made.op},
                         {"profile", suite.profile},
                         {"npz", npz_name(suite)},
                         {"golden", "golden"},
                         {"arrays", arrays},
                         {"attrs", attributes_of(made)},
                         {"verified", false},
                         {"unverified_reason", fmt::format("computed by {} alone", suite.origin)},
                         {"origin", suite.origin}};
    if (!made.graph.nodes.empty()) entry["files"] = {{"model", "networks/" + made.name + ".json"}};
    cases.push_back(std::move(entry));
  }
  write_file_atomically(folder / "manifest.json", manifest.dump(1) + "\n");
}

void write_npz_suite(const std::filesystem::path& folder, const GeneratedSuite& suite,
                     const std::function<void()>& before_file) {
  NamedTensors members;
  for (const GeneratedCase& made : suite.cases) {
    for (const auto& [role, tensor] : all_arrays(made)) {
      members.emplace_back(made.name + "/" + role, tensor);
    }
    if (made.graph.nodes.empty()) continue;
    before_file();
    std::filesystem::create_directories(folder / "networks");
    write_int_graph(folder / "networks" / (made.name + ".json"), made.graph);
  }
  before_file();
  write_npz(folder / npz_name(suite), members);
  before_file();
  write_manifest(folder, suite);
}

// ---- hex, C -------------------------------------------------------------------------------------

void write_hex(const std::filesystem::path& folder, const GeneratedCase& made,
               const std::function<void()>& before_file) {
  for (const auto& [role, tensor] : all_arrays(made)) {
    before_file();
    const int bits = word_bits(tensor);
    std::string text = fmt::format(
        "// {} {}: {} {}, {} words of {} bits, two's complement, last axis fastest\n", made.name,
        role, to_string(tensor.dtype()), shape_text(tensor.shape()), tensor.numel(), bits);
    for (int64_t i = 0; i < tensor.numel(); ++i) {
      text += fmt::format("{:0{}x}\n", word_at(tensor, i), bits / 4);
    }
    write_file_atomically(folder / (made.name + "_" + role + ".hex"), text);
  }
}

std::string_view c_type(DType dtype) {
  switch (dtype) {
    case DType::int8:
      return "int8_t";
    case DType::uint8:
      return "uint8_t";
    case DType::int16:
      return "int16_t";
    case DType::uint16:
      return "uint16_t";
    case DType::int32:
      return "int32_t";
    case DType::int64:
      return "int64_t";
    case DType::float32:
      return "uint32_t";  // the bits: no C parser rounds them
  }
  return "?";
}

/// Lowest int32 and int64 have no literal of their own in C.
std::string c_value(const Tensor& tensor, int64_t index) {
  if (tensor.dtype() == DType::float32) return fmt::format("0x{:08x}u", word_at(tensor, index));
  const int64_t value = tensor.int_at(index);
  if (value == INT32_MIN && tensor.dtype() == DType::int32) return "INT32_MIN";
  if (value == INT64_MIN) return "INT64_MIN";
  return tensor.dtype() == DType::int64 ? fmt::format("INT64_C({})", value) : std::to_string(value);
}

void write_c(const std::filesystem::path& folder, const GeneratedSuite& suite) {
  std::string text = fmt::format(
      "/* Vectors of profile {} ({}), op {}, seed {}: computed by facsim's scalar norm.\n"
      "   float32 arrays hold IEEE 754 bits. */\n#pragma once\n\n#include <stdint.h>\n",
      suite.profile, suite.fingerprint, suite.op, suite.seed);
  for (const GeneratedCase& made : suite.cases) {
    for (const auto& [role, tensor] : all_arrays(made)) {
      text += fmt::format("\n/* {} */\n", shape_text(tensor.shape()));
      text += fmt::format("static const {} {}_{}[{}] = {{", c_type(tensor.dtype()), made.name, role,
                          tensor.numel());
      for (int64_t i = 0; i < tensor.numel(); ++i) {
        text += i % 12 == 0 ? "\n    " : " ";
        text += c_value(tensor, i) + ",";
      }
      text += "\n};\n";
    }
  }
  write_file_atomically(folder / "vectors.h", text);
}

}  // namespace

void require_new_folder(const std::filesystem::path& folder) {
  std::error_code error;
  if (!std::filesystem::exists(folder, error) && !error) return;
  const bool is_folder = !error && std::filesystem::is_directory(folder, error);
  const bool is_new = is_folder && std::filesystem::is_empty(folder, error);
  if (error) {
    throw Error({ErrorCode::io, folder.string(), error.message(), "an empty or new folder", ""});
  }
  if (is_new) return;
  throw Error({ErrorCode::bad_value, folder.string(),
               is_folder ? "a folder that is not empty" : "not a folder", "an empty or new folder",
               ""});
}

void write_vectors(const std::filesystem::path& folder, const GeneratedSuite& suite,
                   const VectorFormats& formats, const std::function<void()>& before_file) {
  require_new_folder(folder);
  const std::function<void()> before = before_file ? before_file : [] {};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw Error({ErrorCode::io, folder.string(), error.message(), "a folder to write to", ""});
  }
  for (const GeneratedCase& made : suite.cases) {
    if (formats.hex) write_hex(folder, made, before);
  }
  if (formats.c) {
    before();
    write_c(folder, suite);
  }
  if (formats.npz) write_npz_suite(folder, suite, before);
}

}  // namespace facsim::backends
