// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backends/io/npy.h"
#include "backends/lower/lower.h"
#include "backends/parity/vectors_manifest-internal.h"
#include "sim/ops/op.h"

namespace facsim::backends::detail {

using Pair = std::array<int64_t, 2>;

/// A case with its arrays, and how its attributes are read. Accessors throw Error with the place in
/// the manifest; a fallback makes an attribute optional.
class CaseData {
 public:
  /// Reads the case's arrays. Error shape_mismatch if one differs from its description.
  CaseData(const VectorSuite& suite, const VectorCase& vector_case, const NpzFile& npz);

  const Tensor& array(std::string_view role) const;
  /// The first of the roles that exists, or null.
  const Tensor* find(std::initializer_list<std::string_view> roles) const;
  /// As find; Error missing_key names the first role.
  const Tensor& any(std::initializer_list<std::string_view> roles) const;
  const Tensor& golden() const { return array(case_.golden); }

  bool has(std::string_view attribute) const;
  int64_t integer(std::string_view attribute, std::optional<int64_t> fallback = {}) const;
  float real(std::string_view attribute) const;
  Pair pair(std::string_view attribute, std::optional<Pair> fallback = {}) const;
  /// Strides, dilations, kernels: 1 to 2^24 each, so that products of a few stay in 64 bits.
  Pair steps(std::string_view attribute, std::optional<Pair> fallback = {}) const;
  std::vector<int64_t> integers(std::string_view attribute, size_t count,
                                std::optional<std::vector<int64_t>> fallback = {}) const;
  /// A list of any length.
  std::vector<int64_t> integers(std::string_view attribute) const;
  /// One of the words; empty when absent.
  std::string_view word(std::string_view attribute,
                        std::initializer_list<std::string_view> words) const;
  /// An attribute that states a layout: absent, or the one that is read here. Error unsupported for
  /// another.
  void require_layout(std::string_view attribute, std::string_view layout) const;
  /// "UINT4", "int8": `attribute` may be nested, "logical_dtypes/x".
  std::optional<sim::IntType> type(std::string_view attribute) const;

  /// Error bad_value unless the attribute is absent or this.
  void require_same(const std::string& attribute, const json::Json& value) const;

  const std::filesystem::path& folder() const { return suite_.folder; }
  const VectorCase& description() const { return case_; }
  [[noreturn]] void fail(std::string_view attribute, std::string found, std::string expected) const;
  /// Error missing_key; the hint says which attribute may be it misspelt.
  [[noreturn]] void miss(std::string_view attribute, std::string expected) const;

 private:
  const json::Json* attribute(std::string_view name) const;

  const VectorSuite& suite_;
  const VectorCase& case_;
  std::map<std::string, Tensor, std::less<>> arrays_;
};

/// What an adapter needs to compute a case.
struct CaseRun {
  const CaseData& data;
  const Profile& profile;
  const sim::RunContext& context;
};

/// One way the expected output was computed, in the layout of the case.
struct Computed {
  std::string how;  ///< "given multiplier", "multiplier derived from scales"; empty if the only one
  Tensor tensor;
  std::string_view golden = {};  ///< role of the expected array; empty: the case's
};
using Adapter = std::vector<Computed> (*)(const CaseRun& run);

/// One line of an adapter table.
struct AdapterEntry {
  std::string_view op;
  Adapter compute;
};
std::span<const AdapterEntry> tflite_layer_adapters();
std::span<const AdapterEntry> tflite_elementwise_adapters();
std::span<const AdapterEntry> tflite_structural_adapters();
std::span<const AdapterEntry> tflite_activation_adapters();
std::span<const AdapterEntry> tflite_recurrent_adapters();
std::span<const AdapterEntry> onnx_layer_adapters();
std::span<const AdapterEntry> onnx_elementwise_adapters();
std::span<const AdapterEntry> onnx_qdq_adapters();
std::span<const AdapterEntry> onnx_quantize_adapters();
std::span<const AdapterEntry> generated_adapters();
/// What a case's attributes say of the output must be what its golden array is. Error bad_value.
void check_output_shape(const CaseData& data);
/// What the only node of a network is, in the words of the suite format: its window, activation,
/// scales and zero points.
nlohmann::ordered_json node_attributes(const IntGraph& network);
/// A case whose model is a network of facsim's own format: computed as a whole, whatever the op.
bool is_network_case(const VectorCase& vector_case);
struct CaseNetwork {
  IntGraph graph;
  std::vector<Tensor> inputs;
};
/// Error for a network that contradicts the case's attributes and arrays.
CaseNetwork read_case_network(const CaseData& data);
Tensor compute_case_network(const CaseNetwork& network, const Profile& profile,
                            const sim::RunContext& context);
std::vector<Computed> network_case(const CaseRun& run);
/// Null if this build computes no such op.
Adapter find_adapter(std::string_view op);

/// Runs an op after checking the inputs' types and that the output has the expected shape (before
/// memory is taken for it).
Tensor execute(const sim::Op& op, std::initializer_list<const Tensor*> inputs,
               const Shape& expected, const sim::RunContext& context);

/// Integers of a tensor, widened. Error bad_value for float32.
std::vector<int64_t> integers_of(const Tensor& tensor);
/// Error bad_value for anything but float32.
std::vector<float> reals_of(const Tensor& tensor);

/// The type of a tensor's codes. Error bad_value for float32.
sim::IntType code_type(const Tensor& tensor);

/// Per tensor (one scale) or along `axis`; zero points repeated to the number of scales.
quant::QParams make_qparams(std::vector<float> scale, std::vector<int64_t> zero_point,
                            sim::IntType type, int axis);

}  // namespace facsim::backends::detail
