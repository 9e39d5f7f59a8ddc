// SPDX-License-Identifier: Apache-2.0
#include "tools/facsim/qat/evaluation.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "tools/facsim/interrupt.h"

namespace facsim::cli {

namespace {

constexpr int64_t kEvaluationBatch = 200;

std::set<std::string> names_to_keep(const backends::IntGraph& deployed, Keep keep) {
  std::set<std::string> names;
  if (keep == Keep::all) {
    for (const backends::IntTensor& tensor : deployed.tensors) {
      if (!tensor.data) names.insert(tensor.name);
    }
  }
  for (const int output : deployed.outputs) {
    names.insert(deployed.tensors[static_cast<size_t>(output)].name);
  }
  return names;
}

/// Copies images [first, …) into the tensor of all `total` images, made at its first batch.
void keep_batch(const std::string& name, const Tensor& batch, int64_t first, int64_t total,
                backends::NamedTensors& tensors) {
  auto found = std::find_if(tensors.begin(), tensors.end(),
                            [&](const auto& entry) { return entry.first == name; });
  if (found == tensors.end()) {
    Shape shape = batch.shape();
    shape[0] = total;
    tensors.emplace_back(name, Tensor::uninitialized(batch.dtype(), shape));
    found = std::prev(tensors.end());
  }
  Tensor part = found->second.slice(first, batch.shape()[0]);
  if (batch.bytes() > 0) std::memcpy(part.raw(), batch.raw(), batch.bytes());
}

}  // namespace

QatEvaluation evaluate_qat(fused::Network& network, const backends::IntGraph& deployed,
                           const fused::train::Dataset& data, Keep keep, sim::ThreadPool* pool) {
  fused::Context context;
  context.pool = pool;
  context.batch_norm = fused::BatchNormMode::frozen;
  const std::set<std::string> names = names_to_keep(deployed, keep);
  QatEvaluation result;
  result.accuracy = fused::train::evaluate(
      network, data, deployed.preprocessing.value_or(backends::Preprocessing{}), context,
      kEvaluationBatch, [&](int64_t first, int64_t, const fused::Value&) {
        throw_if_interrupted();
        for (const auto& [name, value] : network.values()) {
          if (!names.contains(name)) continue;
          keep_batch(name, value.quantized() ? value.codes() : value.real(), first, data.size(),
                     result.tensors);
        }
      });
  return result;
}

}  // namespace facsim::cli
