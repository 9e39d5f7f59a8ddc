// SPDX-License-Identifier: Apache-2.0
#include "backends/parity/golden_run-internal.h"

#include <algorithm>
#include <cstring>

#include "sim/core/error.h"

namespace facsim::backends::detail {

namespace {

template <class Element>
void flag_differing(const Tensor& a, const Tensor& b, std::vector<char>& out) {
  const auto* x = static_cast<const std::byte*>(a.raw());
  const auto* y = static_cast<const std::byte*>(b.raw());
  for (size_t i = 0; i < out.size(); ++i) {
    Element from_x, from_y;
    std::memcpy(&from_x, x + i * sizeof(Element), sizeof(Element));
    std::memcpy(&from_y, y + i * sizeof(Element), sizeof(Element));
    out[i] = from_x != from_y;
  }
}

bool same_bytes_in(const Tensor& a, const Tensor& b) {
  return std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

}  // namespace

std::vector<char> differing(const Tensor& a, const Tensor& b) {
  std::vector<char> out(static_cast<size_t>(a.numel()));
  switch (size_of(a.dtype())) {
    case 1:
      flag_differing<uint8_t>(a, b, out);
      break;
    case 2:
      flag_differing<uint16_t>(a, b, out);
      break;
    case 4:
      flag_differing<uint32_t>(a, b, out);
      break;
    default:
      flag_differing<uint64_t>(a, b, out);
  }
  return out;
}

int64_t count_of(const std::vector<char>& flags) {
  return std::count(flags.begin(), flags.end(), char{1});
}

Tensor take_images(const Tensor& tensor, const std::vector<int64_t>& images) {
  Shape shape = tensor.shape();
  shape[0] = static_cast<int64_t>(images.size());
  Tensor out = Tensor::uninitialized(tensor.dtype(), shape);
  const size_t bytes = tensor.bytes() / static_cast<size_t>(tensor.shape()[0]);
  auto* to = static_cast<std::byte*>(out.raw());
  const auto* from = static_cast<const std::byte*>(tensor.raw());
  for (const int64_t image : images) {
    std::copy_n(from + static_cast<size_t>(image) * bytes, bytes, to);
    to += bytes;
  }
  return out;
}

GoldenRun::GoldenRun(const sim::Graph& graph, std::vector<Tensor> values, sim::Isa isa)
    : graph_(graph),
      producers_(graph.tensors.size(), graph.nodes.size()),
      golden_(std::move(values)) {
  context_.isa = isa;
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    producers_[static_cast<size_t>(graph.nodes[n].output)] = n;
  }
}

bool GoldenRun::is_alone(size_t node) const {
  const std::vector<int>& inputs = graph_.nodes[node].inputs;
  return holds(node) &&
         std::all_of(inputs.begin(), inputs.end(), [&](int t) { return golden(t) != nullptr; });
}

void GoldenRun::compute() {
  own_.assign(graph_.nodes.size(), {});
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    own_[n] = run(n, *graph_.nodes[n].op, [&](int t) { return value(t); });
  }
}

std::map<size_t, Tensor> GoldenRun::changed_outputs(const OpsByNode& ops,
                                                    const std::vector<size_t>& targets) const {
  const std::vector<char> needed = needed_for(targets);
  std::map<size_t, Tensor> changed;
  const auto value_now = [&](int t) -> const Tensor* {
    if (const Tensor* held = golden(t)) return held;
    const auto it = changed.find(producer(t));
    return it == changed.end() ? value(t) : &it->second;
  };
  for (size_t n = 0; n < graph_.nodes.size(); ++n) {
    if (!needed[n]) continue;
    const sim::Graph::Node& node = graph_.nodes[n];
    const auto other = ops.find(n);
    const bool sees_change = std::any_of(node.inputs.begin(), node.inputs.end(), [&](int t) {
      return golden(t) == nullptr && changed.contains(producer(t));
    });
    if (other == ops.end() && !sees_change) continue;
    Tensor output = run(n, other == ops.end() ? *node.op : *other->second, value_now);
    if (output.dtype() != own_[n].dtype() || output.shape() != own_[n].shape()) {
      throw Error({ErrorCode::shape_mismatch, node.name, "another output", "", ""});
    }
    if (!same_bytes_in(output, own_[n])) changed.emplace(n, std::move(output));
  }
  return changed;
}

const Tensor* GoldenRun::value(int tensor) const {
  if (const Tensor* held = golden(tensor)) return held;
  return &own_[producer(tensor)];  // network inputs are always held
}

template <class Value>
Tensor GoldenRun::run(size_t n, const sim::Op& op, const Value& value_of) const {
  std::vector<const Tensor*> inputs;
  std::vector<Shape> shapes;
  for (const int t : graph_.nodes[n].inputs) {
    inputs.push_back(value_of(t));
    shapes.push_back(inputs.back()->shape());
  }
  Tensor output = Tensor::uninitialized(op.output_dtype(), op.output_shape(shapes));
  const int64_t images = output.shape().rank() == 0 ? 1 : output.shape()[0];
  work_ += op.macs(shapes) * images + output.numel();
  op.run(inputs, output, context_);
  return output;
}

std::vector<char> GoldenRun::needed_for(const std::vector<size_t>& targets) const {
  std::vector<char> needed(graph_.nodes.size(), 0);
  for (const size_t target : targets) needed[target] = 1;
  for (size_t n = graph_.nodes.size(); n-- > 0;) {
    if (!needed[n]) continue;
    for (const int t : graph_.nodes[n].inputs) {
      const size_t from = producer(t);
      if (golden(t) == nullptr && from < needed.size()) needed[from] = 1;
    }
  }
  return needed;
}

}  // namespace facsim::backends::detail
