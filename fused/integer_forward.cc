// SPDX-License-Identifier: Apache-2.0
#include "fused/integer_forward.h"

#include "backends/lower/lower.h"
#include "sim/core/error.h"

namespace facsim::fused {

Tensor run_nodes(const backends::IntGraph& graph, std::vector<Tensor> tensors, int output,
                 const backends::Profile& profile, const Context& context) {
  const sim::RunContext run{context.isa, context.pool, false};
  tensors.resize(graph.tensors.size());
  for (const backends::IntNode& node : graph.nodes) {
    const auto op = backends::lower_node(graph, node, profile);
    std::vector<const Tensor*> inputs;
    std::vector<Shape> shapes;
    for (const int number : node.inputs) {
      const backends::IntTensor& info = graph.tensors[static_cast<size_t>(number)];
      if (info.data.has_value()) continue;  // constants are bound in the op
      inputs.push_back(&tensors[static_cast<size_t>(number)]);
      shapes.push_back(inputs.back()->shape());
    }
    Tensor result = Tensor::uninitialized(op->output_dtype(), op->output_shape(shapes));
    op->run(inputs, result, run);
    tensors[static_cast<size_t>(node.output)] = std::move(result);
  }
  return tensors[static_cast<size_t>(output)];
}

Value integer_forward(const Module& module, std::span<const Value> inputs,
                      const backends::Profile& profile, const Context& context) {
  IntGraphBuilder builder;
  builder.begin(module.type_name(), {});
  std::vector<int> numbers;
  std::vector<Tensor> tensors;
  for (const Value& input : inputs) {
    if (!input.quantized()) {
      throw Error({ErrorCode::bad_value, module.type_name(), "a float input in the integer forward",
                   "codes", "quantize the network's input first"});
    }
    Shape shape = input.shape();
    shape[0] = 1;
    numbers.push_back(builder.add_input("input" + std::to_string(numbers.size()), input.qparams(),
                                        std::move(shape)));
    tensors.push_back(input.codes());
  }
  const int output = module.emit(builder, numbers);
  return {run_nodes(builder.graph(), std::move(tensors), output, profile, context),
          *builder.tensor(output).qparams};
}

}  // namespace facsim::fused
