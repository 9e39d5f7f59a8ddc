// SPDX-License-Identifier: Apache-2.0
#include "fused/train/evaluate.h"

#include <algorithm>

#include "fused/train/loss.h"

namespace facsim::fused::train {

Evaluation evaluate(Network& network, const Dataset& data,
                    const backends::Preprocessing& preprocessing, const Context& context,
                    int64_t batch, const BatchVisitor& visit) {
  FACSIM_CHECK(!context.training && batch >= 1);
  Evaluation result;
  for (int64_t first = 0; first < data.size(); first += batch) {
    const int64_t count = std::min(batch, data.size() - first);
    const Value output =
        network.forward(preprocess(data.images.slice(first, count), preprocessing), context);
    const std::vector<int32_t> classes = classes_of(output.real());
    for (int64_t i = 0; i < count; ++i) {
      result.correct +=
          classes[static_cast<size_t>(i)] == data.labels[static_cast<size_t>(first + i)];
    }
    result.images += count;
    if (visit) visit(first, count, output);
  }
  return result;
}

}  // namespace facsim::fused::train
