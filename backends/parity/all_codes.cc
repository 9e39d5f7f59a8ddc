// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/all_codes-internal.h"

#include <algorithm>
#include <optional>

#include "backends/parity/ops_by_params-internal.h"
#include "sim/ops/unary_codes.h"

namespace facsim::backends::detail {

namespace {

constexpr int64_t kLargestTable = int64_t{1} << 22;  // elements

int64_t count_of_codes(const InputKind& input) {
  const Codes codes = input.codes->all();
  return codes.max - codes.min + 1;
}

/// Of what axis an elementwise op has its own program for each index; -1: one for all.
struct ElementwiseKind {
  bool is = false;
  int channel_axis = -1;
};

ElementwiseKind elementwise(const sim::Op& op, int rank) {
  if (const auto* map = dynamic_cast<const sim::Map*>(&op)) {
    if (map->params().requantize.channels() == 1) return {true, -1};
    const int axis = map->params().channel_axis;
    return {true, axis < 0 ? rank - 1 : axis};
  }
  if (const auto* add = dynamic_cast<const sim::Add*>(&op)) {
    const sim::AddParams& p = add->params();
    const bool channels = p.lhs.channels() > 1 || p.rhs.channels() > 1 || p.output.channels() > 1;
    return {true, channels ? rank - 1 : -1};
  }
  if (const auto* mul = dynamic_cast<const sim::Mul*>(&op)) {
    return {true, mul->params().requantize.channels() > 1 ? rank - 1 : -1};
  }
  const bool is = dynamic_cast<const sim::UnaryCodes*>(&op) != nullptr ||
                  dynamic_cast<const sim::Lut*>(&op) != nullptr ||
                  dynamic_cast<const sim::AddFma*>(&op) != nullptr ||
                  dynamic_cast<const sim::MinMax*>(&op) != nullptr ||
                  dynamic_cast<const sim::Prelu*>(&op) != nullptr;
  return {is, -1};
}

/// Every code, or every pair of codes, one in each image; images as small as the op lets them be.
std::vector<Tensor> all_codes(const std::vector<InputKind>& inputs,
                              const std::vector<char>& keeps_axis) {
  int64_t images = 1, elements = 1;
  for (const InputKind& input : inputs) images *= count_of_codes(input);
  for (int axis = 1; axis < inputs[0].shape.rank(); ++axis) {
    if (keeps_axis[static_cast<size_t>(axis)]) elements *= inputs[0].shape[axis];
  }
  std::vector<Tensor> tensors;
  if (images > kLargestTable / std::max<int64_t>(elements, 1)) return tensors;
  int64_t before = 1;
  for (const InputKind& input : inputs) {
    Shape shape = inputs[0].shape;
    shape[0] = images;
    for (int axis = 1; axis < shape.rank(); ++axis) {
      if (!keeps_axis[static_cast<size_t>(axis)]) shape[axis] = 1;
    }
    Tensor codes = Tensor::uninitialized(input.dtype, shape);
    const int64_t count = count_of_codes(input);
    const int64_t least = input.codes->all().min;
    for (int64_t i = 0; i < codes.numel(); ++i) {
      codes.set_int(i, least + i / elements / before % count);
    }
    before *= count;
    tensors.push_back(std::move(codes));
  }
  return tensors;
}

/// One flag for each axis that has to be there: an op's program or constant is another at each of
/// its indices. Nothing if an op is not elementwise.
std::optional<std::vector<char>> axes_to_keep(const std::vector<const sim::Op*>& ops, int rank) {
  std::vector<char> keeps_axis(static_cast<size_t>(rank), 0);
  for (const sim::Op* op : ops) {
    const auto* constant = dynamic_cast<const sim::ConstantInputs*>(op);
    const ElementwiseKind kind = elementwise(constant == nullptr ? *op : constant->op(), rank);
    if (!kind.is || kind.channel_axis >= rank) return std::nullopt;
    if (constant != nullptr) std::fill(keeps_axis.begin(), keeps_axis.end(), char{1});
    if (kind.channel_axis >= 0) keeps_axis[static_cast<size_t>(kind.channel_axis)] = 1;
  }
  return keeps_axis;
}

}  // namespace

std::vector<Tensor> results_on_all_codes(const std::vector<const sim::Op*>& ops,
                                         const std::vector<InputKind>& inputs,
                                         ProofBudget& budget) {
  const int rank = inputs[0].shape.rank();
  int64_t combinations = 1;
  for (const InputKind& input : inputs) {
    if (!input.codes || input.shape != inputs[0].shape) return {};
    const int64_t count = count_of_codes(input);
    if (count > kLargestTable) return {};
    combinations *= count;
    if (combinations > kLargestTable) return {};
  }
  if (rank < 1) return {};
  const auto keeps_axis = axes_to_keep(ops, rank);
  if (!keeps_axis) return {};
  const std::vector<Tensor> codes = all_codes(inputs, *keeps_axis);
  if (codes.empty() || codes[0].numel() > budget) return {};
  budget -= codes[0].numel() / 8;  // by tables and vectors
  std::vector<const Tensor*> pointers;
  std::vector<Shape> shapes;
  for (const Tensor& tensor : codes) {
    pointers.push_back(&tensor);
    shapes.push_back(tensor.shape());
  }
  std::vector<Tensor> results;
  for (const sim::Op* op : ops) {
    results.push_back(Tensor::uninitialized(op->output_dtype(), op->output_shape(shapes)));
    op->run(pointers, results.back(), {});
  }
  return results;
}

}  // namespace facsim::backends::detail
