// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "fused/network.h"
#include "fused/train/dataset.h"

namespace facsim::fused::train {

struct Evaluation {
  int64_t images = 0;
  int64_t correct = 0;
  double accuracy() const {
    return images == 0 ? 0 : static_cast<double>(correct) / static_cast<double>(images);
  }
};

/// Called after the forward pass of the images [first, first + count), with the network's output.
using BatchVisitor = std::function<void(int64_t first, int64_t count, const Value& output)>;

/// Accuracy (largest logit, the first of equals) over all images, in order, in batches of `batch`.
/// `context.training` must be false.
Evaluation evaluate(Network& network, const Dataset& data,
                    const backends::Preprocessing& preprocessing, const Context& context,
                    int64_t batch, const BatchVisitor& visit = {});

}  // namespace facsim::fused::train
